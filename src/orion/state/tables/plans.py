"""The scheduler's plan. It was made from an older state, so each placement is checked again here: this is where
capacity and host ports are given away, and nowhere else.
"""

from collections.abc import Container, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from orion.model.after import MAX_AFTER, noted
from orion.model.allocation import Allocation
from orion.model.counts import several
from orion.model.ids import AllocationId, JobName, allocation_id, task_id
from orion.model.job import DYNAMIC_PORTS, PortBinding
from orion.model.limits import MAX_PORTS
from orion.model.placement import PlacementFailure, RefusalReason, waits_of
from orion.model.placement_rules import MAX_CONSTRAINTS
from orion.model.placement_text import waiting_text
from orion.model.volumes import VolumeWait
from orion.state import mutations
from orion.state.core.command import Command, command
from orion.state.core.faults import (
    MAX_MS,
    MAX_NUMBER,
    MAX_PORT,
    MAX_TEXT,
    MAX_WORD,
    first,
    longer,
    outside,
    protocol_fault,
)
from orion.state.core.step import MAX_EVENTS_EACH, Step
from orion.state.job_record import OPEN, JobRecord
from orion.state.placed import admission
from orion.state.records import Ports, Tables, port_key
from orion.state.tables.ingress import Ingress
from orion.state.tables.subnets import address_giver
from orion.state.tables.volumes import volume_giver

MAX_SHORT_PORTS = 2 * MAX_PORTS  # of a failure: each taken by tasks here, by Orion there


