"""The orchestrator's own invariants: of every state that the log makes, and of engines and state together once all
has come to rest.
"""

import itertools
from collections.abc import Iterable

from orion.model.allocation import Allocation, AllocationState
from orion.model.container import ContainerState
from orion.model.ids import NodeId
from orion.model.images import without_digest
from orion.model.job import JobKind
from orion.model.node import Node, NodeStatus
from orion.model.placement_rules import PlacementRules
from orion.model.resources import Resources
from orion.state.job_record import OPEN, JobRecord
from orion.state.records import MAX_COUNT, port_key
from orion.state.slots import task_slot
from orion.state.tables import State
from orion.state.tables.history import MAX_REMOVED, History
from sim.aliased import alias_unrest, check_links
from sim.cluster import Cluster
from sim.deployments import deployments_unrest
from sim.engine import CRASHES, MISSING, SUCCEEDS, Held
from sim.guarded import guard_unrest
from sim.kinds import kinds_unrest
from sim.networked import NameWatch, check_network, is_networked, lacks_network, network_unrest
from sim.ordered import is_held_back
from sim.published import check_published, published_unrest
from sim.volume_making import MakingWatch, makes_volumes, making_unrest
from sim.volumed import VolumeWatch, lacks_data, volumes_admit, volumes_unrest
from sim.world import World

# --- every committed state ---------------------------------------------------------------------------------


class EveryState:
    """What must hold of one state after each entry. A row that was right stays so: rows are frozen, and those that
    are the very objects of before are not looked at again where nothing else counts.
    """

    def __init__(self, world: World, state: State, cluster: Cluster) -> None:
        self._world = world
        self._names = NameWatch(cluster, world) if is_networked(world) else None
        self._volumes = VolumeWatch(cluster, world)
        self._making = MakingWatch(cluster, world, state) if makes_volumes(world) else None
        self._state = state
        self._ended: dict[int, Allocation] = {}  # by the object's id, which is its own while it is held here
        self._histories: dict[str, tuple[object, object]] = {}  # of a job: its record's newest version, and its row

    def check(self) -> None:
        check_applied(self._world, self._state, self._ended)
        check_history(self._world, self._state, self._histories)
        check_network(self._world, self._state)
        check_published(self._world, self._state)
        check_links(self._world, self._state)
        if self._names is not None:
            self._names.look(self._state)
        self._volumes.look(self._state)
        if self._making is not None:
            self._making.look(self._state)


def check_applied(world: World, state: State, ended: dict[int, Allocation]) -> None:
    """Capacity is never exceeded, a host port is never given twice on an engine, no slot has two wanted allocations
    and nothing but slots has one, and a node that is down has none that is not over. `ended`: what had ended well.
    """
    given: dict[NodeId, Resources] = {}
    ports: dict[tuple[str, int], Allocation] = {}
    wanted: dict[tuple[str, int], Allocation] = {}
    crowds: dict[tuple[str, int, NodeId], int] = {}
    for allocation in state.allocations.values():
        if id(allocation) in ended:
            continue
        if allocation.terminal:
            _check_end(world, state, allocation)
            ended[id(allocation)] = allocation
            continue
        spec = state.jobs[allocation.job].spec(allocation.job_version)
        node = state.nodes[allocation.node]
        given[node.id] = given.get(node.id, Resources()) + spec.resources
        for port, binding in zip(allocation.ports, spec.ports, strict=True):
            key = (node.engine or node.id, port_key(port, binding.protocol))
            other = ports.setdefault(key, allocation)
            if other is not allocation:
                world.fail("host port once", f"port {port} of {key[0]} is {other}'s and {allocation}'s")
        if node.status is NodeStatus.DOWN:
            world.fail("lost with its node", f"{allocation} is on {node.id}, which is down")
        if allocation.wanted:
            record = state.jobs[allocation.job]
            job = record.job
            if not job.wanted or not 0 <= allocation.index < (job.count if record.rollout is None else MAX_COUNT):
                world.fail("wanted by its job", f"{allocation} is wanted, of {job}")
            crowd = (allocation.job, allocation.job_version, allocation.node)
            crowds[crowd] = crowds.get(crowd, 0) + 1
            if spec.rules and 0 < spec.rules.max_per_node < crowds[crowd]:
                world.fail("max per node", f"{crowds[crowd]} of {crowd}")
            if not record.serves(allocation):
                continue  # until the new one in its slot is ready
            slot = (allocation.job, allocation.index)
            other = wanted.setdefault(slot, allocation)
            if other is not allocation:
                world.fail("one allocation a slot", f"{slot} has {other} and {allocation}")
    for name, resources in given.items():
        if not resources.fits(state.nodes[name].capacity):
            world.fail("capacity", f"{name} of {state.nodes[name].capacity} has given away {resources}")


