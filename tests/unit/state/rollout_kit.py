"""A job on its way from version to version: state, scheduler and the deployments' decisions with tasks that a test
makes ready or has fail.
"""

from msgspec.structs import replace
from state_kit import World

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import LEVEL
from orion.model.update import UpdatePolicy
from orion.reconcile.deployment_look import Memory
from orion.reconcile.deployments import decide, what_holds
from orion.reconcile.moves import MoveMemory, decide_moves, is_led
from orion.scheduler.pools import Pools
from orion.scheduler.room import has_room, target
from orion.scheduler.schedule import schedule
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.job_changes import PromoteJob, PutJob, RestartJob, RollBackJob, SetJobCount
from orion.state.tables.moves import MoveTasks


class Rollout(World):
    """`behaviour(allocation)`: the status that its node reports next, None for none. `pull(node, image)`: what
    comes of a pull ahead, as Memory has it, None while it is under way; without it nodes have all images.
    """

    def __init__(self, nodes=3):
        super().__init__(nodes)
        self.state.level = LEVEL
        self.now_ms = 1_000
        self.memories = {}
        self.waits = {}
        self.pull = lambda node, image: ""

    def deploy(
        self, name="web", count=3, image="nginx:1", kind=JobKind.SERVICE, if_version=-1, update=None, **task
    ):
        policy = update or UpdatePolicy()
        job = Job(name, kind, count, TaskSpec(image, **task), created_at_ms=20, update=policy)
        return self.do(PutJob(100, job, f"put {self.index}", self.index, if_version))

    def scale(self, count, name="web"):
        return self.do(SetJobCount(100, name, count, f"scale {self.index}", self.index))

    def roll_back(self, version=-1, name="web"):
        return self.do(RollBackJob(100, name, f"back {self.index}", self.index, version))

    def restart(self, name="web"):
        return self.do(RestartJob(100, name, f"restart {self.index}", self.index))

    def promote(self, name="web"):
        return self.do(PromoteJob(100, name, f"promote {self.index}", self.index))

    def deployment(self, name="web"):
        return self.view.of(Deployments).latest(name)

    def new_leader(self):
        self.memories.clear()

    def plan(self):
        plan = schedule(self.view, [*self.view.jobs_to_place(), *self.view.jobs_refused()])
        if not plan.empty:
            self.do(plan.command(self.now_ms))
        return not plan.empty

    def lead(self):
        """One look at each running deployment. Returns the commands."""
        commands = []
        for row in self.view.of(Deployments).running():
            record = self.view.job_record(row.job)
            memory = self.memories.setdefault(row.id, Memory({}, {}))
            decision = decide(
                record,
                row,
                record.job.update or UpdatePolicy(),
                memory,
                now_ms=self.now_ms,
                has_room=lambda record=record, row=row: has_room(self.view, record, row.goal, Pools()),
                waits_for=lambda: "waits to be placed",
                target=lambda index, record=record, row=row: target(self.view, record, index, row.goal, Pools()),
                held_by=lambda record=record, row=row: what_holds(self.view.job_record, record, row),
            )
            self.waits[row.job] = decision.why
            image = record.spec(row.goal).image
            for node in decision.pulls:
                if (outcome := self.pull(node, image)) is not None:
                    memory.pulls[node, image] = outcome
            if decision.command is not None:
                commands.append(replace(decision.command, at_ms=self.now_ms))
                self.do(commands[-1])
        return commands

    def active(self, name="web"):
        record = self.view.job_record(name)
        return [a for i in range(len(record.slots)) for a in record.history(i) if not a.terminal]

    def ready(self, name="web"):
        record = self.view.job_record(name)
        return [a for a in self.active(name) if a.wanted and record.is_ready(a)]

    def report(self, allocation, state, **more):
        status = AllocationStatus(AllocationState(state), **more)
        return self.do(UpdateAllocations(100, allocation.node, ((allocation.id, status),)))

    def tick(self, behaviour=None, ms=1_000):
        """The scheduler plans, nodes do as they are told (or as `behaviour` says), the leader looks."""
        self.plan()
        for each in self.active():
            told = behaviour(each) if behaviour else None
            if told is not None:
                self.report(each, **told)
            elif not each.wanted:
                self.report(each, "stopped")
            elif each.status.state is AllocationState.SCHEDULED:
                self.report(each, "running", started_at_ms=1)
        commands = self.lead()
        self.now_ms += ms
        return commands

    def run(self, behaviour=None, ticks=100, ms=1_000, watch=lambda: None):
        """Until no deployment is running, and what is to end has ended."""
        for _ in range(ticks):
            self.tick(behaviour, ms)
            watch()
            if not self.view.of(Deployments).running() and all(a.wanted for a in self.active()):
                return self.deployment()
        raise AssertionError(f"still {self.deployment()}: {self.waits}")

    def versions(self, name="web"):
        return sorted(a.job_version for a in self.active(name) if a.wanted)


class Drain(Rollout):
    """And tasks that are led off draining nodes."""

    def __init__(self, nodes=3):
        super().__init__(nodes)
        self.move_memories = {}

    def lead(self):
        commands = super().lead()
        draining = {record.node.id for record in self.view.draining()}
        for name in self.view.job_names():
            record = self.view.job_record(name)
            moves = decide_moves(
                record,
                draining,
                self.move_memories.setdefault(name, MoveMemory()),
                now_ms=self.now_ms,
                has_room=lambda version, record=record: has_room(self.view, record, version, Pools()),
                deploying=is_led(self.view.job_record, record, self.view.of(Deployments).running_of(name)),
            )
            if moves.move or moves.retire:
                commands.append(MoveTasks(self.now_ms, name, moves.move, moves.retire))
                self.do(commands[-1])
        return commands
