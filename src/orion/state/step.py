"""What `apply` gives back, and the notebook in which one command's events are written down."""

import msgspec

from orion.model.configs import ConfigStat
from orion.model.errors import OrionError
from orion.model.events import Event
from orion.model.job import Job
from orion.model.node import Node

# What the proposer is told: the job, node or config as it is now (a deleted config as it was), an error when
# refused, None when there is no more to say.
Result = Job | Node | ConfigStat | OrionError | None

MAX_EVENTS_EACH = 20  # of one kind from one command; more become one that sums them up


class Applied(msgspec.Struct, frozen=True):
    """`result` is an OrionError instance when the command was refused, which means that it changed nothing but,
    for some, the memory of this answer.
    """

    result: Result
    events: tuple[Event, ...] = ()


class Step:
    """One command being applied."""

    __slots__ = ("at_ms", "events", "index")

    def __init__(self, index: int, at_ms: int) -> None:
        self.index = index
        self.at_ms = at_ms
        self.events: list[Event] = []

    def tell(self, kind: str, subject: str, text: str) -> None:
        self.events.append(Event(self.index, len(self.events), self.at_ms, kind, subject, text))


def tasks_text(count: int) -> str:
    """1 task, 1,000 tasks."""
    return "1 task" if count == 1 else f"{count:,} tasks"
