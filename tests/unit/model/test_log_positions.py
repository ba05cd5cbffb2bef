"""How far output has been read: nothing twice, nothing lost, over readings that overlap."""

import random

import pytest

from orion.model.container import LogEntry
from orion.model.ids import AllocationId
from orion.model.logs import LogPosition, LogReader, Mark, parse_position, unix_ns

RUN = AllocationId(0xA1)


def at(number):
    return f"2025-01-01T00:00:{number:02}.000000000Z"


def entry(number, text, *, stderr=False):
    return LogEntry(at(number), stderr, text)


def read_on(reader, entries):
    reader.begin()
    return reader.unread(entries)


def test_a_second_reading_has_what_the_first_had_not():
    written = [entry(1, b"a"), entry(2, b"b"), entry(2, b"c"), entry(2, b"d"), entry(3, b"e")]
    reader = LogReader(LogPosition(RUN))
    assert read_on(reader, written[:3]) == written[:3]
    assert read_on(reader, written) == written[3:]
    assert read_on(reader, written) == []


def test_each_stream_has_its_own_place():
    """Docker writes the two side by side: what one says may come after what the other said later."""
    late = entry(1, b"late", stderr=True)
    reader = LogReader(LogPosition(RUN))
    assert read_on(reader, [entry(1, b"err", stderr=True), entry(2, b"out")])
    assert read_on(reader, [entry(1, b"err", stderr=True), late, entry(2, b"out")]) == [late]


def test_what_the_last_lines_left_out_does_not_come_later():
    reader = LogReader(LogPosition(RUN))
    assert read_on(reader, [entry(5, b"the last line")])
    assert read_on(reader, [entry(4, b"before it", stderr=True), entry(5, b"the last line")]) == []
    assert read_on(reader, [entry(6, b"after it", stderr=True)])


def test_a_clock_that_went_back_hides_nothing_of_one_reading():
    reader = LogReader(LogPosition(RUN))
    assert read_on(reader, [entry(5, b"a")])
    assert read_on(reader, [entry(5, b"a"), entry(6, b"b"), entry(2, b"c")]) == [entry(6, b"b"), entry(2, b"c")]


@pytest.mark.parametrize("seed", range(200))
def test_readings_that_break_anywhere_give_each_entry_once(seed):
    rng = random.Random(seed)
    moments = {stderr: sorted(rng.choices(range(12), k=rng.randrange(12))) for stderr in (False, True)}
    written = [LogEntry(at(m), e, b"%d" % rng.randrange(3)) for e, ms in moments.items() for m in ms]
    written.sort(key=lambda one: (one.at, rng.random()))
    position, got = LogPosition(RUN), []
    while len(got) < len(written):
        reader = LogReader(position)
        reader.begin()
        again = [one for one in written if not position.since_ns or unix_ns(one.at) >= position.since_ns]
        for one in again[: rng.randrange(1, len(again) + 1)]:
            got += reader.unread([one])
        position = parse_position(str(reader.position))
    assert got == written


def test_positions_are_written_and_read():
    position = LogPosition(RUN, Mark(at(1), 2), Mark())
    assert parse_position(str(position)) == position
    assert parse_position(str(LogPosition(RUN))) == LogPosition(RUN)
    for text in ("", "a1", f"{position},1", "x" * 40, str(position).replace("2025", "20250")):
        assert parse_position(text) is None


def test_times():
    assert unix_ns("1970-01-02T00:00:01.000000002Z") == 86_401_000_000_002
    assert LogPosition(RUN).since_ns == 0