def check_history(world: World, state: State, right: dict[str, tuple[object, object]]) -> None:
    """The last change of each job is what it is by now; a job of before all nodes kept histories may have none.
    `right`: jobs and rows that were right together.
    """
    # By name: where two builds are in one cluster, the state may be of the other's classes.
    rows = next(table.rows for kind, table in state.tables.items() if kind.__name__ == History.__name__)
    for name, record in state.jobs.items():
        job, row = record.latest, rows.get(name)
        known = right.get(name)
        if row is None or (known is not None and known[0] is job and known[1] is row):
            continue
        last = row.changes[-1]
        changed = "created started updated scaled rolled-back restarted"
        wanted = "removed" if job.stopping else "stopped" if job.stopped else changed
        counted = job.count if job.kind is not JobKind.SYSTEM else last.count  # it counts by itself
        same = (last.created_index, last.count) == (job.created_index, counted)
        # What was asked for last was removed before it began: what is left of the name is the former, which ends.
        same = same or (job.stopping and last.created_index >= job.created_index)
        if str(last.kind).replace(" ", "-") not in wanted.split() or not same:
            world.fail("the history of a job ends with what it is", f"{job} after {last}")
        right[name] = (job, row)
    kept = [name for name in rows if name not in state.jobs]
    if len(kept) > MAX_REMOVED:
        world.fail("the history of removed jobs is bounded", f"{len(kept)} are kept")


def _check_end(world: World, state: State, allocation: Allocation) -> None:
    """Only what the user wrote wrong ends a task that never ran; only what ends by itself can be done."""
    record = state.jobs[allocation.job]
    image = without_digest(record.spec(allocation.job_version).image)
    if record.rollout is not None and allocation.job_version not in (record.job.version, *record.rollout.specs):
        return  # its spec is forgotten
    if allocation.status.state is AllocationState.COMPLETED and image != SUCCEEDS:
        world.fail("what was told to end is not done", f"{allocation} of {image} has completed")
    if allocation.status.state is AllocationState.FAILED and not allocation.ran and image != MISSING:
        world.fail("what never ran is tried again", f"{allocation} of {image} has failed for good")


# --- at rest -----------------------------------------------------------------------------------------------


def unrest(cluster: Cluster, state: State, wall_ms: int) -> str:
    """Why engines and state do not agree yet, in words; empty when they do: every wanted task runs exactly once, or
    does not fit, or has ended; and no container is there that state does not explain."""
    containers = {
        held.shown.labels.allocation: (engine.id, held)
        for engine in cluster.engines.values()
        for held in engine.containers.values()
    }
    homes = {name: machine.engine.id for name, machine in cluster.machines.items()}
    # One that died for good may never have said which it has, or not since its engine was started again.
    known = [node for node in state.nodes.values() if node.status is NodeStatus.READY]
    for one, other in itertools.combinations(known, 2):
        if (one.engine == other.engine) != (homes[one.id] == homes[other.id]):
            return f"{one.id} and {other.id} have engines {one.engine!r} and {other.engine!r}"
    if (
        reason := deployments_unrest(state)
        or network_unrest(cluster, state)
        or alias_unrest(cluster, state)
        or published_unrest(cluster, state)
        or guard_unrest(cluster.world, cluster, state)
        or volumes_unrest(state)
        or making_unrest(cluster, state)
    ):
        return reason
    for record in state.jobs.values():
        for index in range(record.job.count):
            reason = _task_unrest(cluster, state, record, index, containers, homes)
            if reason:
                return f"{record.job.name}/{index}: {reason}"
    for engine, held in containers.values():
        reason = _container_unrest(state, engine, held)
        if reason:
            return f"container {held.name} on {engine}: {reason}"
    return kinds_unrest(state, wall_ms, _fits)


