"""One seed: a cluster of some size lives through a safety phase under faults and load; then the faults stop,
everybody comes back, and within a bound the cluster must be whole again.
"""

import asyncio
import gc
import logging
import random
import time
import traceback
from collections.abc import Callable

import msgspec

from orion.model.errors import NotFound, OrionError
from orion.model.node import NodeStatus
from orion.node.rpc.reads import Read
from orion.process.config import Tuning
from orion.raft.messages import ConfState
from sim.builds import PRESENT, Build
from sim.cluster import Cluster, ConnectionLost, Machine
from sim.engine import FOREVER
from sim.events import EVERYTHING, LOSSES, Event, Keep
from sim.faults import Faults
from sim.gate import OperationGate
from sim.history import check_history
from sim.invariants import Invariants
from sim.loop import SimFailure, current_process
from sim.losses import Losses
from sim.networked import takes_part
from sim.orchestration import unrest
from sim.recovery import Recovery
from sim.repeater import Repeater
from sim.volume_making import makes_volumes
from sim.workload import Workload, endpoints_of
from sim.world import World

START_BOUND_S = 30.0  # from power-on to a first leader
LIVENESS_BOUND_S = 150.0  # from the end of faults to rest; a container's backoff alone may be 75 s
REST_S = 3.0  # what has come to rest stays so
LOOK_EVERY_S = 0.25
STARTED_AFTER_MS = 2_000
CHECKED_JOBS = 5  # whose endpoints are looked at in the end, at each node


