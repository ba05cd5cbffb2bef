"""The few steps by which tables and indexes change together. `apply` and a restore both go through here."""

from msgspec.structs import replace

from orion.model.allocation import SCHEDULED, TERMINAL, Allocation, AllocationState, AllocationStatus
from orion.model.health import Health
from orion.model.ids import JobName, NodeId
from orion.model.job import Job
from orion.model.node import Node
from orion.model.placement import RefusalReason, waits_of
from orion.state.job_queue import queue_key
from orion.state.job_record import OPEN, JobRecord, ends_slot, new_open, slot_wants
from orion.state.records import (
    MAX_ENDED_PER_SLOT,
    MAX_REASON,
    MAX_REFUSED_PORTS,
    Holdings,
    NodeRecord,
    Tables,
    port_key,
)

_MAX_SMALL_INT = 1 << 16


# --- nodes -------------------------------------------------------------------------------------------------


def add_node(state: Tables, node: Node) -> NodeRecord:
    record = NodeRecord(node, state.ports_of(node.engine), _holdings(state, node.id))
    state.nodes[node.id] = node
    state.records[node.id] = record
    state.numbers[node.number] = record
    if node.draining:
        state.draining[node.id] = record
    state.facts_epoch += 1
    state.capacity_epoch += 1
    return record


def set_node(state: Tables, record: NodeRecord, node: Node) -> None:
    """Take new facts. A changed engine needs `move_engine` too."""
    state.nodes[node.id] = node
    record.set_node(node)
    if node.draining:
        state.draining[node.id] = record
    else:
        state.draining.pop(node.id, None)
    state.facts_epoch += 1
    state.capacity_epoch += 1


def _holdings(state: Tables, node: NodeId) -> Holdings:
    """Returns what is remembered of a node's allocations, which may be there before the node is and after it."""
    holdings = state.by_node.get(node)
    if holdings is None:
        holdings = state.by_node[node] = Holdings()
    return holdings


# --- jobs --------------------------------------------------------------------------------------------------


def add_job(state: Tables, job: Job, refusal: RefusalReason = "") -> JobRecord:
    record = state.jobs[job.name] = JobRecord(job, state.next_serial, refusal)
    state.next_serial += 1
    _index(state, record)
    note_awaited(state, job.name)
    share_ints(state, job.count)
    return record


def note_awaited(state: Tables, name: JobName) -> None:
    """Has those looked at again that wait for this job."""
    if name in state.waits_after:
        state.capacity_epoch += 1


def share_ints(state: Tables, count: int) -> None:
    """Has one int object for each index of a job of so many tasks."""
    known = len(state.small_ints)
    if count > known:
        state.small_ints.extend(range(known, min(count, _MAX_SMALL_INT)))


def close_job(state: Tables, record: JobRecord, job: Job) -> None:
    """It is `job` from here on, which is not wanted: no slot wants anything, and what runs is to end."""
    record.job = job
    record.open = bytearray(len(record.slots))
    record.open_count = 0
    if record.rollout is not None:
        record.rollout.slots = None
        record.rollout.moving.clear()
        record.rollout.alone = False
    set_refusal(state, record, "")
    note_awaited(state, job.name)
    for index in range(len(record.slots)):
        for allocation in record.history(index):
            if not allocation.terminal:
                _let_end(state, allocation)


def open_job(state: Tables, record: JobRecord, job: Job) -> None:
    """It is `job` from here on, which is wanted: what has ended runs again, and former failures count no more."""
    record.job = job
    fit_slots(state, record)
    for index in range(len(record.slots)):
        for allocation in record.history(index):
            status = allocation.status
            if status.terminal and (allocation.wanted or status.failed_starts):
                forgiven = replace(status, failed_starts=0)
                store(state, record, allocation, replace(allocation, wanted=False, status=forgiven))
        set_open(state, record, index, is_open=slot_wants(record, index))
    note_awaited(state, job.name)


def collect(state: Tables, record: JobRecord) -> None:
    """Forgets all allocations of a job that has ended, but not that it has."""
    record.job = replace(record.job, collected=True)
    for index in range(len(record.slots)):
        for allocation in record.history(index):
            _forget(state, allocation)
        record.slots[index] = None


def forget_job(state: Tables, record: JobRecord) -> None:
    """Forget a job none of whose allocations is active, and them with it."""
    del state.jobs[record.job.name]
    state.open_jobs.discard(record.queue_key)
    state.refused_jobs.discard(record.queue_key)
    state.waits_beside.pop(record.job.name, None)
    state.waits_after.put(record.job.name, ())
    note_awaited(state, record.job.name)
    for index in range(len(record.slots)):
        for allocation in record.history(index):
            _forget(state, allocation)


