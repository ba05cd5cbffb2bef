"""A client's command is carried out once.

A command can come twice: whoever waits for one sends it again when the leader changes. So answers are remembered,
and refusals too: else a client is told "it exists already", the name is given up, and then a late copy of its
command creates it. What is remembered is bounded; `since` tells a command that may have been answered and forgotten
from one that comes for the first time.
"""

from collections.abc import Callable

from orion.model.configs import ConfigStat
from orion.model.errors import AnswerForgotten, OrionError, by_code
from orion.state.core.dedup import Answer, DedupTable
from orion.state.core.step import Answered


def once(
    memory: DedupTable, index: int, mark: str, since: int, subject: str, change: Callable[[], Answered]
) -> Answered:
    """`mark`: the same for copies of one command, and for no others. `since`: an index applied somewhere before the
    first copy was made.
    """
    if (answer := memory.answers.get(mark)) is not None:
        return by_code(answer.code, answer.detail) if answer.code else answer.stat or answer.name
    if since < memory.forgotten:
        return AnswerForgotten(
            f"the change of {subject} was left out: so much has changed since it was asked for that nobody knows"
            " whether this is a copy of one that was made"
        )
    result = change()
    memory.keep(mark, _answer(index, result))
    return result


def _answer(index: int, result: Answered) -> Answer:
    match result:
        case str():
            return Answer(index, name=result)
        case ConfigStat():
            return Answer(index, stat=result)
        case OrionError():
            return Answer(index, code=result.code, detail=result.detail)
