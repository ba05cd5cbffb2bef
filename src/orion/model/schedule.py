"""The times at which a cron job runs, and what follows when it could not run at one of them."""

import enum

import msgspec

MAX_EXPRESSION = 200  # characters
MAX_ZONE = 64
MAX_CATCH_UP = 100  # runs of one job that are made up for at once
MAX_COUNTED = 1_000  # runs that were missed: as many, or more
MAX_CRON_NAME = 52  # characters: what is added for a run fits a job's name
UTC = "UTC"

SHORTCUTS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Overlap(enum.StrEnum):
    """The rule for a time at which the run before has not ended."""

    SKIP = "skip"
    QUEUE = "queue"  # it runs when the one before has ended
    REPLACE = "replace"  # the one before is stopped


class CatchUp(enum.StrEnum):
    """The times that are made up for, of those at which nobody led."""

    NONE = "none"
    LAST = "last"
    ALL = "all"  # at most MAX_CATCH_UP, the newest


class Schedule(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`expression`: five fields as in crontab, or a shortcut. `time_zone`: as the IANA names it. A time that is
    missed by more than `start_deadline_ms` is not made up for; 0 is no such limit.
    """

    expression: str
    time_zone: str = UTC
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    start_deadline_ms: int = 0

    @property
    def fields(self) -> str:
        return SHORTCUTS.get(self.expression.strip().lower(), self.expression)