def fit_slots(state: Tables, record: JobRecord) -> None:
    """Has a slot for each task that the job counts, and beyond them only those in which something is active."""
    slots, count = record.slots, record.job.count
    versions = record.rollout.slots if record.rollout else None
    surplus = record.open.count(OPEN, count)
    if surplus:
        record.open[count:] = bytes(len(slots) - count)
        record.open_count -= surplus
    more = count - len(slots)
    if more > 0:
        slots.extend([None] * more)
        if versions is not None:
            versions.extend([record.job.version] * more)
        share_ints(state, count)
        opened = new_open(record.job, len(record.open))
        record.open.extend(opened)
        record.open_count += opened.count(OPEN)
        state.capacity_epoch += 1
    for index in range(count, len(slots)):
        forget_surplus(state, record, index)
    record.drop_surplus()
    if more > 0 or surplus:
        set_refusal(state, record, record.refusal if record.open_count else "")
        note_awaited(state, record.job.name)  # with fewer tasks it may have completed


def forget_surplus(state: Tables, record: JobRecord, index: int) -> None:
    """Forgets what has ended in a slot that the job does not count any more, once nothing in it is active."""
    held = record.history(index)
    if held and all(allocation.terminal for allocation in held):
        record.slots[index] = None
        for allocation in held:
            _forget(state, allocation)


def set_open(state: Tables, record: JobRecord, index: int, *, is_open: bool) -> None:
    if record.open[index] == is_open:
        return
    if is_open:
        record.open[index] = OPEN
        record.open_count += 1
        state.capacity_epoch += 1
        _index(state, record)
    else:
        _close(state, record, index)


def _close(state: Tables, record: JobRecord, index: int) -> None:
    record.open[index] = 0
    record.open_count -= 1
    if not record.open_count:
        set_refusal(state, record, "")


def set_refusal(state: Tables, record: JobRecord, why: RefusalReason) -> None:
    record.refusal = why
    _index(state, record)


def _index(state: Tables, record: JobRecord) -> None:
    """A job with an open slot is in one of two indexes: those that were refused only wait for other capacity."""
    job, key = record.job, queue_key(record.job.priority, record.serial)
    if key != record.queue_key:  # it has another priority now
        state.open_jobs.discard(record.queue_key)
        state.refused_jobs.discard(record.queue_key)
        record.queue_key = key
    rules = job.task.rules
    if rules is not None and rules.alongside is not None and record.refusal and record.open_count:
        state.waits_beside[job.name] = rules.alongside.job
    elif state.waits_beside:
        state.waits_beside.pop(job.name, None)
    waits = waits_of(record.refusal) if record.refusal and record.open_count else ()
    if waits or state.waits_after:
        # Itself, too: once one of its tasks runs, the others wait for nobody.
        state.waits_after.put(job.name, (*(wait.job for wait in waits), job.name) if waits else ())
    for index, holds in ((state.open_jobs, not record.refusal), (state.refused_jobs, bool(record.refusal))):
        if holds and record.open_count:
            index.add(key, job.name)
        else:
            index.discard(key)


# --- allocations -------------------------------------------------------------------------------------------


def insert(state: Tables, record: JobRecord, node: NodeRecord | None, allocation: Allocation) -> None:
    """Add one allocation as the newest of its slot. `node` is None when it was removed meanwhile.

    Called once for each of a million placements, so kept flat.
    """
    identity, index, status = allocation.id, allocation.index, allocation.status
    job = record.job
    state.allocations[identity] = allocation
    (node.holdings if node else _holdings(state, allocation.node)).add(job.name, identity)
    slots = record.slots
    slots[index] = allocation if slots[index] is None else (*record.history(index), allocation)
    spec = job.task if record.rollout is None else record.spec(allocation.job_version)
    if status is not SCHEDULED and status.state in TERMINAL:
        closes = ends_slot(allocation, job.kind)
    else:
        assert node is not None, "an active allocation has a node"
        closes = allocation.wanted
        node.hold(spec.resources)
        node.work_index = state.index
        record.active += 1
        if status is not SCHEDULED:
            _note_stuck(state, record, allocation)
        if allocation.ports:
            for port, binding in zip(allocation.ports, spec.ports, strict=True):
                node.ports[port_key(port, binding.protocol)] = identity
    if record.rollout is not None or job.update is not None or spec.volumes:
        set_open(state, record, index, is_open=slot_wants(record, index))
    elif closes and record.open[index]:
        _close(state, record, index)


