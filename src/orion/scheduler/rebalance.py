"""Moves that even out how full nodes are, for nodes that joined later or came back. Asked for by people, never made
by itself: each move ends a task and starts it elsewhere.
"""

from collections.abc import Iterator
from heapq import nlargest, nsmallest
from operator import attrgetter

import msgspec

from orion.model.allocation import Allocation, AllocationState
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import JobKind, Placement, RestartMode
from orion.model.placement_rules import PlacementRules
from orion.model.update import UpdateOrder
from orion.scheduler.closed_ports import closed_ports
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.plan import Plan
from orion.scheduler.pools import Pools
from orion.scheduler.task_rules import TaskRules
from orion.state.job_record import JobRecord
from orion.state.records import NodeRecord
from orion.state.tables.configs import Configs
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.plans import Placements
from orion.state.view import View

MAX_MOVES = 64
MAX_LOOKS = 20_000  # at a task on a node, for one plan: some thirty milliseconds
_SOURCES = 16  # the fullest nodes, and as many of the emptiest, are looked at for each move
_TASKS = 64  # of one source
LEAST_GAIN = 0.005  # in load, of which a whole node is 2: a move for less is not worth a start
_LOAD = attrgetter("load")


class Move(msgspec.Struct, frozen=True):
    """A task that leaves its node for another."""

    allocation: AllocationId
    job: JobName
    index: int
    source: NodeId
    target: NodeId


class Rebalance(msgspec.Struct, frozen=True):
    """`plan` carries out the moves but those of `led`: their jobs say how they are updated, and so how they move.
    `more`: there are others, of jobs that have one here already.
    """

    moves: tuple[Move, ...] = ()
    plan: Plan = Plan()
    led: tuple[Move, ...] = ()
    more: bool = False


def rebalance(view: View, pools: Pools | None = None, *, max_moves: int = MAX_MOVES) -> Rebalance:
    """Returns moves of which each leaves the fuller of its two nodes less full than it was, and the other one less
    full than that. At most one task of a job moves, so that the others of it stay where they are meanwhile. All
    that a task asks of its node holds for the new one. Tasks of jobs that want to be packed stay, and those that
    have volumes, run alongside others, have others alongside, or are to run once: a move would begin them anew.
    """
    return _Balancer(view, pools or Pools()).moves(min(max_moves, MAX_MOVES))


