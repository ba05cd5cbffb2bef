"""Log frames and JSON lines, cut anywhere."""

import asyncio

import pytest

from orion.adapters.docker.logs import log_entries, log_params
from orion.adapters.docker.streams import MAX_LINE_BYTES, json_lines
from orion.model.container import LogQuery
from orion.model.errors import EngineError


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


def collect(generator):
    async def run():
        return [item async for item in generator]

    return asyncio.run(run())


def frame(stream, data):
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


AT = "2025-01-01T00:00:00.000000001Z"


def line(stream, data, at=AT):
    return frame(stream, at.encode() + b" " + data)


def test_frames_cut_anywhere():
    stream = line(1, b"hello\n") + line(2, b"") + line(2, b"oh no\n") + line(1, b"x" * 70_000)
    expected = [(False, b"hello\n"), (True, b""), (True, b"oh no\n"), (False, b"x" * 70_000)]
    for size in (1, 3, 7, 8, 9, 100, len(stream)):
        cut = [stream[i : i + size] for i in range(0, len(stream), size)]
        found = [entry for batch in collect(log_entries(pieces(*cut))) for entry in batch]
        assert [(entry.stderr, entry.text) for entry in found] == expected
        assert {entry.at for entry in found} == {AT}


@pytest.mark.parametrize(
    ("at", "utc"),
    [
        ("2025-01-01T00:00:00.5Z", "2025-01-01T00:00:00.500000000Z"),
        ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00.000000000Z"),
        ("2025-01-01T01:30:00.123456789+01:30", "2025-01-01T00:00:00.123456789Z"),
    ],
)
def test_times_of_output_are_shown_in_one_form(at, utc):
    ((entry,),) = collect(log_entries(pieces(line(1, b"x", at))))
    assert entry.at == utc


@pytest.mark.parametrize("sent", [frame(1, b"hello"), b"\1\0\0\0\xff\xff\xff\xff", line(1, b"x", "yesterday")])
def test_output_that_is_not_understood_is_refused(sent):
    with pytest.raises(EngineError, match="sent a line of"):
        collect(log_entries(pieces(sent)))


def test_json_lines_cut_anywhere():
    data = b'{"a": 1}\r\n\n{"b": "\xc3\xa9"}\n'
    for size in (1, 5, len(data)):
        cut = [data[i : i + size] for i in range(0, len(data), size)]
        assert collect(json_lines(pieces(*cut))) == [{"a": 1}, {"b": "é"}]


def test_an_endless_line_is_refused():
    with pytest.raises(EngineError, match="line of more than"):
        collect(json_lines(pieces(*[b"x" * 65_536] * (MAX_LINE_BYTES // 65_536 + 1))))


def test_log_query():
    assert log_params(LogQuery()) == {"follow": "0", "stdout": "1", "stderr": "1", "tail": "all", "timestamps": "1"}
    params = log_params(LogQuery(follow=True, tail=0, since_ns=1_234_567_890_000_000_007, stderr=False))
    assert (params["follow"], params["stderr"], params["tail"]) == ("1", "0", "0")
    assert params["since"] == "1234567890.000000007"