def set_status(state: Tables, allocation: Allocation, status: AllocationStatus) -> Allocation:
    """Take a status that TRANSITIONS allows. An end frees resources and ports and settles the slot."""
    if len(status.reason) > MAX_REASON:
        status = replace(status, reason=status.reason[:MAX_REASON])
    record = state.jobs[allocation.job]
    ran = allocation.ran or status.state is AllocationState.RUNNING or status.started_at_ms > 0
    changed = replace(allocation, status=status, ran=ran)
    store(state, record, allocation, changed)
    if status.state is AllocationState.RUNNING:
        _forgive(state, record, changed.index, works=status.health is Health.HEALTHY)
        if state.waits_beside and changed.job in state.waits_beside.values():
            state.capacity_epoch += 1  # it is what others wait for
        note_awaited(state, changed.job)
    if status.terminal:
        _release(state, record, changed)
        _trim(state, record, changed.index)
        set_open(state, record, changed.index, is_open=slot_wants(record, changed.index))
        if record.rollout is not None:
            record.rollout.moving.pop(changed.id, None)
        if changed.index >= record.job.count:
            forget_surplus(state, record, changed.index)
            record.drop_surplus()
    return changed


def note_refused_port(state: Tables, node: NodeRecord, allocation: Allocation) -> None:
    """The node's machine does not give a host port that Orion chose for the allocation."""
    refused = allocation.status.refused_port
    bindings = state.jobs[allocation.job].spec(allocation.job_version).ports
    keys = [
        port_key(port, binding.protocol)
        for port, binding in zip(allocation.ports, bindings, strict=True)
        if port == refused and not binding.host_port
    ]
    if keys:
        kept = [key for key in node.node.refused_ports if key not in keys]
        set_node(state, node, replace(node.node, refused_ports=(*kept, *keys)[-MAX_REFUSED_PORTS:]))


def _let_end(state: Tables, allocation: Allocation) -> None:
    """It is to end, and its node to look again, even if it knows that: a stopped job leaves more behind than
    one that is removed.
    """
    if allocation.wanted:
        set_unwanted(state, allocation)
    else:
        state.records[allocation.node].work_index = state.index


def set_unwanted(state: Tables, allocation: Allocation) -> None:
    """It is to end; until then it keeps what it holds, but its slot may be given to another at once."""
    record = state.jobs[allocation.job]
    store(state, record, allocation, replace(allocation, wanted=False))
    state.records[allocation.node].work_index = state.index
    set_open(state, record, allocation.index, is_open=slot_wants(record, allocation.index))


def active_of(state: Tables, node: NodeId) -> list[Allocation]:
    """Allocations on a node that have not ended, by id."""
    allocations = state.allocations
    found = [allocations[identity] for identity in state.by_node[node].ids()]
    return [allocation for allocation in found if not allocation.terminal]


def _forgive(state: Tables, record: JobRecord, index: int, *, works: bool) -> None:
    """It runs: what nodes could not start before was no fault of theirs, or is past. It `works`: so is that it was
    unhealthy on another one.
    """
    for former in record.history(index):
        status = former.status
        if not former.terminal:
            continue
        if status.failed_starts:
            status = replace(status, failed_starts=0)
        if works and status.health is Health.UNHEALTHY:
            status = replace(status, health=Health.NONE)
        if status is not former.status:
            store(state, record, former, replace(former, status=status))


def store(state: Tables, record: JobRecord, old: Allocation, new: Allocation) -> None:
    state.allocations[new.id] = new
    slot = record.slots[new.index]
    if isinstance(slot, tuple):
        record.slots[new.index] = tuple(new if each is old else each for each in slot)
    else:
        record.slots[new.index] = new
    _note_stuck(state, record, new)


def _note_stuck(state: Tables, record: JobRecord, allocation: Allocation) -> None:
    if not record.is_stuck(allocation):
        state.stuck.pop(allocation.id, None)
    elif allocation.id not in state.stuck:
        state.stuck[allocation.id] = None
        state.capacity_epoch += 1


def _release(state: Tables, record: JobRecord, allocation: Allocation) -> None:
    node, spec = state.records[allocation.node], record.spec(allocation.job_version)
    node.release(spec.resources)
    record.active -= 1
    node.work_index = state.index
    for port, binding in zip(allocation.ports, spec.ports, strict=True):
        del node.ports[port_key(port, binding.protocol)]
    state.capacity_epoch += 1


def _trim(state: Tables, record: JobRecord, index: int) -> None:
    """Forget the slot's oldest ended allocation when there are too many, but not the only one that ends it."""
    history = record.history(index)
    ended = [allocation for allocation in history if allocation.terminal]
    if len(ended) <= MAX_ENDED_PER_SLOT:
        return
    enders = [each for each in ended if ends_slot(each, record.job.kind) and record.serves(each)]
    oldest = ended[1] if len(enders) == 1 and enders[0] is ended[0] else ended[0]
    record.slots[index] = tuple(allocation for allocation in history if allocation is not oldest)
    _forget(state, oldest)


def _forget(state: Tables, allocation: Allocation) -> None:
    del state.allocations[allocation.id]
    mine = state.by_node[allocation.node]
    mine.remove(allocation.job, allocation.id)
    node = state.records.get(allocation.node)
    if node:
        node.work_index = state.index
    elif not mine:
        del state.by_node[allocation.node]
