"""The planner: one plan for several jobs, made in one overlay so that they don't collide."""

from collections.abc import Sequence

from orion.model.allocation import Allocation
from orion.model.ids import AllocationId, JobName
from orion.model.job import JobKind
from orion.model.levels import level_of_type
from orion.model.placement import PlacementFailure, RefusalReason
from orion.model.placement_text import placement_text
from orion.scheduler.choose import Choice
from orion.scheduler.closed_ports import closed_ports
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.explain import explain, same_news
from orion.scheduler.past import failed_on, pool_by_past
from orion.scheduler.plan import Plan
from orion.scheduler.pools import Pool, Pools
from orion.scheduler.volume_homes import VolumeHomes
from orion.scheduler.volume_places import VolumePlaces
from orion.state.job_record import JobRecord
from orion.state.order import unmet
from orion.state.placed import engine_key
from orion.state.records import NodeRecord
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.plans import Placements, Refusal
from orion.state.view import View

MAX_PLACEMENTS = 2_000  # of one plan: its entry stays small, and applying it takes a few milliseconds
MAX_MOVES = 64  # in one plan, of tasks that their nodes can't start
# A task that so many engines could not start is likely at fault itself. From then on it moves only when its present
# engine has tried PATIENT_FAILURES times, which takes a good half minute.
QUICK_ENGINES = 4
PATIENT_FAILURES = 6
QUICK_PORTS = 4  # after so many host ports in vain, one task waits for PATIENT_FAILURES too
MAX_LOOKS = 60_000  # at nodes, for one plan: some ten milliseconds
# A bound of one plan, counted roughly and never too low; one job at most goes past it. Raft must take the plan's
# entry (4 MiB), or the same jobs give the same plan for ever.
MAX_PLAN_BYTES = 1024 * 1024
_ROW_BYTES = 20  # of one placement: an index, a node's number, lengths
_PORT_BYTES = 3
_JOB_BYTES = 40  # beside its name
_STOP_BYTES = 5
_FAILURE_BYTES = 80  # why a job was refused: seven counts, three of them with an amount
_SHORT_PORT_BYTES = 14  # of it, for each host port
_EXCLUDED_BYTES = 5  # and for each constraint
_WAIT_BYTES = 100  # and for each job that is waited for
_VOLUME_BYTES = 300  # and for a volume


def schedule(
    view: View,
    jobs: Sequence[JobName],
    pools: Pools | None = None,
    *,
    max_placements: int = MAX_PLACEMENTS,
    max_looks: int = MAX_LOOKS,
    max_bytes: int = MAX_PLAN_BYTES,
    turn: int = 0,
) -> Plan:
    """Places the waiting tasks of `jobs`, those of a higher priority first and of equal ones the earlier. Moves
    tasks off draining nodes, and tasks that their node can't start, whatever their job.

    A task that leaves a draining node is stopped in the plan that places its successor. It is stopped even if there
    is no place: it may hold the very port that its successor needs. `pools` spares the scan of all nodes while none
    of them changed; without it the answer is the same. `turn` is another number each time, so that each of many
    tasks that can't be started has its turn.
    """
    planner = _Planner(view, pools or Pools(), max_placements, max_looks, max_bytes)
    moves = planner.leave_draining()
    for name in sorted(dict.fromkeys((*moves, *jobs)), key=planner.turn_of):
        planner.place_job(name, moves.get(name, []))
    planner.move_stuck(turn)
    return planner.plan()


