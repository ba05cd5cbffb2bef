"""Freeing a state that another one has replaced, a little at a time."""

from collections.abc import Iterator
from typing import Any

from orion.state.job_queue import JobQueue
from orion.state.tables import State

_AT_ONCE = 2_000  # allocations: freeing them takes about a millisecond


def dismantle(state: State) -> Iterator[None]:
    """Empties `state`, which nobody reads any more, in short steps.

    Left to the garbage collector, which must find the whole of it first, a million allocations hold the process for
    half a second in one go.
    """
    allocations = state.allocations
    while allocations:
        for _ in range(min(_AT_ONCE, len(allocations))):
            allocations.popitem()
        yield
    while state.jobs:
        _, record = state.jobs.popitem()
        while record.slots:
            del record.slots[-_AT_ONCE:]
            yield
    tables: tuple[dict[Any, Any] | JobQueue, ...] = (
        state.open_jobs,
        state.refused_jobs,
        state.by_node,
        state.engines,
    )
    for table in (*tables, state.answers.answers, state.config_answers.answers, state.configs, state.stuck):
        table.clear()
        yield
