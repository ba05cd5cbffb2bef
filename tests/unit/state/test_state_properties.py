"""Random commands, hostile ones too: what must hold in every committed state holds, a restore changes nothing, and
a plan made from a state is taken whole by it.
"""

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from state_kit import tables

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.errors import OrionError
from orion.model.job import Job, JobKind, PortBinding, TaskSpec
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.placement import PlacementFailure, ResourceShortage
from orion.model.resources import Resources
from orion.scheduler.pools import Pools
from orion.scheduler.schedule import schedule
from orion.state.apply import apply
from orion.state.check import check, rebuilt, state_hash
from orion.state.commands import encode_command
from orion.state.records import MAX_ENDED_PER_SLOT, port_key
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.cluster import InitCluster
from orion.state.tables.configs import Configs, DeleteConfig, PutConfig
from orion.state.tables.jobs import CreateJob, RemoveJob, StartJob, StopJob
from orion.state.tables.node_changes import DrainNode, RemoveNode
from orion.state.tables.node_labels import LabelNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import ApplyPlan, Placements, Refusal

NODES = st.sampled_from(["n1", "n2", "n3", "n4"])
RAFTS = st.integers(1, 6)
RUNS = st.sampled_from(["", "r1", "r2", "r3"])  # of an engine
JOBS = st.sampled_from(["a", "b", "c", "d"])
AMOUNTS = st.builds(Resources, st.integers(0, 4), st.integers(0, 4), st.integers(0, 2))
CAPACITIES = st.builds(Resources, st.integers(2, 12), st.integers(2, 12), st.integers(2, 12))
LABELS = st.sampled_from([(), (), (("zone", "a"),), (("zone", "b"),)])
BINDINGS = st.builds(
    PortBinding, st.integers(80, 82), st.sampled_from(["tcp", "udp"]), st.sampled_from([0, 8080, 8081, 20_000])
)
TASKS = st.builds(
    TaskSpec,
    image=st.just("app"),
    resources=AMOUNTS,
    ports=st.lists(BINDINGS, max_size=2, unique_by=lambda b: (b.container_port, b.protocol)).map(tuple),
    constraints=LABELS,
)
CONFIGS = st.sampled_from(["a", "a/b", "a-b", "c", "c/"])
VERSIONS = st.sampled_from([None, 0, 1, 2])
MARKS = st.integers(0, 2**64).map(str)
FAILURES = ("", "no room", PlacementFailure(down=1), PlacementFailure(memory=ResourceShortage(2, 5)))
STATUSES = st.builds(
    AllocationStatus, st.sampled_from(AllocationState), st.sampled_from(["", "why"]), st.integers(0, 2)
)


