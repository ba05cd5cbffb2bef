"""A client's command is carried out once.

A command can come twice: whoever waits for one sends it again when the leader changes. So answers are remembered,
and refusals too: else a client is told "it exists already", the name is given up, and then a late copy of its
command creates it. What is remembered is bounded; `since` tells a command that may have been answered and forgotten
from one that comes for the first time.
"""

from collections.abc import Callable

from orion.model.configs import ConfigStat
from orion.model.errors import OrionError, Unavailable, by_code
from orion.model.job import Job
from orion.state.records import MAX_ANSWERS, Answer
from orion.state.step import Result
from orion.state.tables import State


def once(
    state: State,
    index: int,
    mark: str,
    since: int,
    subject: str,
    change: Callable[[], Job | ConfigStat | OrionError],
) -> Result:
    """`mark`: the same for copies of one command, and for no others. `since`: an index applied somewhere before the
    first copy was made.
    """
    if (answer := state.answers.get(mark)) is not None:
        return answer.job or answer.stat or by_code(answer.code, answer.detail)
    if since < state.answers_from:
        return Unavailable(
            f"too much has changed since {subject} was to be changed for anybody to know whether it was"
        )
    result = change()
    state.answers[mark] = _answer(index, result)
    if len(state.answers) > MAX_ANSWERS:
        state.answers_from = state.answers.pop(next(iter(state.answers))).index
    return result


def _answer(index: int, result: Job | ConfigStat | OrionError) -> Answer:
    match result:
        case Job():
            return Answer(index, job=result)
        case ConfigStat():
            return Answer(index, stat=result)
        case _:
            return Answer(index, code=result.code, detail=result.detail)
