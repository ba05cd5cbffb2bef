"""Times that are due, from a schedule, the last time that was dealt with, and the clock."""

from datetime import tzinfo
from itertools import takewhile

import msgspec

from orion.model.cron_times import times
from orion.model.schedule import MAX_CATCH_UP, MAX_COUNTED, CatchUp, Schedule

ON_TIME_MS = 60_000  # what runs so late is not late: a leader was elected meanwhile
REWIND_MS = 24 * 3_600_000  # a last time so far in the future was a wrong clock's
NEVER_MS = 1 << 62


class Due(msgspec.Struct, frozen=True):
    """`fires` are the times that are to run now, oldest first. Of the others up to `until_ms` `missed` were missed
    (MAX_COUNTED: or more), from the first to the last of them. `next_ms`: when to look again.
    """

    fires: tuple[int, ...] = ()
    missed: int = 0
    missed_from_ms: int = 0
    missed_to_ms: int = 0
    until_ms: int = 0
    next_ms: int = NEVER_MS

    @property
    def empty(self) -> bool:
        return not self.until_ms


def due(schedule: Schedule, zone: tzinfo, former_ms: int, now_ms: int) -> Due:
    """`former_ms` is the last time that was dealt with, or when the job was asked for. A clock that was put back
    has nothing due until it has come to `former_ms` again.
    """
    if former_ms > now_ms + REWIND_MS:
        return Due(until_ms=now_ms, next_ms=now_ms)
    found: list[int] = []
    next_ms = NEVER_MS
    for at_ms in times(schedule, zone, former_ms):
        if at_ms > now_ms:
            next_ms = at_ms
            break
        found.append(at_ms)
        if len(found) == MAX_COUNTED:
            return _far_behind(schedule, zone, found, now_ms)
    if not found:
        return Due(next_ms=next_ms)
    fires = _fires(schedule, found, now_ms)
    missed = [at_ms for at_ms in found if at_ms not in fires]
    if not missed:
        return Due(fires, until_ms=found[-1], next_ms=next_ms)
    return Due(fires, len(missed), missed[0], missed[-1], found[-1], next_ms)


def _far_behind(schedule: Schedule, zone: tzinfo, found: list[int], now_ms: int) -> Due:
    """Years without a leader, or a clock that jumped. Of what nobody needs one by one only so many are counted."""
    last = _last(schedule, zone, found[-1], now_ms)
    fires = _fires(schedule, last or found, now_ms)
    missed = [at_ms for at_ms in (*found, *last) if at_ms not in fires]
    until_ms = (last or found)[-1]
    return Due(fires, MAX_COUNTED, missed[0], missed[-1], until_ms, now_ms)


def _last(schedule: Schedule, zone: tzinfo, former_ms: int, now_ms: int) -> list[int]:
    """The last times past `former_ms`, one more than may run, looked for in spans of time that double."""
    most = MAX_CATCH_UP + 1
    span_ms = 3_600_000
    while True:
        from_ms = max(former_ms, now_ms - span_ms)
        found = list(takewhile(lambda at_ms: at_ms <= now_ms, times(schedule, zone, from_ms)))
        # The first one of a span that begins in the middle may be that of an hour that exists twice.
        if len(found) > most or from_ms == former_ms:
            return found[-most:]
        span_ms *= 2


def _fires(schedule: Schedule, found: list[int], now_ms: int) -> tuple[int, ...]:
    limit_ms = schedule.start_deadline_ms or NEVER_MS
    if schedule.catch_up is CatchUp.NONE:
        limit_ms = min(limit_ms, ON_TIME_MS)
    able = [at_ms for at_ms in found if now_ms - at_ms <= limit_ms]
    if schedule.catch_up is CatchUp.LAST:
        on_time = [at_ms for at_ms in able if now_ms - at_ms <= ON_TIME_MS]
        able = on_time or able[-1:]
    return tuple(able[-MAX_CATCH_UP:])
