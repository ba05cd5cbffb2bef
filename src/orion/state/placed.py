"""Tasks of a job on a node, as the rules for a task's nodes count them: those that the cluster wants there, of one
version. One that is about to end does not count, so that its successor may begin beside it.
"""

from collections.abc import Callable, Collection, Mapping

from orion.model.allocation import Allocation, AllocationState
from orion.model.ids import AllocationId, JobName
from orion.model.node import Node
from orion.model.placement_rules import PlacementRules
from orion.state.records import NodeRecord, Tables

Allocations = Mapping[AllocationId, Allocation]


def engine_key(node: Node) -> str:
    """Returns a key of the node's engine. Nodes of one engine can start the same tasks. A node that names no engine
    has one of its own.
    """
    return node.engine or node.id


def count_on(
    allocations: Allocations,
    node: NodeRecord,
    job: JobName,
    version: int,
    leaving: Collection[AllocationId] = (),
) -> int:
    """`leaving`: those that are about to end though state does not say so yet."""
    held = [allocations[identity] for identity in node.holdings.of_job(job) if identity not in leaving]
    return sum(each.wanted and each.job_version == version and not each.terminal for each in held)


def runs_on(allocations: Allocations, node: NodeRecord, job: JobName) -> bool:
    held = (allocations[identity] for identity in node.holdings.of_job(job))
    return any(each.wanted and each.status.state is AllocationState.RUNNING for each in held)


def admission(
    state: Tables, rules: PlacementRules | None, job: JobName, version: int
) -> Callable[[NodeRecord], bool] | None:
    """Returns a question: may one more task of the job be placed on a node? None: its rules do not ask where tasks
    are.
    """
    if rules is None or not (rules.max_per_node or rules.distinct_hosts or rules.alongside):
        return None
    most, beside, allocations = rules.max_per_node, rules.alongside, state.allocations
    shared: dict[str, list[NodeRecord]] = {}
    if rules.distinct_hosts:
        for record in state.records.values():
            shared.setdefault(engine_key(record.node), []).append(record)

    def admits(node: NodeRecord) -> bool:
        if beside is not None and not runs_on(allocations, node, beside.job):
            return False
        if most and count_on(allocations, node, job, version) >= most:
            return False
        return not any(count_on(allocations, each, job, version) for each in shared.get(engine_key(node.node), ()))

    return admits
