"""adapters/docker/logs.py: the output of a container with a terminal, which Docker sends without frames."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.adapters.docker.frames import MAX_FRAME_BYTES
from orion.adapters.docker.logs import PART_BYTES, log_entries
from orion.model.container import LogEntry
from orion.model.errors import EngineError

AT = "2026-01-02T03:04:05.000000006Z"


def entries(body, cuts=()):
    async def pieces():
        begin = 0
        for cut in [*sorted(cuts), len(body)]:
            if cut > begin:
                yield body[begin:cut]
                begin = cut

    async def read():
        return [entry async for some in log_entries(pieces()) for entry in some]

    return asyncio.run(read())


def line(text):
    return f"{AT} ".encode() + text


@given(st.lists(st.integers(1, 200)))
def test_each_line_is_an_entry_however_it_is_cut(cuts):
    texts = [b"hello\r\n", b"50%\r100%\r\n", b"\r\n", b"no end"]
    body = b"".join(map(line, texts))
    assert entries(body, [c for c in cuts if c < len(body)]) == [LogEntry(AT, False, text) for text in texts]


def test_a_long_line_comes_in_parts_of_one_time():
    texts = [b"a" * PART_BYTES, b"b" * PART_BYTES, b"c\r\n"]
    assert entries(b"".join(map(line, texts))) == [LogEntry(AT, False, text) for text in texts]


def test_a_line_without_a_time_is_no_output():
    with pytest.raises(EngineError, match="without its time"):
        entries(b"2026 is a year\n")


def test_a_line_without_an_end_is_refused_once_it_is_too_long():
    with pytest.raises(EngineError, match="bytes of a container's output"):
        entries(line(b"a" * (MAX_FRAME_BYTES + 1)))
