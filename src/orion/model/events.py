"""Events: the story of the cluster in the past tense, as `GET /events`, `orion events` and the log tell it."""

import msgspec


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event. `index` is the log index that caused it and `part` its place among that entry's events, so that
    every node gives it the same id. `kind` is a name in the past tense (`NodeWentDown`), `subject` the id of the
    node, task or job, `text` one plain line.
    """

    index: int
    part: int
    at_ms: int
    kind: str
    subject: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.index}.{self.part}"


class EventChoice(msgspec.Struct, frozen=True, array_like=True):
    """A choice of events: those since a time, about these `subjects` (all when none is named), and of past ones the
    last `tail`. A job's name also stands for its tasks, and a task's id for its job.
    """

    since_ms: int = 0
    tail: int | None = None
    subjects: tuple[str, ...] = ()

    def takes(self, event: Event) -> bool:
        if event.at_ms < self.since_ms:
            return False
        return not self.subjects or any(_concerns(name, event.subject) for name in self.subjects)


ALL_EVENTS = EventChoice()


def _concerns(name: str, subject: str) -> bool:
    return subject == name or subject == name.partition("/")[0] or subject.startswith(f"{name}/")


def parse_event_id(text: str) -> tuple[int, int] | None:
    """Returns the (index, part) of a Last-Event-ID, or None when it is not one of Orion's."""
    index, dot, part = text.partition(".")
    if text.isascii() and len(text) <= 40 and dot and index.isdigit() and part.isdigit():
        return int(index), int(part)
    return None
