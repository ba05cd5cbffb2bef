"""A client's command is carried out once.

A command can come twice: whoever waits for one sends it again when the leader changes. So answers are remembered,
and refusals too: else a client is told "it exists already", the name is given up, and then a late copy of its
command creates it. What is remembered is bounded; the command's `since` tells one that may have been answered and
forgotten from one that comes for the first time.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

import msgspec

from orion.model.errors import AnswerForgotten, OrionError, by_code
from orion.state.core.frames import Rows, batches
from orion.state.core.table import Table, TableSet, same

MAX_ANSWERS = 10_000  # of each memory


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The answer to a client's command at `index`: the `name` of its subject, a `row`, or an error.

    Each memory has a subclass that says what rows it holds. They are small: not a job, which can have a megabyte of
    variables.
    """

    index: int
    name: str = ""
    row: Any = None
    code: str = ""
    detail: str = ""


class DedupTable(Table):
    """The newest answers by mark, oldest first. `forgotten` is the index of the newest that is out.

    A subclass is one memory: `answer` says what its answers may hold, `header_field` where a snapshot's Header has
    `forgotten`.
    """

    rows_frame: ClassVar[type[Rows]]
    answer: ClassVar[type[Answer]]
    header_field: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.frames = (cls.rows_frame,)

    def __init__(self, state: TableSet) -> None:
        super().__init__(state)
        self.answers: dict[str, Answer] = {}
        self.forgotten = 0

    def once(self, index: int, mark: str, since: int, subject: str, change: Callable[[], object]) -> object:
        """Returns what `change` does, or did when it was asked for first. `mark`: the same for copies of one
        command, and for no others. `since`: an index applied somewhere before the first copy was made.
        """
        if (answer := self.answers.get(mark)) is not None:
            if answer.code:
                return by_code(answer.code, answer.detail)
            return answer.name if answer.row is None else answer.row
        if since < self.forgotten:
            return AnswerForgotten(
                f"the change of {subject} was left out: so much has changed since it was asked for that nobody"
                " knows whether this is a copy of one that was made"
            )
        result = change()
        self._keep(mark, self._answer(index, result))
        return result

    def _keep(self, mark: str, answer: Answer) -> None:
        self.answers[mark] = answer
        if len(self.answers) > MAX_ANSWERS:
            self.forgotten = self.answers.pop(next(iter(self.answers))).index

    def _answer(self, index: int, result: object) -> Answer:
        match result:
            case str():
                return self.answer(index, name=result)
            case OrionError():
                return self.answer(index, code=result.code, detail=result.detail)
        return self.answer(index, row=result)

    def capture(self) -> Iterator[Rows]:
        return map(self.rows_frame, batches(list(self.answers.items())))

    def restore(self, frame: Rows) -> None:
        self.answers.update(frame.rows)

    def header(self) -> dict[str, int]:
        return {self.header_field: self.forgotten}

    def restore_header(self, header: dict[str, Any]) -> None:
        self.forgotten = header[self.header_field]

    def check(self, again: Self) -> None:
        same(type(self).__name__, list(self.answers.items()), list(again.answers.items()))
        same(f"what {type(self).__name__} have forgotten", self.forgotten, again.forgotten)

    def free(self) -> Iterator[None]:
        self.answers.clear()
        yield