class _Balancer:
    def __init__(self, view: View, pools: Pools) -> None:
        self._view = view
        self._pools = pools
        self._overlay = Overlay(closed_ports(view))
        self._looks_left = MAX_LOOKS
        self._moves: list[Move] = []
        self._groups: list[Placements] = []
        self._stops: list[AllocationId] = []
        self._led: list[Move] = []
        self._sources: set[int] = set()
        self._targets: set[int] = set()
        self._more = False
        self._moved: set[JobName] = set()
        everyone = (view.job_record(name) for name in view.job_names())
        beside = [record.job.task.rules.alongside for record in everyone if record and record.job.task.rules]
        self._needed = {each.job for each in beside if each is not None}
        self._default = view.of(Configs).placement

    def moves(self, most: int) -> Rebalance:
        while len(self._moves) < most and self._looks_left > 0 and self._move_one():
            pass
        plan = Plan(tuple(self._groups), tuple(self._stops))
        return Rebalance(tuple(self._moves), plan, tuple(self._led), self._more or self._looks_left <= 0)

    def _move_one(self) -> bool:
        """Makes the first move that is worth it: off the fullest node, to the emptiest."""
        rows = [row for row in self._overlay.current(self._view.node_records()) if row.schedulable]
        # What is freed on a source is free only once its task has ended, so no source gets another one.
        targets = nsmallest(_SOURCES, (row for row in rows if row.number not in self._sources), key=_LOAD)
        for source in nlargest(_SOURCES, (row for row in rows if row.number not in self._targets), key=_LOAD):
            if not targets or source.load - targets[0].load <= LEAST_GAIN:
                return False
            for allocation, record in self._movable(source):
                for target in targets:
                    if source.load - target.load <= LEAST_GAIN:
                        break
                    self._looks_left -= 1
                    if self._improves(record, source, target) and self._admits(record, allocation, source, target):
                        if record.job.name in self._moved:
                            self._more = True
                            break
                        if self._take(record, allocation, source, target):
                            return True
                if self._looks_left <= 0:
                    return False
        return False

    def _movable(self, source: NodeRecord) -> Iterator[tuple[Allocation, JobRecord]]:
        leaving = self._overlay.leaving
        on_node = [a for a in self._view.wanted_on(source) if a.id not in leaving]
        for allocation in on_node[:_TASKS]:
            record = self._view.job_record(allocation.job)
            if record is None or allocation.status.state is not AllocationState.RUNNING:
                continue
            job = record.job
            packed = (job.task.placement or self._default) is Placement.PACK
            apart = job.task.rules is None or job.task.rules.alongside is None
            current = job.wanted and job.version == allocation.job_version and job.kind is JobKind.SERVICE
            once = job.task.restart.mode is RestartMode.NO
            free = apart and not packed and not once and not job.task.has_volumes
            if current and free and job.name not in self._needed and self._may_leave(record):
                yield allocation, record

    def _may_leave(self, record: JobRecord) -> bool:
        policy = record.job.update
        if policy is None:
            return True
        changing = self._view.of(Deployments).running_of(record.job.name) is not None
        if changing or (record.rollout is not None and record.rollout.moving):
            self._more = True  # once its tasks have been exchanged
            return False
        if policy.order is not UpdateOrder.STOP_FIRST:
            return True
        ready = sum(map(record.has_ready, range(record.job.count)))
        return ready > policy.floor(record.job.count, stop_first=True)

    def _improves(self, record: JobRecord, source: NodeRecord, target: NodeRecord) -> bool:
        after = target.draft(record.job.task.resources)
        fits = after.cpu_free >= 0 and after.memory_free >= 0 and after.disk_free >= 0
        return fits and source.load - after.load > LEAST_GAIN

    def _admits(self, record: JobRecord, allocation: Allocation, source: NodeRecord, target: NodeRecord) -> bool:
        """Returns whether the target is as good for the job as the source, and allowed."""
        view, job = self._view, record.job
        if view.active_count(target, job.name) >= view.active_count(source, job.name):
            return False
        demand = Demand(job.task)
        pool = self._pools.pool(view, demand.constraints, demand.rules)
        if all(row.number != target.number for row in pool.nodes):
            return False
        if demand.static_keys and self._overlay.taken_key(target, demand.static_keys) is not None:
            return False
        rules = job.task.rules
        if rules is None:
            return True
        self._overlay.leaving.add(allocation.id)
        allowed = TaskRules(view, job.name, job.version, rules, self._overlay).admits(target)
        self._overlay.leaving.discard(allocation.id)
        return allowed and self._prefers(rules, source, target)

    def _prefers(self, rules: PlacementRules, source: NodeRecord, target: NodeRecord) -> bool:
        """A move to another value of the label that tasks are spread over is none that evens out nodes."""
        here, there = dict(source.node.labels), dict(target.node.labels)
        if rules.spread_over and here.get(rules.spread_over, "") != there.get(rules.spread_over, ""):
            return False
        return rules.weight(there) >= rules.weight(here)

    def _take(self, record: JobRecord, allocation: Allocation, source: NodeRecord, target: NodeRecord) -> bool:
        job, demand = record.job, Demand(record.job.task)
        ports: tuple[int, ...] | None = ()
        if demand.bindings:
            ports = self._overlay.claim_ports(target, demand, allocation.index)
        if ports is None:
            return False
        self._overlay.give([target], demand)
        self._overlay.take_back(source, demand)
        self._overlay.leaving.add(allocation.id)
        self._sources.add(source.number)
        self._targets.add(target.number)
        self._moved.add(job.name)
        move = Move(allocation.id, job.name, allocation.index, source.node.id, target.node.id)
        self._moves.append(move)
        if job.update is not None:
            self._led.append(move)
            return True
        columns = [ports] if demand.bindings else []
        self._groups.append(
            Placements(job.name, job.created_index, job.version, [allocation.index], [target.number], columns)
        )
        self._stops.append(allocation.id)
        return True