class Outcome(msgspec.Struct):
    """What one seed showed. `failure` empty: all held."""

    seed: int
    failure: str
    digest: str
    virtual_s: float
    cpu_s: float
    events: int
    checks: int
    counts: dict[str, int]
    recent: list[str]
    plan: str
    happened: list[Event] = []
    flags: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What the seed chose."""

    nodes: int
    late: int  # of them join while faults go on
    engines: int  # shared when fewer than nodes
    safety_s: float
    tuning: Tuning
    losses: bool = False  # at the end of it a minority dies for good
    clones: bool = False  # their engines say the same id


def choose_plan(rng: random.Random) -> Plan:
    nodes = rng.choice((1, 2, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7, 9))
    plan = Plan(
        nodes=nodes,
        late=rng.choice((0, 0, 1, 2)) if nodes > 2 else 0,
        engines=nodes if rng.random() < 0.7 else rng.randint(1, nodes),
        safety_s=rng.uniform(8, 30) if rng.random() < 0.95 else rng.uniform(60, 120),
        tuning=Tuning(
            stop_grace_ms=rng.choice((2_000, 6_000)),
            dead_voter_grace_ms=rng.choice((1_500, 4_000)),
            snapshot_entries=rng.choice((15, 60, 10_000)),
            snapshot_bytes=rng.choice((4_000, 8 * 1024 * 1024)),
            trailing_entries=rng.choice((0, 5, 30)),
        ),
    )
    return plan if rng.random() < 0.65 else with_losses(plan, rng)


def with_losses(plan: Plan, rng: random.Random) -> Plan:
    """Enough nodes that some may go; mostly the last of them join when the three before them vote, so that there is
    a change of voters to die in.
    """
    nodes = rng.choice((3, 4, 5, 5, 5, 5, 6, 6, 7))
    return msgspec.structs.replace(
        plan,
        losses=True,
        nodes=nodes,
        engines=nodes if plan.engines == plan.nodes else rng.randint(1, nodes),
        late=nodes - 3 if 5 <= nodes <= 6 and rng.random() < 0.8 else 0,
        safety_s=min(plan.safety_s, rng.uniform(4, 16)),
    )


class Scenario:
    """`plan` None: as the seed chooses. `keep`: which of its events happen."""

    flags = ""  # with which script/sim runs it

    def __init__(self, world: World, plan: Plan | None = None, keep: Keep = EVERYTHING) -> None:
        self.world = world
        self.plan = plan or msgspec.structs.replace(
            choose_plan(world.rng("plan")), clones=world.rng("clones").random() < 0.3
        )
        if keep.safety_s is not None:
            self.plan = msgspec.structs.replace(self.plan, safety_s=keep.safety_s)
        self._keep = keep
        self.cluster = Cluster(world, self.plan.tuning, clones=self.plan.clones)
        self.cluster.has_network = lambda number: takes_part(world, number)
        self.cluster.has_storage = makes_volumes(world)
        self.invariants = Invariants(self.cluster, self.newest())
        for number in range(1, self.plan.nodes + 1):
            engine = f"engine{1 + (number - 1) % self.plan.engines}"
            self.invariants.watch(self.cluster.add(number, engine))
        machines = list(self.cluster.machines.values())
        self.first = machines[: len(machines) - self.plan.late]
        invariants = self.invariants
        self.recovery = Recovery(self.cluster, lambda: invariants.latest_conf, lambda: invariants.conf_is_changing)
        late = machines[len(self.first) :]
        self.faults = Faults(self.cluster, [] if self.plan.losses else late, self.recovery, keep)
        self.losses = Losses(self.faults.kit, invariants, late)
        self.workload = Workload(self.cluster)
        invariants.on_leader = self.workload.on_leader
        self.repeater = Repeater(self.cluster)
        self.gate = OperationGate(self.cluster, self.workload, keep)

    @staticmethod
    def prepare() -> None:
        """Called once, before the processes of many seeds begin."""

    def newest(self) -> Build:
        """The newest build that some machine may run."""
        return PRESENT

    async def run(self) -> None:
        await self.start()
        self.workload.begin()
        self.repeater.begin()
        self.faults.begin()
        await asyncio.sleep(self.plan.safety_s)
        if self.plan.losses and self._keep.takes(LOSSES):
            await self.losses.strike()
        self.faults.end()
        await self.workload.end()
        await self.repeater.end()
        await self.until_at_rest()
        await self.check_answers()

    async def start(self) -> None:
        self.world.trace("plan", str(msgspec.structs.asdict(self.plan)))
        rng = self.world.rng("start")
        for machine in self.first:
            self.world.after(rng.uniform(0, STARTED_AFTER_MS), machine.boot)
        async with bound(self.world, START_BOUND_S, "a new cluster gets a leader", lambda: "no leader"):
            while self.cluster.leader() is None:  # noqa: ASYNC110 -- nothing tells the world
                await asyncio.sleep(LOOK_EVERY_S)

    # --- liveness -----------------------------------------------------------------------------------------

    async def until_at_rest(self) -> None:
        async with bound(self.world, LIVENESS_BOUND_S, "liveness", self._unrest):
            quiet_s = 0.0
            while quiet_s < REST_S:
                await asyncio.sleep(LOOK_EVERY_S)
                quiet_s = 0.0 if self._unrest() else quiet_s + LOOK_EVERY_S
        self.world.trace("scenario", "at rest")

    def _unrest(self) -> str:
        """What keeps the cluster from being whole, or nothing."""
        machines = self.cluster.living()
        for machine in machines:
            if machine.node is None:
                return f"{machine.name} does not run"
        leaders = [m.name for m in machines if m.node is not None and m.node.driver.is_leader]
        if len(leaders) != 1:
            return f"leaders: {leaders}"
        leader = self.cluster.machines[leaders[0]]
        return self._raft_unrest(leader) or self._nodes_unrest(leader) or self._work_unrest(leader)

    def _raft_unrest(self, leader: Machine) -> str:
        assert leader.node is not None
        status = leader.node.driver.raft.status()
        conf = status.conf
        if conf.voters_outgoing or conf.learners_next or status.conf_pending:
            return f"a configuration change is under way: {conf}"
        if reason := self._members_unrest(conf, len(leader.node.driver.state.nodes)):
            return reason
        for machine in self.cluster.living():
            assert machine.node is not None
            if machine.raft in conf.voters or machine.raft in conf.learners:
                driver = machine.node.driver
                if driver.applied_index != status.last_index:
                    return f"{machine.name} has applied {driver.applied_index} of {status.last_index}"
                if driver.standing.leader != leader.raft:
                    return f"{machine.name} follows {driver.standing.leader}"
        return ""

    def _members_unrest(self, conf: ConfState, count: int) -> str:
        """`count`: registered nodes. With some of them lost for good the voters survive as many more deaths as any
        odd group of those that are left.
        """
        voters = 1 if count <= 2 else 3 if count <= 4 else 5
        living = {machine.raft for machine in self.cluster.living()}
        if len(living) == len(self.cluster.machines):
            learners = min(self.plan.tuning.max_standbys, count - voters)
            sizes = (len(conf.voters), len(conf.learners))
            return "" if sizes == (voters, learners) else f"{count} nodes, but {conf}"
        best = (min(voters, len(living)) - 1) // 2
        survives = len(living.intersection(conf.voters)) - (len(conf.voters) // 2 + 1)
        if survives < best or not living.issuperset(conf.learners):
            return f"{len(living)} of {count} nodes live, but {conf}, of which {sorted(living)} are left"
        return ""

    def _nodes_unrest(self, leader: Machine) -> str:
        assert leader.node is not None
        nodes = leader.node.driver.state.nodes
        for machine in self.cluster.machines.values():
            known = next((node for node in nodes.values() if node.id == machine.name), None)
            if machine.lost:
                if known is not None and known.status is not NodeStatus.DOWN:
                    return f"{machine.name} is lost for good, and {known.status}"
                continue
            if known is None or known.raft_id != machine.raft:
                return f"{machine.name} is not registered"
            if known.status is not NodeStatus.READY or known.engine_down or known.draining:
                return f"{machine.name} is {known.status}, draining: {known.draining}; {known.engine_down}"
        return ""

    def _work_unrest(self, leader: Machine) -> str:
        assert leader.node is not None
        return unrest(self.cluster, leader.node.driver.state, leader.clock.wall_ms())

    # --- answers ------------------------------------------------------------------------------------------

    async def check_answers(self) -> None:
        """One more read of all from every node, then the whole history must make sense; and all states are one."""
        read = Read(timeout_s=5.0)
        for machine in self.cluster.living():
            for kind, question in (("list", lambda s: s.tasks(read)), ("ls", lambda s: s.configs.find("", read))):
                try:
                    await self.workload.look(kind, machine, question)
                except (OrionError, ConnectionLost) as error:
                    self.world.fail("liveness", f"{machine.name} does not answer at rest: {error}")
            await self._check_endpoints(machine, read)
            if machine.run is not None:
                self.invariants.check_state(machine, machine.run, whole=True)
        check_history(self.workload.history)

    async def _check_endpoints(self, machine: Machine, read: Read) -> None:
        """At rest the endpoints of a job are those of its tasks that run, are wanted and ready."""
        running = {held.shown.labels.allocation for e in self.cluster.engines.values() for held in e.running()}
        for name in list(machine.node.driver.state.jobs)[:CHECKED_JOBS] if machine.node else ():
            try:
                found = await machine.ask(lambda s, name=name: endpoints_of(s, name, read))
            except NotFound:
                continue
            except (OrionError, ConnectionLost) as error:
                self.world.fail("liveness", f"{machine.name} does not say the endpoints of {name}: {error}")
            spec = machine.node.driver.state.jobs[name].spec
            lasting = [each for each in found if spec(each.version).image.startswith(FOREVER)]
            gone = [each for each in lasting if int(each.allocation, 16) not in running]
            if gone:
                self.world.fail("endpoints are of what runs", f"{name}: {gone}")


class bound:  # noqa: N801 -- reads as a statement
    """`async with bound(...)`: what is not done in time is a failure, with the reason why at that moment."""

    def __init__(self, world: World, seconds: float, rule: str, why) -> None:
        self._world = world
        self._rule = rule
        self._why = why
        self._seconds = seconds
        self._scope = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()

    async def __aexit__(self, *error) -> None:
        why = self._why()
        try:
            await self._scope.__aexit__(*error)
        except TimeoutError:
            self._world.fail(self._rule, f"not within {self._seconds:g} s: {why}")


class _TraceHandler(logging.Handler):
    """The nodes' own log lines, as part of the trace."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        process = current_process()
        if process is None or not process.alive:
            return
        self._world.trace(process.name, f"says {record.levelname}: {record.getMessage()}")
        self._world.count(f"said: {record.msg}")
        if record.exc_info and record.exc_info[1] is not None:  # a bug that was isolated is one all the same
            text = "".join(traceback.format_exception(record.exc_info[1]))
            self._world.fail("no bugs", f"{process.name} says {record.getMessage()}:\n{text}")


