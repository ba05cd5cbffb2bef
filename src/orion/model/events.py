"""What happened, in the past tense: the story that `GET /events`, `orion events` and the log tell."""

import msgspec


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`index` is the log index that caused it and `part` its place among that entry's events, so that every
    node gives the same event the same id. `kind` is a past-tense name (`NodeWentDown`); `subject` the id of
    the node, task or job; `text` one plain line.
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
    """Which events are wanted: those since a time, of these `subjects` (none named: all), and of what has happened
    already the last `tail`. A job's name stands for its tasks too, and a task's id for what happens to its job.
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
    """The (index, part) of a Last-Event-ID, or None when it is not one of ours."""
    index, dot, part = text.partition(".")
    if text.isascii() and len(text) <= 40 and dot and index.isdigit() and part.isdigit():
        return int(index), int(part)
    return None