class _Planner:
    def __init__(self, view: View, pools: Pools, max_placements: int, max_looks: int, max_bytes: int) -> None:
        self._view = view
        self._pools = pools
        self._overlay = Overlay(closed_ports(view))
        self._homes = VolumeHomes(view)
        self._room = max_placements
        self._looks_left = max_looks
        self._bytes_left = max_bytes
        self._understood = view.level >= level_of_type(PlacementFailure)
        self._refused_shapes: dict[object, RefusalReason] = {}
        self._placements: list[Placements] = []
        self._stops: list[AllocationId] = []
        self._moves: list[AllocationId] = []
        self._refusals: list[Refusal] = []
        self._rest: dict[JobName, None] = {}

    def plan(self) -> Plan:
        return Plan(
            tuple(self._placements),
            tuple(self._stops),
            tuple(self._refusals),
            tuple(self._rest),
            tuple(self._moves),
        )

    def turn_of(self, name: JobName) -> int:
        """Those of a higher priority go first."""
        job = self._view.job(name)
        return -job.priority if job else 0

    @property
    def _full(self) -> bool:
        return self._room <= 0 or self._looks_left <= 0 or self._bytes_left <= 0

    def leave_draining(self) -> dict[JobName, list[int]]:
        """Stops what is on draining nodes, of jobs that say nothing of how they are updated: the others' tasks are
        led away in their own way (reconcile/moves.py). Returns the slots that this opens, by job.
        """
        moves: dict[JobName, list[int]] = {}
        for record in self._view.draining():
            for allocation in self._view.leaving(record):
                if len(self._stops) == self._room:
                    self._rest[allocation.job] = None
                    continue
                self._stops.append(allocation.id)
                self._overlay.leaving.add(allocation.id)
                self._bytes_left -= _STOP_BYTES
                if not self._is_at_home(allocation.job) and not self._goes_first(allocation):
                    moves.setdefault(allocation.job, []).append(allocation.index)
        return moves

    def _goes_first(self, allocation: Allocation) -> bool:
        """Returns whether it has to end before its slot is given to another."""
        record = self._view.job_record(allocation.job)
        return record is not None and record.spec(allocation.job_version).writes_volumes

    def _is_at_home(self, name: JobName) -> bool:
        """Returns whether the job's tasks each have their own node, and go nowhere else."""
        record = self._view.job_record(name)
        return record is not None and record.job.kind is JobKind.SYSTEM

    def move_stuck(self, turn: int) -> None:
        """Moves each task that its node can't start to an engine that has not tried it yet, if one has room. Else
        it stays, and after a good half minute goes to the engine that tried it longest ago. A task whose machine
        refuses a port that was chosen for it gets another port, there or elsewhere.
        """
        stuck = self._view.stuck()
        leaving = set(self._stops)
        start = turn * MAX_MOVES % len(stuck) if stuck else 0
        for allocation in (*stuck[start:], *stuck[:start]):
            if len(self._moves) == MAX_MOVES or self._full:
                return
            if allocation.id not in leaving:
                self._move(allocation)

    def _move(self, allocation: Allocation) -> None:
        record = self._view.job_record(allocation.job)
        if record is None or record.job.kind is JobKind.SYSTEM:
            return
        if allocation.status.refused_port:
            self._choose_another_port(record, allocation)
            return
        if record.is_ill(allocation):
            self._replace_ill(record, allocation)
            return
        tried = self._tried(allocation)
        patient = allocation.status.failed_starts >= PATIENT_FAILURES
        if len(tried) >= QUICK_ENGINES and not patient:
            return
        choice = self._elsewhere(record, allocation, tried)
        if not choice.done and patient and len(tried) > 1:
            choice = self._elsewhere(record, allocation, tried[1:])
        if choice.done:
            self._leave(allocation)
            self._give_over(record, allocation, choice)

    def _replace_ill(self, record: JobRecord, allocation: Allocation) -> None:
        """Replaces an unhealthy task on an engine on which it was not unhealthy yet. While there is none its node
        goes on with it; while its job is changed it is for the deployment to say what follows.
        """
        if self._view.of(Deployments).running_of(allocation.job) is not None:
            return
        choice = self._elsewhere(record, allocation, self._tried(allocation))
        if choice.done:
            self._leave(allocation)
            self._give_over(record, allocation, choice)

    def _choose_another_port(self, record: JobRecord, allocation: Allocation) -> None:
        """Replaces a task whose host port its machine refuses. Without room for both it is ended all the same,
        because it can't run as it is, and its slot stays open. After several ports in a row the port is hardly the
        cause: the next one is tried only after a good half minute.
        """
        history = self._view.allocations_of_slot(allocation.job, allocation.index)
        in_vain = sum(former.terminal and former.status.failed_starts > 0 for former in history)
        if in_vain >= QUICK_PORTS and allocation.status.failed_starts < PATIENT_FAILURES:
            return
        self._leave(allocation)
        tried = self._tried(allocation)
        node = self._view.node(allocation.node)
        others = [engine for engine in tried if node is None or engine != engine_key(node)]
        choice = self._elsewhere(record, allocation, others)
        if choice.done:
            self._give_over(record, allocation, choice)

    def _give_over(self, record: JobRecord, allocation: Allocation, choice: Choice) -> None:
        if not self._goes_first(allocation):
            self._give(record, [allocation.index], choice)

    def _leave(self, allocation: Allocation) -> None:
        self._moves.append(allocation.id)
        self._overlay.leaving.add(allocation.id)
        self._bytes_left -= _STOP_BYTES

    def _elsewhere(self, record: JobRecord, allocation: Allocation, engines: Sequence[str]) -> Choice:
        """Returns a place for one task, on none of these engines."""
        demand = Demand(record.spec(record.version(allocation.index)))
        pool = self._pools.pool(self._view, demand.constraints, demand.rules)
        if demand.task.has_volumes:
            pool = self._homes.spot(demand.task, allocation.index, allocation.id).narrowed(pool)
        self._looks_left -= len(pool.nodes)
        return Choice(self._view, record, [allocation.index], demand, pool.without(engines), self._overlay)

    def _tried(self, allocation: Allocation) -> list[str]:
        return failed_on(self._view, self._view.allocations_of_slot(allocation.job, allocation.index))

    def place_job(self, name: JobName, moved: list[int]) -> None:
        record = self._view.job_record(name)
        if record is None:
            return
        indexes = sorted((*moved, *record.open_indexes(max(0, self._room - len(moved)))))
        waiting = record.open_count + len(moved)
        if not waiting:
            return
        if self._full:
            self._rest[name] = None
            return
        del indexes[self._room :]
        why = self._place_versions(record, indexes, waiting)
        if not same_news(record.refusal, why):
            self._refusals.append(Refusal(name, record.job.created_index, why))
            self._bytes_left -= _JOB_BYTES + len(name) + _size_bytes(why)

    def _place_versions(self, record: JobRecord, indexes: list[int], waiting: int) -> RefusalReason:
        """Places tasks, those that want one version after those of another. Returns why some do not fit."""
        whys: list[RefusalReason] = []
        for version, group in _by_version(record, indexes):
            spec = record.spec(version)
            if spec.after and (waits := unmet(self._view.job_record, record, version)):
                whys.append(PlacementFailure(waits=waits))
                continue
            demand = Demand(spec)
            more = waiting - len(indexes)  # that this plan does not look at
            if record.job.kind is JobKind.SYSTEM:
                whys.append(self._place_at_home(record, demand, group, more))
                continue
            if spec.has_volumes:
                whys.append(self._place_by_volumes(record, demand, group, waiting))
                continue
            ranked = demand.rules is not None and demand.rules.ranked
            shape = (demand.shape, record.job.name, version) if ranked else demand.shape
            why = self._refused_shapes.get(shape) or self._place(record, demand, group, len(group) + more)
            if why:
                self._refused_shapes[shape] = why
            whys.append(why)
        return next((why for why in whys if why), "")

    def _place(self, record: JobRecord, demand: Demand, indexes: list[int], waiting: int) -> RefusalReason:
        """Places the tasks that fit. Returns why the rest do not; "" when nothing is refused."""
        pool = self._pools.pool(self._view, demand.constraints, demand.rules)
        if fit := self._place_by_past(record, demand, pool, indexes):
            indexes = [index for index in indexes if index not in fit]
            waiting -= len(fit)
            if not indexes:
                return ""
        choice = Choice(self._view, record, indexes, demand, pool, self._overlay)
        self._looks_left -= choice.looked
        placed = len(choice.nodes)
        if placed:
            self._give(record, indexes[:placed], choice)
        if not choice.done:
            failure = explain(pool, self._overlay, demand, choice.rules)
            why = failure if self._understood else placement_text(failure, demand.task)
            self._looks_left -= len(pool.nodes)
            return why
        if placed < waiting:
            self._rest[record.job.name] = None
        return ""

    def _place_by_past(self, record: JobRecord, demand: Demand, pool: Pool, indexes: list[int]) -> set[int]:
        """Places the tasks of which the past says where they are to be. Returns those that fit so."""
        fit: set[int] = set()
        for index in indexes:
            if record.slots[index] is None:  # of a million new tasks none has a past
                continue
            if (chosen := pool_by_past(self._view, record, index, pool)) is None:
                continue
            self._looks_left -= len(chosen.nodes)
            choice = Choice(self._view, record, [index], demand, chosen, self._overlay)
            if choice.done:
                self._give(record, [index], choice)
                fit.add(index)
        return fit

    def _place_at_home(self, record: JobRecord, demand: Demand, indexes: list[int], more: int) -> RefusalReason:
        """Places each task on the node that its slot is of, `more` are for the next plan. Returns why some do not
        fit there.
        """
        pool = self._pools.pool(self._view, demand.constraints, demand.rules)
        left: list[NodeRecord] = []
        placed = 0
        for index in indexes:
            home = [row for row in pool.nodes if row.node.id == record.job.homes[index]]
            choice = Choice(self._view, record, [index], demand, pool.of(home), self._overlay)
            self._looks_left -= 1
            if choice.done:
                self._give(record, [index], choice)
                placed += 1
            else:
                left += home
        if placed and more:  # without one that is placed the next plan would be this one, for ever
            self._rest[record.job.name] = None
        if placed == len(indexes):
            return ""
        # Without `left` the nodes take no tasks any more, and the job has yet to follow.
        failure = explain(pool.of(left), self._overlay, demand) if left else pool.failure
        return failure if self._understood else placement_text(failure, demand.task)

    def _place_by_volumes(
        self, record: JobRecord, demand: Demand, indexes: list[int], waiting: int
    ) -> RefusalReason:
        """Places each task where its volumes are. Returns why some have no place there."""
        pool = self._pools.pool(self._view, demand.constraints, demand.rules)
        places = VolumePlaces(self._view, record, demand, pool, self._overlay, self._homes)
        placed = 0
        for index in indexes:
            if self._full:
                self._rest[record.job.name] = None
                break
            choice = places.choice(index, waiting - placed)
            self._looks_left -= choice.looked if choice is not None else 1
            if choice is not None:
                self._give(record, [index], choice)
                placed += 1
        if placed and len(indexes) < waiting:
            self._rest[record.job.name] = None
        if places.failure is None:
            return ""
        return places.failure if self._understood else placement_text(places.failure, demand.task)

    def _give(self, record: JobRecord, indexes: list[int], choice: Choice) -> None:
        job = record.job
        version = record.version(indexes[0])
        group = Placements(job.name, job.created_index, version, indexes, choice.nodes, choice.ports)
        self._placements.append(group)
        self._room -= len(indexes)
        row_bytes = _ROW_BYTES + _PORT_BYTES * (len(choice.ports[0]) if choice.ports else 0)
        self._bytes_left -= _JOB_BYTES + len(job.name) + row_bytes * len(indexes)


def _by_version(record: JobRecord, indexes: list[int]) -> list[tuple[int, list[int]]]:
    """Returns the slots by the version that they want."""
    rollout = record.rollout
    if rollout is None or rollout.slots is None:
        return [(record.job.version, indexes)]
    groups: dict[int, list[int]] = {}
    for index in indexes:
        groups.setdefault(rollout.slots[index], []).append(index)
    return sorted(groups.items())


def _size_bytes(why: RefusalReason) -> int:
    if isinstance(why, str):
        return len(why.encode())
    return (
        _FAILURE_BYTES
        + _SHORT_PORT_BYTES * len(why.ports)
        + _EXCLUDED_BYTES * len(why.excluded)
        + _WAIT_BYTES * len(why.waits)
        + (_VOLUME_BYTES if why.volume else 0)
    )
