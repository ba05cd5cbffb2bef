"""The steps by which a node comes to another container engine, goes, or is back, with all that it holds."""

from msgspec.structs import replace

from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.state.job_record import slot_wants
from orion.state.mutations import active_of, set_open, set_status, store
from orion.state.records import NodeRecord, Tables, port_key


def lose_all(state: Tables, record: NodeRecord, reason: str, at_ms: int) -> list[Allocation]:
    """Whatever is active on the node is lost, in the order of allocation ids."""
    lost: list[Allocation] = []
    for allocation in active_of(state, record.node.id):
        status = replace(allocation.status.because(reason), state=AllocationState.LOST, finished_at_ms=at_ms)
        lost.append(set_status(state, allocation, status))
    return lost


def take_back(state: Tables, node: NodeRecord, allocation: Allocation, status: AllocationStatus) -> None:
    """One that was lost is active again, with all that it held, which is free."""
    record = state.jobs[allocation.job]
    spec = record.spec(allocation.job_version)
    store(state, record, allocation, replace(allocation, status=status))
    node.hold(spec.resources)
    node.work_index = state.index
    record.active += 1
    for port, binding in zip(allocation.ports, spec.ports, strict=True):
        node.ports[port_key(port, binding.protocol)] = allocation.id
    set_open(state, record, allocation.index, is_open=slot_wants(record, allocation.index))


def move_engine(state: Tables, record: NodeRecord, former: str, at_ms: int) -> list[Allocation]:
    """The record's node now has another engine than `former`, or turns out to share one. What is still active takes
    its host ports along; where one is held there already, the allocation is lost.
    """
    ports = state.ports_of(record.node.engine)
    lost: list[Allocation] = []
    for allocation in active_of(state, record.node.id):
        bindings = state.jobs[allocation.job].spec(allocation.job_version).ports
        keys = [port_key(port, binding.protocol) for port, binding in zip(allocation.ports, bindings, strict=True)]
        if any(key in ports for key in keys):
            reason = f"a host port of it is held by another task on the container engine of {record.node.id}"
            status = replace(allocation.status.because(reason), state=AllocationState.LOST, finished_at_ms=at_ms)
            lost.append(set_status(state, allocation, status))
        else:
            ports.update((key, record.ports.pop(key)) for key in keys)
    record.ports = ports
    _forget_engine(state, former)
    return lost


def drop_node(state: Tables, record: NodeRecord) -> None:
    """Forget a node without active allocations; what is remembered of ended ones stays with their jobs."""
    node = record.node
    del state.nodes[node.id]
    del state.records[node.id]
    del state.numbers[node.number]
    state.draining.pop(node.id, None)
    if not record.holdings:
        del state.by_node[node.id]
    _forget_engine(state, node.engine)
    state.facts_epoch += 1
    state.capacity_epoch += 1  # no room is freed, but refusals count the node that is gone


def _forget_engine(state: Tables, engine: str) -> None:
    if engine and all(node.engine != engine for node in state.nodes.values()):
        del state.engines[engine]