def replay(
    seed: int, keep: Keep, sink=None, until_s: float | None = None, scenario: type[Scenario] = Scenario
) -> Outcome:
    """The seed with only some of its events. With `until_s`, what has not failed by then is given up."""

    def make(world: World) -> Scenario:
        if until_s is not None:
            world.after(
                until_s * 1000, world.loop.abort, SimFailure("given up", f"nothing failed in {until_s:g} s")
            )
        return scenario(world, keep=keep)

    return run_seed(seed, sink, make)


def run_seed(seed: int, sink=None, make: Callable[[World], Scenario] = Scenario) -> Outcome:
    """Run one seed in this process, to the end or to its failure. What simulated kills left half done stays behind:
    runner.py gives each seed a process of its own.
    """
    began = time.process_time()
    gc.disable()  # a collection at a moment of its own choosing would run finalizers there
    world = World(seed, sink)
    world.install()
    handler = _TraceHandler(world)
    logger = logging.getLogger("orion")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    scenario: Scenario | None = None
    failure = ""
    try:
        scenario = make(world)
        world.loop.run_until_complete(scenario.run())
    except SimFailure as error:
        failure = str(error)
    except Exception as error:  # noqa: BLE001 -- a fault of the simulator's own is a finding too
        failure = "the simulator itself failed:\n" + "".join(traceback.format_exception(error))
    finally:
        logger.removeHandler(handler)
    return Outcome(
        seed=seed,
        failure=failure,
        digest=world.trace_digest(),
        virtual_s=world.loop.time(),
        cpu_s=time.process_time() - began,
        events=world.loop.events,
        checks=scenario.invariants.checks if scenario is not None else 0,
        counts=dict(sorted(world.counts.items())),
        recent=world.recent() if failure else [],
        plan=str(msgspec.structs.asdict(scenario.plan)) if scenario is not None else "",
        happened=world.events if failure else [],
        flags=scenario.flags if scenario is not None else "",
    )
