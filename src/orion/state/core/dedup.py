"""The answers to clients' last commands, remembered so that a copy of one is answered as it was."""

import msgspec

from orion.model.configs import ConfigStat

MAX_ANSWERS = 10_000  # of each memory


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a client's command was answered with at `index`: `name` (of a job or node), `stat` (of a config), or an
    error. Never what is named: a job can have a megabyte of variables.
    """

    index: int
    name: str = ""
    stat: ConfigStat | None = None
    code: str = ""
    detail: str = ""


class DedupTable:
    """The newest answers by mark, oldest first. `forgotten` is the index of the newest that is out."""

    __slots__ = ("answers", "forgotten")

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.forgotten = 0

    def keep(self, mark: str, answer: Answer) -> None:
        self.answers[mark] = answer
        if len(self.answers) > MAX_ANSWERS:
            self.forgotten = self.answers.pop(next(iter(self.answers))).index
