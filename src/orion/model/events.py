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


def parse_event_id(text: str) -> tuple[int, int] | None:
    """The (index, part) of a Last-Event-ID, or None when it is not one of ours."""
    index, dot, part = text.partition(".")
    if dot and index.isdigit() and part.isdigit():
        return int(index), int(part)
    return None