class Placements(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Many tasks of one job, as columns: task `indexes[i]` goes to the node numbered `nodes[i]`.

    `ports` is empty when the job asks for none, else one tuple of host ports a task, in the order of the
    spec's ports. `created_index` is the job's, not that of another one of its name.
    """

    job: JobName
    created_index: int
    job_version: int
    indexes: list[int]
    nodes: list[int]
    ports: list[tuple[int, ...]] = []


class Refusal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why the rest of a job did not fit, "" to clear."""

    job: JobName
    created_index: int  # as in Placements
    why: RefusalReason


class ApplyPlan(Command, frozen=True, array_like=True, tag=9):
    """The scheduler's decision. Each placement is checked again (the same job, version current, node schedulable,
    resources and ports free, slot still empty); one that no longer holds is dropped and its slot stays open.

    `stops`: allocations no longer wanted. `moves`: those that their nodes can't start, no longer wanted unless they
    have started since.
    """

    placements: tuple[Placements, ...]
    stops: tuple[AllocationId, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    moves: tuple[AllocationId, ...] = ()


def _fault(command: ApplyPlan) -> str:
    """Its numbers are looked up, and what is not found is left out."""
    return first(_refusal_fault(refusal.why) for refusal in command.refusals)


def _refusal_fault(why: RefusalReason) -> str:
    return longer("refusal", len(why), MAX_TEXT) if isinstance(why, str) else _failure_fault(why)


def _failure_fault(failure: PlacementFailure) -> str:
    unready = (failure.away, failure.down, failure.draining, failure.without_engine)
    counts = (*unready, failure.without_labels, *failure.excluded, failure.apart, failure.crowded)
    short = [shortage for shortage in (failure.cpu, failure.memory, failure.disk) if shortage]
    return first(
        (
            *(outside("nodes", count, MAX_NUMBER) for count in counts),
            *(outside("nodes", each.nodes, MAX_NUMBER) for each in short),
            *(outside("nodes", each.nodes, MAX_NUMBER) for each in failure.ports),
            *(outside("most_free", each.most_free, MAX_NUMBER) for each in short),
            *(outside("port", each.port, MAX_PORT) for each in failure.ports),
            *(protocol_fault(each.protocol) for each in failure.ports),
            outside("ports", len(failure.ports), MAX_SHORT_PORTS),
            outside("excluded", len(failure.excluded), MAX_CONSTRAINTS),
            outside("waits", len(failure.waits), MAX_AFTER),
            _volume_fault(failure.volume) if failure.volume else "",
            *(outside("since_ms", wait.since_ms, MAX_MS) for wait in failure.waits),
        )
    )


def _volume_fault(wait: VolumeWait) -> str:
    return first(
        (
            outside("since_ms", wait.since_ms, MAX_MS),
            *(
                longer("volume", len(text), MAX_WORD)
                for text in (wait.volume, wait.node, wait.other, wait.other_node)
            ),
        )
    )


@command(ApplyPlan, fault=_fault)
def apply_plan(state: Tables, step: Step, command: ApplyPlan) -> None:
    """Stops first, so that a slot left on a draining node may be filled by the same plan."""
    for identity in command.stops:
        allocation = state.allocations.get(identity)
        if allocation and allocation.wanted and not allocation.terminal:
            mutations.set_unwanted(state, allocation)
    for identity in command.moves:
        allocation = state.allocations.get(identity)
        record = state.jobs.get(allocation.job) if allocation else None
        if allocation and record and record.is_stuck(allocation):  # still: it may have started since
            _tell_leaving(step, record, allocation)
            mutations.set_unwanted(state, allocation)
    for group in command.placements:
        record = _same_job(state, group.job, group.created_index)
        if record:
            _tell_placed(step, record, _place(state, record, group, step))
        else:
            state.capacity_epoch += 1  # what it was to take is free after all: others were refused for it
    for refusal in command.refusals:
        record = _same_job(state, refusal.job, refusal.created_index)
        if record and record.open_count:
            _refuse(state, step, record, refusal.why)


def _refuse(state: Tables, step: Step, record: JobRecord, asked: RefusalReason) -> None:
    former, why = record.refusal, asked
    if not isinstance(why, str) and why.waits:
        why = replace(why, waits=noted(why.waits, waits_of(former), step.at_ms))
    if why == former:
        return
    mutations.set_refusal(state, record, why)
    if not isinstance(why, str) and (why.waits or why.apart):
        # What it waits for may have come since the plan was made, and woken nobody: who waits is noted here alone.
        state.capacity_epoch += 1
    if why and not _names_the_same(former, why):
        _tell_refused(step, record)


def _same_job(state: Tables, name: JobName, created_index: int) -> JobRecord | None:
    """The job that the plan was made for, None when it is gone. One that was created again under its name may ask
    for something else: what was said of its predecessor says nothing of it.
    """
    record = state.jobs.get(name)
    return record if record and record.job.created_index == created_index else None


def _place(state: Tables, record: JobRecord, group: Placements, step: Step) -> list[Allocation]:
    """Place what still holds of one group; called a million times for a million tasks, so kept flat."""
    job = record.job
    is_open = record.open
    spec = record.spec(group.job_version)
    cpu, memory, disk = spec.resources.cpu_millis, spec.resources.memory_bytes, spec.resources.disk_bytes
    bindings = spec.ports
    columns = group.ports if bindings else [()] * len(group.indexes)
    numbers, slots, small_ints = state.numbers, record.slots, state.small_ints
    name, version, count = job.name, group.job_version, job.count
    one_version = None if record.rollout and record.rollout.slots else job.version
    placed: list[Allocation] = []
    at_ms = step.at_ms
    ids = _free_ids(state)
    admits = admission(state, spec.rules, name, version)
    addresses, everywhere = address_giver(state, step, spec), state.of(Ingress).rows
    volumes = volume_giver(state, step, name, spec)
    for index, number, ports in zip(group.indexes, group.nodes, columns, strict=False):
        node = numbers.get(number)
        if (
            node is None
            or not node.schedulable
            or not 0 <= index < count
            or is_open[index] != OPEN
            or version != (record.version(index) if one_version is None else one_version)
            or cpu > node.cpu_free
            or memory > node.memory_free
            or disk > node.disk_free
            or (bindings and not ports_fit(node.ports, everywhere, bindings, ports))
            or (admits is not None and not admits(node))
            or (volumes is not None and not volumes.admits(node, index))
        ):
            state.capacity_epoch += 1  # what the plan knew is out of date: worth another look
            continue
        slot = small_ints[index] if index < len(small_ints) else index
        allocation = Allocation(next(ids), name, version, slot, node.node.id, ports, True, at_ms)
        if slots[index] is not None and any(
            former.ran and former.job_version == version for former in record.history(index)
        ):
            allocation = replace(allocation, ran=True)
        if addresses is not None and any(given := addresses.give(node)):
            allocation = replace(allocation, ip=given[0], more_ips=given[1:])
        if volumes is not None:
            volumes.give(node, index)
        mutations.insert(state, record, node, allocation)
        placed.append(allocation)
    if addresses is not None:
        addresses.settle()
    return placed


def ports_fit(
    held: Ports, everywhere: Container[int], bindings: Sequence[PortBinding], ports: Sequence[int]
) -> bool:
    """Returns whether these host ports are what the bindings ask for, free on the engine and on every node, and no
    two the same.
    """
    if len(ports) != len(bindings):
        return False
    keys: set[int] = set()
    for port, binding in zip(ports, bindings, strict=True):
        key = port_key(port, binding.protocol)
        asked = port == binding.host_port if binding.host_port else port in DYNAMIC_PORTS
        if not asked or key in held or key in everywhere or key in keys:
            return False
        keys.add(key)
    return True


def _free_ids(state: Tables) -> Iterator[AllocationId]:
    """The next ids that are not in use: after 2**32 allocations the counter's ids come round again."""
    allocations, salt = state.allocations, state.salt
    while True:
        identity = allocation_id(state.next_allocation, salt)
        state.next_allocation += 1
        if identity not in allocations:
            yield identity


def _tell_leaving(step: Step, record: JobRecord, allocation: Allocation) -> None:
    task, reason = task_id(allocation.job, allocation.index), allocation.status.reason
    why = f" ({reason})" if reason else ""  # nobody knows it any more, where its node was down meanwhile
    if record.is_ill(allocation):
        text = f"{task} is unhealthy on {allocation.node}{why}: another node takes over"
        step.tell("TaskMoved", task, text)
        return
    turn = "another port is chosen" if allocation.status.refused_port else "another node has its turn"
    text = f"{task} does not start on {allocation.node}{why}: {turn}"
    step.tell("TaskMoved", task, text)


def _tell_placed(step: Step, record: JobRecord, placed: list[Allocation]) -> None:
    if len(placed) > MAX_EVENTS_EACH:
        nodes = len({allocation.node for allocation in placed})
        text = f"{several(len(placed), 'task')} of {record.job.name} placed on {several(nodes, 'node')}"
        step.tell("TasksPlaced", record.job.name, text)
        return
    for allocation in placed:
        task = task_id(allocation.job, allocation.index)
        step.tell("TaskPlaced", task, f"{task} placed on {allocation.node}")


def _names_the_same(former: RefusalReason, why: RefusalReason) -> bool:
    """Returns whether two refusals name the same filters: that one more node fails at one of them is no event."""
    if isinstance(former, str) or isinstance(why, str):
        return former == why
    return former.filters == why.filters


def _tell_refused(step: Step, record: JobRecord) -> None:
    name, waiting = record.job.name, record.open_count
    verb = "waits" if waiting == 1 else "wait"
    subject = task_id(name, 0) if record.job.count == 1 else name
    who = subject if record.job.count == 1 else f"{waiting:,} of {several(record.job.count, 'task')} of {name}"
    step.tell("TaskRefused", subject, f"{who} {waiting_text(record.refusal, record.job.task, verb)}")


TABLES = ()
COMMANDS = (apply_plan,)
