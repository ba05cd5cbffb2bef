"""A time of a cron job, and what became of it."""

import enum

import msgspec

from orion.model.ids import JobName


class Outcome(enum.StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"  # the run before had not ended
    MISSED = "missed"  # nobody led


class Firing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`at_ms` is the time that the schedule says, or when it was asked for `by_hand`; `fired_ms` when its log entry
    was made. `job` is the run; "" where there was none. Of several that were missed this is the first, `count`
    says how many they were, and `to_ms` which was the last.
    """

    at_ms: int
    fired_ms: int
    outcome: Outcome
    job: JobName = JobName("")
    exit_code: int | None = None
    started_ms: int = 0
    ended_ms: int = 0
    reason: str = ""
    by_hand: bool = False
    count: int = 1
    to_ms: int = 0
