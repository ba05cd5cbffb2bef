"""The slots of system jobs: a slot is its node's for as long as that node takes tasks, and again when it is back.

The job's `homes` name the node of each slot, "" where the slot has none and wants nothing. A new node gets a slot
that no node of the cluster has had, the lowest first, else one more at the end.
"""

from collections.abc import Iterable

from orion.model.ids import NodeId
from orion.model.job import Job, TaskSpec
from orion.model.node import Node, NodeStatus
from orion.state.job_record import JobRecord

NOBODY = NodeId("")


def homes_for(job: Job, record: JobRecord | None, nodes: Iterable[Node]) -> tuple[NodeId, ...]:
    """`record` has the tasks there have been; None for a job that begins."""
    known = {node.id: node for node in nodes}
    wanted = {node.id for node in known.values() if node.status is NodeStatus.READY and takes(node, job.task)}
    # One that stops for a moment keeps its task as that of any job is kept.
    stays = {node.id for node in known.values() if node.status is NodeStatus.LEFT and takes(node, job.task)}
    homes = [home if home in wanted or home in stays else NOBODY for home in job.homes]
    former = [_last_node(record, index) or home for index, home in enumerate(job.homes)]
    missing = sorted(wanted.difference(homes))
    for node in [node for node in missing if node in former]:
        index = former.index(node)
        if not homes[index]:
            homes[index] = node
            missing.remove(node)
    free = [index for index, home in enumerate(homes) if not home and former[index] not in known]
    for node in missing:
        if free:
            homes[free.pop(0)] = node
        else:
            homes.append(node)
            former.append(node)
    while homes and not homes[-1] and former[len(homes) - 1] not in known:
        homes.pop()
    return tuple(homes)


def takes(node: Node, task: TaskSpec) -> bool:
    """Returns whether the node is one for the task, when it is there."""
    if node.draining or not all(pair in node.labels for pair in task.constraints):
        return False
    constraints = task.rules.constraints if task.rules is not None else ()
    return all(constraint.passes(dict(node.labels)) for constraint in constraints)


def _last_node(record: JobRecord | None, index: int) -> NodeId:
    history = record.history(index) if record is not None and index < len(record.slots) else ()
    return history[-1].node if history else NOBODY
