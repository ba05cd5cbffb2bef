"""The past of a slot, where it says on which nodes its next task is to be, or not to be."""

from collections.abc import Iterable

from orion.model.allocation import STUCK_AFTER, Allocation, AllocationState
from orion.model.health import Health
from orion.model.ids import NodeId
from orion.scheduler.pools import Pool
from orion.state.job_record import JobRecord
from orion.state.placed import engine_key
from orion.state.view import View


def failed_on(view: View, history: Iterable[Allocation]) -> list[str]:
    """Returns the engines that could not start a task, or on which it was unhealthy and to be replaced, as
    `engine_key` names them. The last one is the last.
    """
    tried: dict[str, None] = {}
    for each in history:
        if each.status.failed_starts >= STUCK_AFTER or each.status.health is Health.UNHEALTHY:
            node = view.node(each.node)
            engine = engine_key(node) if node else each.node
            tried.pop(engine, None)
            tried[engine] = None
    return list(tried)


def pool_by_past(view: View, record: JobRecord, index: int, pool: Pool) -> Pool | None:
    """Returns the nodes of the pool on which a slot's task is to be if it fits there; None where its past does not
    say. It is not to be where the last one was unhealthy, or could not start and had to end first. While the former
    task of a slot ends before the new one starts, that is to be on the node that was left to it, for its image was
    pulled there.
    """
    history = record.history(index)
    if not history or not history[-1].terminal:
        return None
    in_vain = history[-1].status.failed_starts >= STUCK_AFTER and (record.alone or record.writes_volumes)
    if history[-1].status.health is Health.UNHEALTHY or in_vain:
        return pool.without(failed_on(view, history))
    if not record.alone or (node := _left_for(record, history[-1])) is None:
        return None
    row = view.node_record(node)
    return pool.of([row]) if row is not None and pool.has(row) else None


def _left_for(record: JobRecord, last: Allocation) -> NodeId | None:
    """Returns the node of the last task of a slot, if that was told to end for one of another version."""
    replaced = last.job_version != record.version(last.index)
    return last.node if replaced and last.status.state is AllocationState.STOPPED else None
