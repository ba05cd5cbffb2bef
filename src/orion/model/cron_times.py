"""The times that a schedule says, and what is wrong with one.

Local time is that of Debian's cron. What is to run at a time of day that does not exist runs at the first minute
that does; at one that exists twice it runs once, the first time. What runs every few minutes or every hour goes by
real time.

The rules of time zones are read from the machine's database, as those of letters are read from Python's: they are
the same whenever they are asked.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from orion.model.schedule import MAX_EXPRESSION, MAX_ZONE, Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = 5


def schedule_error(expression: str, time_zone: str, now_ms: int) -> tuple[str, str] | None:
    """Returns the name of the field that is wrong and what is; None when nothing is."""
    schedule = Schedule(expression, time_zone)
    if len(expression) > MAX_EXPRESSION:
        return "expression", f"has {len(expression)} characters; at most {MAX_EXPRESSION} are taken"
    if len(schedule.fields.split()) != _FIELDS:
        return (
            "expression",
            f"{expression[:80]!r} is no schedule: write minute, hour, day, month and weekday, as in '30 3 * * *'",
        )
    zone = zone_of(time_zone)
    if zone is None:
        return "timeZone", f"{time_zone[:80]!r} is no time zone: write one as in Europe/Berlin, or UTC"
    from cronsim import CronSimError

    try:
        first = next(times(schedule, zone, now_ms), None)
    except CronSimError as error:
        return "expression", f"{expression[:80]!r} is no schedule: {str(error).lower()}"
    if first is None:
        return "expression", f"{expression[:80]!r} is never: no such day comes in the next 50 years"
    return None


def zone_of(name: str) -> tzinfo | None:
    """None for a name that the time zone database of this machine does not have."""
    from zoneinfo import ZoneInfo

    if not name or len(name) > MAX_ZONE:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: a folder's name
        return None


def times(schedule: Schedule, zone: tzinfo, after_ms: int) -> Iterator[int]:
    """All times past `after_ms`, each once, growing. Raises CronSimError for what is no expression."""
    from cronsim import CronSim

    start = _EPOCH + timedelta(milliseconds=after_ms)
    found = CronSim(schedule.fields, start.astimezone(zone))
    last = after_ms
    for local in found:
        # Several times of day that do not exist become one, and one that exists twice is given as the first.
        at_ms = (local.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        if at_ms > last:
            last = at_ms
            yield at_ms