class Machine(RuleBasedStateMachine):
    @initialize(
        cluster=st.integers(1, 2**64 - 1),
        numbers=st.sampled_from([0, 2**32 - 3]),
        nodes=st.lists(st.tuples(CAPACITIES, st.sampled_from(["", "e1", "e2"])), min_size=1, max_size=4),
        jobs=st.lists(st.tuples(st.integers(1, 4), TASKS), min_size=1, max_size=4),
    )
    def start(self, cluster, numbers, nodes, jobs):
        self.state = State()
        self.twin = State()  # follows the same log, restored now and then
        self.index = 0
        self.pools = Pools()
        self.sent = []  # what clients asked for, and how it was answered
        self.commit(InitCluster(1, cluster))
        for state in (self.state, self.twin):
            state.next_allocation = numbers
            state.level = LEVEL
        for n, (capacity, engine) in enumerate(nodes, 1):
            labels = (("zone", "ab"[n % 2]),)
            self.commit(RegisterNode(2, f"n{n}", n, "p:1", "a:2", capacity, labels, engine, "0.1", level=LEVEL))
        for name, (count, task) in zip("abcd", jobs, strict=False):
            self.commit(CreateJob(6, Job(name, JobKind.SERVICE, count, task), f"first {name}", 0))
        self.schedule(2_000, 60_000, 1 << 20)

    def commit(self, command):
        before = tables(self.state)
        free = {node: self.state.view.free(node) for node in self.state.nodes}
        self.index += 1
        data = encode_command(command)
        applied = apply(self.state, self.index, data)
        assert apply(self.twin, self.index, data).events == applied.events
        assert [event.part for event in applied.events] == list(range(len(applied.events)))
        if isinstance(applied.result, OrionError):
            assert tables(self.state) == before
            assert not applied.events
        self.nothing_overgiven(free, command)
        return applied

    def nothing_overgiven(self, before, command):
        """A node has less than nothing free only because it shrank, never because something was placed there."""
        for node in self.state.nodes:
            after = self.state.view.free(node)
            if isinstance(command, RegisterNode) or node not in before:
                continue
            for name in ("cpu_millis", "memory_bytes", "disk_bytes"):
                now = getattr(after, name)
                assert now >= 0 or now >= getattr(before[node], name)

    # --- nodes ---

    @rule(
        node=NODES,
        raft=RAFTS,
        capacity=CAPACITIES,
        labels=LABELS,
        engine=st.sampled_from(["", "e1", "e2"]),
        engine_down=st.sampled_from(["", "", "", "down"]),
        replaces=st.booleans(),
        run=RUNS,
    )
    def register(self, node, raft, capacity, labels, engine, engine_down, replaces, run):
        facts = ("p:1", "a:2", capacity, labels, engine, "0.1", engine_down, replaces, run)
        self.commit(RegisterNode(2, node, raft, *facts, level=LEVEL))

    @rule(node=NODES, capacity=CAPACITIES, engine=st.sampled_from(["", "e1", "e2"]), run=RUNS)
    def register_again(self, node, capacity, engine, run):
        known = self.state.nodes.get(node)
        if known:
            facts = ("p:1", "a:2", capacity, (), engine, "0.1", "", False, run)
            self.commit(RegisterNode(2, node, known.raft_id, *facts, level=LEVEL))

    @rule(node=NODES, status=st.sampled_from(NodeStatus), raft=st.sampled_from([None, None, None, 1]))
    def set_status(self, node, status, raft):
        known = self.state.nodes.get(node)
        if known or raft:
            self.commit(SetNodeStatus(3, node, raft or known.raft_id, status))

    @rule(node=NODES, draining=st.booleans())
    def drain(self, node, draining):
        self.change(DrainNode(4, node, draining, f"key {self.index}", self.index))

    @rule(node=NODES, zone=st.sampled_from(["a", "b", None]), other=st.sampled_from(["x", None]))
    def label(self, node, zone, other):
        self.change(LabelNode(4, node, (("other", other), ("zone", zone)), f"key {self.index}", self.index))

    @rule(node=NODES, raft=st.sampled_from([0, 0, 1]))
    def remove(self, node, raft):
        self.change(RemoveNode(5, node, raft, f"key {self.index}", self.index))

    # --- configs ---

    @rule(key=CONFIGS, value=st.binary(max_size=4), if_version=VERSIONS, mark=MARKS, since=st.integers(-3, 0))
    def put_config(self, key, value, if_version, mark, since):
        self.change(PutConfig(7, key, value, self.version(key, if_version), mark, self.index + since))

    @rule(key=CONFIGS, if_version=VERSIONS, mark=MARKS, since=st.integers(-3, 0))
    def delete_config(self, key, if_version, mark, since):
        self.change(DeleteConfig(8, key, self.version(key, if_version), mark, self.index + since))

    def version(self, key, if_version):
        known = self.state.of(Configs).get(key)
        return known.stat.version if known and if_version == 1 else if_version

    # --- copies ---

    def change(self, command):
        """What a client asks for, and a copy of it."""
        first = self.commit(command)
        self.sent.append((command, str(first.result)))
        self.copy(*self.sent[-1])

    def copy(self, command, answer):
        held = tables(self.state)
        assert str(self.commit(command).result) == answer
        assert tables(self.state) == held

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def a_late_copy(self, data):
        self.copy(*data.draw(st.sampled_from(self.sent)))

    # --- jobs ---

    @rule(
        name=JOBS,
        kind=st.sampled_from((JobKind.SERVICE, JobKind.BATCH, JobKind.SYSTEM)),
        count=st.integers(0, 5),
        task=TASKS,
        key=st.sampled_from(["", "", "k1", "k2"]),
    )
    def create(self, name, kind, count, task, key):
        self.change(CreateJob(6, Job(name, kind, count, task), key or f"key {self.index}", self.index))

    @rule(name=JOBS, kind=st.sampled_from([RemoveJob, StopJob, StartJob]), since=st.sampled_from([0, 0, 0, -2]))
    def change_job(self, name, kind, since):
        self.change(kind(7, name, f"key {self.index}", self.index + since))

    # --- allocations ---

    @precondition(lambda self: self.state.allocations)
    @rule(data=st.data(), statuses=st.lists(STATUSES, min_size=1, max_size=4), node=NODES, honest=st.booleans())
    def update(self, data, statuses, node, honest):
        updates = []
        for status in statuses:
            identity = data.draw(st.sampled_from(sorted(self.state.allocations)))
            if honest:
                node = self.state.allocations[identity].node
            updates.append((identity, status))
        self.commit(UpdateAllocations(8, node, tuple(updates)))

    # --- plans ---

    @rule(
        most=st.sampled_from([1, 3, 2_000]),
        looks=st.sampled_from([1, 5, 60_000]),
        size=st.sampled_from([1, 100, 1 << 20]),
    )
    def schedule(self, most, looks, size):
        """Whatever limits it is given, a plan is taken whole by the state that it was made from."""
        view = self.state.view
        jobs = [*view.jobs_to_place(), *view.jobs_refused()]
        limits = {"max_placements": most, "max_looks": looks, "max_bytes": size}
        plan = schedule(view, jobs, self.pools, **limits)
        assert plan == schedule(view, jobs, **limits)
        assert plan == schedule(rebuilt(self.state).view, jobs, **limits)
        assert sum(len(group.indexes) for group in plan.placements) <= most
        for refusal in plan.refusals:  # each node has one reason; each task of a system job is a node's
            if isinstance(refusal.why, str):
                continue
            counted, nodes = refusal.why.nodes, len(self.state.nodes)
            assert counted == nodes or (view.job(refusal.job).kind is JobKind.SYSTEM and counted < nodes)
        before = view.allocation_count()
        draining = {node.id for node in view.nodes() if node.draining}
        if not plan.empty:
            self.commit(plan.command(9))
        assert view.allocation_count() == before + sum(len(group.indexes) for group in plan.placements)
        for identity in plan.stops:
            assert not view.allocation(identity).wanted
            assert view.allocation(identity).node in draining
        assert not [job for job in jobs if self.forgotten_by_the_plan(plan, job)]

    def forgotten_by_the_plan(self, plan, job):
        """Whether a job has tasks that wait, and yet is neither refused nor to be looked at again."""
        record = self.state.view.job_record(job)
        if record is None or record.refusal or job in plan.rest:
            return False
        slots = record.open_indexes(record.open_count)
        if record.job.kind is JobKind.SYSTEM:  # of what leaves a draining node the job's own duty takes the slot
            slots = [index for index in slots if not self.leaves(record.job.homes[index])]
        return bool(slots)

    def leaves(self, node):
        found = self.state.view.node(node)
        return found is None or found.draining

    @rule(
        name=JOBS,
        version=st.sampled_from([0, 0, 0, 1]),
        former=st.sampled_from([False, False, False, True]),
        rows=st.lists(
            st.tuples(
                st.integers(-1, 5),
                st.integers(0, 6),
                st.lists(st.sampled_from([8080, 8081, 20_000, 20_001]), max_size=2).map(tuple),
            ),
            max_size=6,
        ),
        stops=st.lists(st.integers(0, 20), max_size=3),
        refusals=st.lists(st.tuples(JOBS, st.sampled_from(FAILURES)), max_size=2),
    )
    def plan_anything(self, name, version, former, rows, stops, refusals):
        known = sorted(self.state.allocations)
        wrong = tuple(known[at] if at < len(known) else at for at in stops)
        columns = [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]
        group = Placements(name, self.created(name) - former, version, *columns)
        said = tuple(Refusal(job, self.created(job) - former, failure) for job, failure in refusals)
        self.commit(ApplyPlan(10, (group,), wrong, said))

    def created(self, name):
        job = self.state.view.job(name)
        return job.created_index if job else 0

    @rule()
    def schedule_all(self):
        self.schedule(2_000, 60_000, 1 << 20)

    @rule()
    def all_run(self):
        running = AllocationStatus(AllocationState.RUNNING)
        for node in sorted(self.state.by_node):
            updates = tuple((a.id, running) for a in self.state.view.allocations_of_node(node))
            self.commit(UpdateAllocations(8, node, updates))

    # --- what always holds ---

    @rule()
    def restore_the_twin(self):
        self.twin = rebuilt(self.twin)

    @invariant()
    def indexes_are_what_the_tables_say(self):
        check(self.state)
        assert state_hash(self.state) == state_hash(self.twin)

    @invariant()
    def a_host_port_is_given_once(self):
        held = Counter()
        for allocation in self.state.allocations.values():
            if not allocation.terminal:
                node = self.state.nodes[allocation.node]
                bindings = self.state.jobs[allocation.job].spec(allocation.job_version).ports
                for port, binding in zip(allocation.ports, bindings, strict=True):
                    held[node.engine or f"of {node.id}", port_key(port, binding.protocol)] += 1
        assert not [key for key, times in held.items() if times > 1]

    @invariant()
    def a_slot_has_one_wanted_allocation_at_most(self):
        for record in self.state.jobs.values():
            for index in range(record.job.count):
                history = record.history(index)
                active = [a for a in history if not a.terminal]
                wanted = [a for a in active if a.wanted]
                assert len(wanted) <= 1
                assert record.job.wanted or not wanted
                assert not (record.open[index] and (wanted or not record.job.wanted))
                assert len(history) - len(active) <= MAX_ENDED_PER_SLOT
            assert record.active or not (record.job.stopping or record.successor)

    @invariant()
    def a_node_that_is_down_has_nothing_active(self):
        for record in self.state.records.values():
            assert not (record.node.status is NodeStatus.DOWN and record.active)


TestState = Machine.TestCase
TestState.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