def _task_unrest(
    cluster: Cluster,
    state: State,
    record: JobRecord,
    index: int,
    containers: dict[int, tuple[str, Held]],
    homes: dict[str, str],
) -> str:
    if record.job.stopping:
        return "is stopping"
    if record.successor is not None:
        return "waits for its own end to start again"
    slot = task_slot(record, index)
    if record.open[index] == OPEN:
        homes = [record.job.homes[index]] if record.job.kind is JobKind.SYSTEM else list(state.nodes)
        fitting = [state.nodes[node] for node in homes if node in state.nodes and _fits(state, node, record, index)]
        if is_held_back(state, record, record.version(index)):
            return ""
        return f"is pending though {fitting[0].id} has room" if fitting else ""
    allocation = slot.allocation
    if allocation is None or allocation.terminal:
        return ""
    found = containers.get(allocation.id)
    image = without_digest(record.spec(allocation.job_version).image)
    if image in (CRASHES, SUCCEEDS) or (record.rollout is not None and image == MISSING):
        return ""  # ends by itself: in and out of its backoff, perhaps for ever
    if is_held_back(state, record, allocation.job_version):
        return ""
    if allocation.status.state is not AllocationState.RUNNING and (
        lacks_network(state, allocation) or lacks_data(cluster, state, allocation)
    ):
        return ""
    if allocation.status.state is not AllocationState.RUNNING:
        return f"is {allocation.status.state} ({allocation.status.reason})"
    if found is None or found[1].shown.state is not ContainerState.RUNNING:
        return f"is called running, but its container is {found[1].shown.state if found else 'not there'}"
    if (spec := record.spec(allocation.job_version)).tells_ready and not allocation.ready_since_ms(spec):
        return f"runs and is not ready: {allocation.status.health} ({allocation.status.reason})"
    node = state.nodes[allocation.node]
    if (found[0], found[1].shown.labels.node) != (homes[node.id], node.id):
        return f"runs on {found[0]}, not on {node.id}'s engine"
    return ""


def _fits(state: State, node: NodeId, record: JobRecord, index: int) -> bool:
    known = state.nodes[node]
    spec = record.spec(record.version(index))
    if not known.schedulable or any(pair not in known.labels for pair in spec.node_labels):
        return False
    if spec.rules is not None and not _rules_admit(state, known, record, spec.rules):
        return False
    if spec.volumes and not volumes_admit(state, record, index, node):
        return False
    free = known.capacity
    for allocation in active_on(state, node):
        free -= state.jobs[allocation.job].spec(allocation.job_version).resources
    held = state.engines.get(known.engine, {})
    asked = [port_key(b.host_port, b.protocol) for b in spec.ports if b.host_port]
    return spec.resources.fits(free) and not any(key in held for key in asked)


def _rules_admit(state: State, node: Node, record: JobRecord, rules: PlacementRules) -> bool:
    """Returns whether the job's rules let one more of its tasks onto the node, worked out from all there is."""
    if not rules.pass_labels(node.labels):
        return False
    if rules.alongside is not None and not _runs_there(state, node.id, rules.alongside.job):
        return False
    mine = [a for a in state.allocations.values() if a.job == record.job.name and a.wanted and not a.terminal]
    if rules.max_per_node and sum(a.node == node.id for a in mine) >= rules.max_per_node:
        return False
    machine = node.engine or node.id
    machines = [state.nodes[a.node].engine or a.node for a in mine]
    return not (rules.distinct_hosts and machine in machines)


def check_placed(world: World, state: State, allocation: Allocation) -> None:
    """One that is to run alongside another job is placed where a task of that one runs."""
    rules = state.jobs[allocation.job].job.task.rules
    beside = rules.alongside.job if rules and rules.alongside else None
    if beside is not None and not _runs_there(state, allocation.node, beside):
        world.fail("alongside", f"{allocation} is placed where no task of {beside} runs")


def _runs_there(state: State, node: NodeId, job: str) -> bool:
    there = (a for a in active_on(state, node) if a.job == job and a.wanted)
    return any(a.status.state is AllocationState.RUNNING for a in there)


def active_on(state: State, node: NodeId) -> Iterable[Allocation]:
    return (a for a in state.allocations.values() if a.node == node and not a.terminal)


def _container_unrest(state: State, engine: str, held: Held) -> str:
    labels = held.shown.labels
    allocation = next((a for a in state.allocations.values() if a.id == labels.allocation), None)
    if allocation is None:
        return "belongs to no allocation"
    if allocation.node != labels.node:
        return f"is {labels.node}'s, its allocation {allocation.node}'s"
    if held.shown.state is ContainerState.RUNNING and (allocation.terminal or not allocation.wanted):
        return f"runs, though its allocation is {allocation.status.state}, wanted {allocation.wanted}"
    return ""
