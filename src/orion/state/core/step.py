"""The answer of `apply`, and the notebook in which one command's events are written down."""

import msgspec

from orion.model.events import Event

MAX_EVENTS_EACH = 20  # of one kind from one command; more become one that sums them up


class Applied(msgspec.Struct, frozen=True):
    """`result` is what the proposer is told: the name or the row that the command was about, or None. It is an
    OrionError instance when the command was refused, which means that it changed nothing but, for some, the memory
    of this answer.
    """

    result: object
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
