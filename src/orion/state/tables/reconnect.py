"""Tasks that go on when their node is back. A node that goes down loses its allocations, so that others may take
their place at once. Where none can, the container may run on all the same, as after a death of the node's process
alone: the node has the task's volume, or is the only one with its label or with room.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from orion.model.allocation import Allocation, AllocationState
from orion.model.counts import several
from orion.model.ids import task_id
from orion.model.job import JobKind, TaskSpec
from orion.state import node_moves
from orion.state.core.step import MAX_EVENTS_EACH, Step
from orion.state.job_record import OPEN, JobRecord
from orion.state.placed import admission
from orion.state.records import NodeRecord, Tables
from orion.state.system_slots import takes
from orion.state.tables.ingress import Ingress
from orion.state.tables.networks import Networks
from orion.state.tables.plans import ports_fit
from orion.state.tables.subnets import Subnets, addresses_in_use
from orion.state.tables.system import fit_job
from orion.state.tables.volumes import Volumes

_LEVEL = 2  # builds of before it leave lost what was lost


def reconnect(state: Tables, step: Step, node: NodeRecord, down_since_ms: int) -> None:
    """The node is ready again. What it lost by going down at that time, and what nothing has taken the place of, is
    scheduled there as it was: its agent finds the container, or starts it again. All that a placement is checked
    for is checked here too, for what it held may have been given away.
    """
    if state.level < _LEVEL:
        return
    back: list[Allocation] = []
    for allocation in _lost(state, node, down_since_ms):
        record = state.jobs[allocation.job]
        fit_job(state, step, record)  # its slot may be none of the job's any more
        if allocation.id in state.allocations and _may_go_on(state, node, record, allocation):
            status = replace(allocation.status.because(""), state=AllocationState.SCHEDULED, finished_at_ms=0)
            node_moves.take_back(state, node, allocation, status)
            back.append(allocation)
    if len(back) > MAX_EVENTS_EACH:
        step.tell("TasksReconnected", node.node.id, f"{several(len(back), 'task')} of {node.node.id} go on")
        return
    for allocation in back:
        task = task_id(allocation.job, allocation.index)
        step.tell("TaskReconnected", task, f"{task} goes on on {allocation.node}: nothing took its place")


def may_return(record: JobRecord, allocation: Allocation, down_since_ms: int) -> bool:
    """Returns whether it may go on once its node is ready: it was lost when that went down, and its slot wants it
    still. The slot of a system job has been taken from the node meanwhile, and is given back.
    """
    index, status = allocation.index, allocation.status
    if status.state is not AllocationState.LOST or status.finished_at_ms != down_since_ms or not allocation.wanted:
        return False
    wants = record.open[index] == OPEN or record.job.kind is JobKind.SYSTEM
    same = record.version(index) == allocation.job_version
    return record.job.wanted and wants and same and record.history(index)[-1] is allocation


def _lost(state: Tables, node: NodeRecord, down_since_ms: int) -> Iterator[Allocation]:
    """Yields those that may return."""
    for identity in node.holdings.ids():
        allocation = state.allocations.get(identity)  # None: a slot that was given up meanwhile has forgotten it
        if allocation is not None and may_return(state.jobs[allocation.job], allocation, down_since_ms):
            yield allocation


def _may_go_on(state: Tables, node: NodeRecord, record: JobRecord, allocation: Allocation) -> bool:
    """Returns whether its slot is open, the node is one for it, and all that it held is free."""
    spec = record.spec(allocation.job_version)
    if record.open[allocation.index] != OPEN or not node.schedulable or not takes(node.node, spec):
        return False
    if not node.has_room(spec.resources):
        return False
    if spec.ports and not ports_fit(node.ports, state.of(Ingress).rows, spec.ports, allocation.ports):
        return False
    admits = admission(state, spec.rules, allocation.job, allocation.job_version)
    if admits is not None and not admits(node):
        return False
    return _has_volumes(state, node, spec, allocation) and _has_addresses(state, node, spec, allocation)


def _has_volumes(state: Tables, node: NodeRecord, spec: TaskSpec, allocation: Allocation) -> bool:
    """Returns whether each is on the node, to stay. Those of storage systems are let go with the allocation that
    they were attached for, and one without data may have got another home meanwhile.
    """
    home = node.node.id
    rows = (state.of(Volumes).get(name) for name in spec.volume_names(allocation.index))
    return all(row is not None and row.system is None and row.home == home and not row.moving_to for row in rows)


def _has_addresses(state: Tables, node: NodeRecord, spec: TaskSpec, allocation: Allocation) -> bool:
    """Returns whether each is still one of the node's part of the same network, and free."""
    if not allocation.addresses:
        return True
    subnets, networks, used = state.of(Subnets), state.of(Networks), addresses_in_use(state, node)
    held = zip(spec.network_names, (allocation.ip, *allocation.more_ips), strict=False)
    for name, address in held:
        number = networks.number(name)
        row = subnets.get((node.node.id, number)) if number is not None else None
        if address and (row is None or address not in row or address in used):
            return False
    return True


TABLES = ()
COMMANDS = ()
