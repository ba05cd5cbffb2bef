import pytest

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.job import DYNAMIC_PORTS, Job, JobKind, Placement, PortBinding, TaskSpec
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.placement import PlacementFailure, PortShortage
from orion.model.placement_text import placement_text
from orion.model.resources import Resources
from orion.model.settings import PLACEMENT
from orion.node.consensus.proposals import MAX_COMMAND_BYTES
from orion.scheduler.pools import EXACT, Pools
from orion.scheduler.schedule import MAX_PLAN_BYTES, PATIENT_FAILURES, QUICK_PORTS, schedule
from orion.state.apply import apply
from orion.state.commands import encode_command
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.cluster import InitCluster
from orion.state.tables.configs import PutConfig
from orion.state.tables.jobs import CreateJob, RemoveJob
from orion.state.tables.node_changes import DrainNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import ApplyPlan

GB = 1_000_000_000
WEB = (PortBinding(80, "tcp", 8080),)


def waiting(view):
    return [*view.jobs_to_place(), *view.jobs_refused()]


class Cluster:
    """Nodes n1, n2, … of 4 cores, 16 GB and 100 GB, each with an engine of its own."""

    def __init__(self, nodes=0, **facts):
        self.state = State()
        self.pools = Pools()
        self.do(InitCluster(1, 7))
        for n in range(1, nodes + 1):
            self.node(n, **facts)

    @property
    def view(self):
        return self.state.view

    def do(self, command):
        return apply(self.state, self.state.index + 1, command)

    def node(self, n, cpu=4_000, memory=16 * GB, disk=100 * GB, labels=(), engine=None, engine_down=""):
        capacity = Resources(cpu, memory, disk)
        engine = f"e{n}" if engine is None else engine
        self.do(RegisterNode(1, f"n{n}", n, "p", "a", capacity, labels, engine, "0.1", engine_down, level=LEVEL))

    def job(self, name="web", count=1, cpu=0, memory=0, disk=0, **task):
        spec = TaskSpec("app", resources=Resources(cpu, memory, disk), **task)
        self.do(CreateJob(1, Job(name, JobKind.SERVICE, count, spec), f"create {name} {self.state.index}", 0))

    def default_to(self, placement):
        """The cluster's setting."""
        self.do(PutConfig(1, PLACEMENT, placement.encode(), None, f"placement {self.state.index}", 0))

    def plan(self, *jobs, **limits):
        return schedule(self.view, jobs or waiting(self.view), self.pools, **limits)

    def run(self, *jobs, **limits):
        """Make a plan and apply it; all of it must be taken."""
        before = self.view.allocation_count()
        plan = self.plan(*jobs, **limits)
        self.do(plan.command(1))
        assert self.view.allocation_count() - before == sum(len(group.nodes) for group in plan.placements)
        return plan

    def said(self, plan):
        """Who is refused, and the sentence; "" takes back what was said before."""
        return tuple((refusal.job, self._sentence(refusal)) for refusal in plan.refusals)

    def _sentence(self, refusal):
        task = self.view.job(refusal.job).task
        return placement_text(refusal.why, task) if refusal.why else ""

    def where(self, name="web"):
        """Task index -> node, of those that are wanted and active."""
        active = [a for a in self.view.allocations_of_job(name) if a.wanted and not a.terminal]
        return {a.index: a.node for a in active}

    def end(self, name, index, state="stopped"):
        allocation = self.view.allocations_of_slot(name, index)[-1]
        status = AllocationStatus(AllocationState(state))
        self.do(UpdateAllocations(1, allocation.node, ((allocation.id, status),)))


# --- which node --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"memory": GB}, {"cpu": 500}, {"cpu": 500, "memory": GB}])
def test_tasks_started_one_by_one_are_on_as_many_nodes(asked):
    cluster = Cluster(3)
    for name in ("a", "b", "c"):
        cluster.job(name, **asked)
        cluster.run()
    assert {cluster.where(name)[0] for name in ("a", "b", "c")} == {"n1", "n2", "n3"}


def test_a_task_goes_to_the_node_of_which_the_smallest_share_is_given_away():
    cluster = Cluster(3)
    for name, memory in (("one", 4 * GB), ("two", 3 * GB), ("three", 2 * GB)):
        cluster.job(name, memory=memory)
        cluster.run()
    cluster.job("next", memory=GB)
    cluster.run()
    assert cluster.where("next") == cluster.where("three")
    cluster.job("cpu", cpu=3_000)  # three quarters of a node's cores weigh more than a quarter of its memory
    cluster.run()
    cluster.job("last", memory=GB)
    cluster.run()
    assert cluster.where("last")[0] != cluster.where("cpu")[0]


def test_of_nodes_with_equal_shares_the_one_with_the_fewest_tasks_is_taken():
    cluster = Cluster(2)
    cluster.job("one", memory=2 * GB)
    cluster.run()
    for name in ("half", "other"):
        cluster.job(name, memory=GB)
        cluster.run()
    assert cluster.where("half") == cluster.where("other") != cluster.where("one")
    cluster.job("next", memory=GB)
    cluster.run()
    assert cluster.where("next") == cluster.where("one")


def test_the_least_loaded_is_so_after_the_placement():
    """An empty small node that the task fills is more loaded than a large one that runs something."""
    cluster = Cluster()
    cluster.node(1, memory=4 * GB)
    cluster.node(2, memory=64 * GB)
    cluster.job("there", memory=GB, constraints=())
    cluster.run()
    cluster.job(memory=4 * GB)
    cluster.run()
    assert cluster.where() == {0: "n2"}


def test_tasks_that_ask_for_nothing_do_not_gather_where_nothing_asks():
    cluster = Cluster(3)
    cluster.job("database", memory=GB)
    cluster.run()
    for number in range(30):
        cluster.job(f"site{number}")
        cluster.run()
    tasks = [record.active for record in cluster.view.node_records()]
    assert max(tasks) - min(tasks) <= 6


def test_a_job_may_be_packed_where_the_others_are_spread():
    cluster = Cluster(2)
    for name in ("one", "two"):
        cluster.job(name, memory=GB, placement=Placement.PACK)
        cluster.run()
    assert cluster.where("one") == cluster.where("two")
    cluster.default_to("pack")
    cluster.job("three", memory=GB, placement=Placement.SPREAD)
    cluster.run()
    assert cluster.where("three") != cluster.where("two")


@pytest.mark.parametrize("value", ["", "upwards"])
def test_a_setting_that_this_build_does_not_know_counts_as_the_default(value):
    cluster = Cluster(2)
    cluster.default_to(value)
    for name in ("one", "two"):
        cluster.job(name, memory=GB)
        cluster.run()
    assert cluster.where("one") != cluster.where("two")


def test_pack_fills_the_fullest_node_that_fits():
    cluster = Cluster(3)
    cluster.default_to("pack")
    cluster.job("one", memory=2 * GB)
    cluster.run()
    cluster.job("two", memory=GB)
    cluster.run()
    assert cluster.where("two") == cluster.where("one")
    cluster.job("large", memory=14 * GB)
    cluster.run()
    assert cluster.where("large")[0] != cluster.where("one")[0]


def test_fullest_means_after_the_placement():
    """Half a small node is more of it than half of a large one."""
    cluster = Cluster()
    cluster.default_to("pack")
    cluster.node(1, memory=64 * GB)
    cluster.node(2, memory=8 * GB)
    cluster.job(memory=2 * GB)
    cluster.run()
    assert cluster.where() == {0: "n2"}


def test_cpu_and_memory_both_count():
    cluster = Cluster(2)
    cluster.default_to("pack")
    cluster.job("cpu", cpu=3_000)
    cluster.run()
    cluster.job("memory", memory=GB)
    cluster.run()
    assert cluster.where("memory") == cluster.where("cpu")


@pytest.mark.parametrize("placement", Placement)
def test_tasks_of_one_job_are_spread(placement):
    cluster = Cluster(3)
    cluster.default_to(placement)
    cluster.job("first", memory=GB)
    cluster.run()
    cluster.job(count=6, memory=GB)
    cluster.run()
    assert sorted(cluster.where().values()) == ["n1", "n1", "n2", "n2", "n3", "n3"]
    fullest_first = cluster.where()[0] == cluster.where("first")[0]
    assert fullest_first is (placement is Placement.PACK)


def test_a_task_that_is_placed_again_keeps_the_spread():
    cluster = Cluster(3)
    cluster.job("fill", memory=4 * GB)
    cluster.run()
    full = cluster.where("fill")[0]
    cluster.job(count=3, memory=GB)
    cluster.run()
    again = next(index for index, node in cluster.where().items() if node != full)
    left = cluster.where()[again]
    cluster.end("web", again)
    cluster.run()
    assert cluster.where()[again] == left


def test_tasks_that_ask_for_nothing_are_spread_too():
    cluster = Cluster(3)
    for n in range(6):
        cluster.job(f"job{n}")
    cluster.run()
    nodes = [cluster.where(f"job{n}")[0] for n in range(6)]
    assert sorted(nodes) == ["n1", "n1", "n2", "n2", "n3", "n3"]


def test_constraints_are_labels_that_must_be_equal():
    cluster = Cluster()
    for n, labels in enumerate([(("disk", "hdd"),), (("disk", "ssd"), ("zone", "a")), (("disk", "ssd"),)], 1):
        cluster.node(n, labels=labels)
    cluster.job("ssd", count=4, memory=GB, constraints=(("disk", "ssd"),))
    cluster.job("both", memory=GB, constraints=(("disk", "ssd"), ("zone", "a")))
    cluster.run()
    assert set(cluster.where("ssd").values()) == {"n2", "n3"}
    assert cluster.where("both") == {0: "n2"}


def test_nodes_that_are_not_ready_take_nothing():
    cluster = Cluster(5)
    cluster.do(DrainNode(1, "n1", draining=True))
    cluster.do(SetNodeStatus(1, "n2", 2, NodeStatus.DOWN))
    cluster.do(SetNodeStatus(1, "n3", 3, NodeStatus.LEFT))
    cluster.node(4, engine_down="no answer")
    cluster.job(count=3)
    cluster.run()
    assert set(cluster.where().values()) == {"n5"}


def test_several_jobs_in_one_plan_do_not_collide():
    cluster = Cluster(2)
    for n in range(5):
        cluster.job(f"job{n}", memory=6 * GB)
    plan = cluster.run()
    assert len(plan.placements) == 4
    assert cluster.said(plan) == (("job4", "needs 6 GB of memory; the largest node has 4 GB free"),)


def test_equal_states_give_equal_plans():
    plans = []
    for _ in range(2):
        cluster = Cluster(200)
        for n in range(20):
            cluster.job(f"job{n}", count=n + 1, memory=GB, ports=(PortBinding(80, "tcp"),))
        plans.append(cluster.plan())
    assert plans[0] == plans[1]


# --- ports -------------------------------------------------------------------------------------------------


def test_a_static_port_goes_once_to_each_engine():
    cluster = Cluster()
    for n, engine in enumerate(["shared", "shared", "other", "", ""], 1):
        cluster.node(n, engine=engine)
    cluster.job(count=6, ports=WEB)
    plan = cluster.run()
    assert len(set(cluster.where().values()) & {"n1", "n2"}) == 1
    assert len(cluster.where()) == 4
    assert cluster.said(plan) == (("web", "port 8080 is taken on 5 of 5 nodes"),)
    assert {ports for group in plan.placements for ports in group.ports} == {(8080,)}


def test_ports_left_to_choose_are_apart_from_all_others():
    cluster = Cluster()
    cluster.node(1, engine="shared")
    cluster.node(2, engine="shared")
    bindings = (
        PortBinding(80, "tcp"),
        PortBinding(80, "udp"),
        PortBinding(81, "tcp"),
        PortBinding(82, "tcp", 20_000),
    )
    cluster.job("one", ports=bindings)
    cluster.job("many", count=50, ports=bindings[:3])
    cluster.run()
    ports = [a.ports for name in ("one", "many") for a in cluster.view.allocations_of_job(name)]
    tcp = [
        port for each in ports for port, binding in zip(each, bindings, strict=False) if binding.protocol == "tcp"
    ]
    assert len(ports) == 51
    assert len(set(tcp)) == len(tcp)
    assert all(port in DYNAMIC_PORTS for port in tcp)


def test_all_ports_of_an_engine_can_be_given_and_no_more():
    cluster = Cluster(1)
    cluster.job(count=len(DYNAMIC_PORTS) + 1, ports=(PortBinding(80, "tcp"),))
    while cluster.view.open_count("web") > 1:
        cluster.run()
    cluster.run()
    assert cluster.view.refusal("web") == PlacementFailure(ports=(PortShortage(0, "tcp", 1),))
    cluster.end("web", 17)
    freed = cluster.view.allocations_of_slot("web", 17)[-1].ports
    cluster.run()
    newest = [a for a in cluster.view.allocations_of_job("web") if not a.terminal and a.ports == freed]
    assert len(newest) == 1


# --- draining ----------------------------------------------------------------------------------------------


def test_work_leaves_a_draining_node_in_one_plan():
    cluster = Cluster(2)
    cluster.job(count=2, memory=GB)
    cluster.run()
    cluster.do(DrainNode(1, "n1", draining=True))
    old = next(a for a in cluster.view.allocations_of_job("web") if a.node == "n1")
    plan = cluster.run()
    assert plan.stops == (old.id,)
    assert set(cluster.where().values()) == {"n2"}
    assert cluster.plan().empty
    assert waiting(cluster.view) == []


def test_work_leaves_even_if_there_is_no_place_for_it():
    """It may hold the port that its successor needs."""
    cluster = Cluster()
    cluster.node(1, engine="shared")
    cluster.node(2, engine="shared")
    cluster.job(ports=WEB)
    cluster.run()
    node = cluster.where()[0]
    cluster.do(DrainNode(1, node, draining=True))
    plan = cluster.run()
    assert len(plan.stops) == 1
    assert cluster.said(plan) == (("web", "no node fits: 1 has port 8080 taken, 1 is draining"),)
    cluster.end("web", 0)
    cluster.run()
    assert set(cluster.where().values()) == {"n1", "n2"} - {node}


def test_a_drain_may_take_several_plans():
    cluster = Cluster(2)
    cluster.job("a", count=10, memory=GB // 10)
    cluster.job("b", count=10, memory=GB // 10)
    cluster.run()
    cluster.do(DrainNode(1, "n1", draining=True))
    plans = []
    while not plans or plans[-1].rest:
        plans.append(cluster.run(max_placements=3))
    assert [len(plan.stops) for plan in plans] == [3, 3, 3, 1]
    assert set(cluster.where("a").values()) | set(cluster.where("b").values()) == {"n2"}


def test_a_plan_that_is_full_leaves_moved_tasks_for_the_next():
    cluster = Cluster()
    cluster.node(1, labels=(("keep", "b"),))
    cluster.node(2)
    cluster.job("a", count=2)
    cluster.job("b", count=2, constraints=(("keep", "b"),))
    cluster.run()
    cluster.node(2, labels=(("keep", "b"),))
    cluster.end("a", next(index for index, node in cluster.where("a").items() if node == "n2"))
    cluster.do(DrainNode(1, "n1", draining=True))
    # a has one task to move and one that waits, b has two to move
    plan = cluster.run(max_placements=3)
    assert len(plan.stops) == 3
    assert {group.job: len(group.indexes) for group in plan.placements} == {"a": 2, "b": 1}
    assert plan.rest == ("b",)
    assert cluster.run(*plan.rest).rest == ()
    assert list(cluster.where("b").values()) == ["n2", "n2"]


# --- limits ------------------------------------------------------------------------------------------------


def test_a_large_job_takes_several_plans():
    cluster = Cluster(3)
    cluster.job(count=25)
    sizes = []
    while cluster.view.open_count("web"):
        plan = cluster.run(max_placements=10)
        sizes.append((len(plan.placements[0].indexes), plan.rest))
    assert sizes == [(10, ("web",)), (10, ("web",)), (5, ())]


def test_jobs_that_were_not_looked_at_are_the_rest():
    cluster = Cluster(3)
    for n in range(4):
        cluster.job(f"job{n}", memory=100 * GB + n)
    plan = cluster.plan(max_looks=7)
    assert [refusal.job for refusal in plan.refusals] == ["job0", "job1"]
    assert plan.rest == ("job2", "job3")
    assert cluster.plan(*plan.rest).rest == ()


def test_jobs_of_a_shape_that_was_refused_are_refused_at_no_cost():
    cluster = Cluster(3)
    for n in range(4):
        cluster.job(f"job{n}", memory=100 * GB)
    plan = cluster.plan(max_looks=7)
    assert len({refusal.why for refusal in plan.refusals}) == 1
    assert len(plan.refusals) == 4


def test_unknown_stopping_and_finished_jobs_are_passed_over():
    cluster = Cluster(1)
    cluster.job("done")
    cluster.job("stopping", count=2)
    cluster.run()
    cluster.do(RemoveJob(1, "stopping", "stop", cluster.state.index))
    assert cluster.plan("unknown", "done", "stopping", "done").empty


def test_a_refusal_is_said_once_and_taken_back():
    cluster = Cluster(1)
    cluster.job(count=2, memory=10 * GB)
    assert cluster.said(cluster.run()) == (("web", "needs 10 GB of memory; the largest node has 6 GB free"),)
    assert cluster.plan().empty
    cluster.job("small", memory=GB)
    cluster.run("small")
    # 5 GB are free now: not worth a new entry in the log
    assert cluster.plan().empty
    cluster.node(2)
    assert cluster.said(cluster.run()) == (("web", ""),)
    assert cluster.view.refusal("web") == ""


@pytest.mark.parametrize("refused", [False, True])
def test_a_plan_passes_its_size_by_one_job_at_most(refused):
    """And what has no room in it has its turn later."""
    cluster = Cluster(40)
    label = (("k" * 63, "v" * 128),) if refused else ()
    ports = tuple(PortBinding(n + 1, "tcp") for n in range(64))
    names = [f"{n:02}" + "n" * 61 for n in range(60)]
    for name in names:
        cluster.job(name, count=3, constraints=label, ports=ports)
    one = size_of(cluster.plan(max_bytes=1))
    done = []
    for size in (1, 600, 5_000, 100_000):
        plan = cluster.run(*names[len(done) :], max_bytes=size)
        jobs = [group.job for group in plan.placements] or [refusal.job for refusal in plan.refusals]
        done += jobs
        assert done + list(plan.rest) == names
        assert jobs
        assert size_of(plan) <= size + one


def size_of(plan):
    return len(encode_command(plan.command(1)))


def test_the_bound_of_a_plan_s_size_is_within_what_the_log_takes():
    assert MAX_PLAN_BYTES < MAX_COMMAND_BYTES // 2


def test_no_refusals_make_a_plan_too_large_for_the_log():
    """Jobs of before a request was bounded."""
    cluster = Cluster(1)
    for n in range(5):
        cluster.job(f"job{n}", constraints=tuple((f"{n} {m}", "v" * 100) for m in range(10_000)))
    assert size_of(cluster.run()) < 10_000


def test_a_drain_of_many_jobs_makes_no_plan_too_large_for_the_log():
    cluster = Cluster()
    for n in range(2_000):
        cluster.job(f"job{n:04}" + "n" * 55, constraints=(("n", f"{n:04}"),))
    cluster.node(1, labels=tuple(("n", f"{n:04}") for n in range(2_000)))
    cluster.run()
    cluster.do(DrainNode(1, "n1", draining=True))
    cluster.node(2)
    plan = cluster.run(max_bytes=100_000)
    assert len(plan.stops) == 2_000
    assert plan.rest
    assert size_of(plan) < 100_000 + 1_000
    cluster.run(*plan.rest)
    assert len(cluster.view.jobs_refused()) == 2_000


# --- what has changed since ---------------------------------------------------------------------------------


def test_the_place_of_a_job_that_was_stopped_meanwhile_goes_to_one_that_was_refused():
    cluster = Cluster(1)
    cluster.job("a", memory=16 * GB)
    cluster.job("b", memory=16 * GB)
    plan = cluster.plan()
    assert ([group.job for group in plan.placements], [r.job for r in plan.refusals]) == (["a"], ["b"])
    cluster.do(RemoveJob(1, "a", "stop", cluster.state.index))
    planned_at = cluster.view.capacity_epoch
    cluster.do(plan.command(1))
    assert cluster.view.refusal("b")
    assert cluster.view.capacity_epoch != planned_at  # so the leader tries it again
    cluster.run()
    assert cluster.where("b") == {0: "n1"}


@pytest.mark.parametrize("labels", [(), (("disk", "ssd"),)])
def test_a_plan_says_nothing_of_a_job_that_was_created_again_meanwhile(labels):
    """It was made for the former one: with `labels` that was placed, else it was refused."""
    cluster = Cluster(1, labels=labels)
    cluster.job(constraints=(("disk", "ssd"),))
    plan = cluster.plan()
    assert (len(plan.placements), len(plan.refusals)) == ((1, 0) if labels else (0, 1))
    cluster.do(RemoveJob(1, "web", "stop", cluster.state.index))
    cluster.job(constraints=(("disk", "hdd"),))
    cluster.do(plan.command(1))
    assert cluster.where() == {}
    assert cluster.view.jobs_to_place() == ["web"]


# --- many nodes --------------------------------------------------------------------------------------------


def test_on_a_large_cluster_one_task_looks_at_a_sample():
    cluster = Cluster(2_000)
    cluster.job(memory=GB)
    plan = cluster.plan(max_looks=1)
    assert plan.placements
    cluster.job("b", count=300, memory=GB)
    cluster.run()
    assert len(set(cluster.where("b").values())) == 300


def test_a_sample_goes_on_until_something_fits():
    cluster = Cluster(EXACT + 400)
    wanted = {7, 300, 500}
    for n in wanted:
        cluster.node(n, memory=64 * GB)
    cluster.job(count=4, memory=50 * GB)
    plan = cluster.run()
    assert sorted(cluster.where().values()) == sorted(f"n{n}" for n in wanted)
    assert cluster.said(plan) == (("web", "needs 50 GB of memory; the largest node has 16 GB free"),)


def test_a_sample_that_fills_up_is_followed_by_all_nodes():
    cluster = Cluster(1_000)
    cluster.job(count=90, memory=16 * GB)
    cluster.job("more", count=90, memory=16 * GB)
    cluster.run()
    assert len(set(cluster.where().values()) | set(cluster.where("more").values())) == 180
    # 820 nodes are left; what a sample of 200 has room for is less than what is asked
    cluster.job("rest", count=100, cpu=2_000, memory=8 * GB)
    cluster.job("last", count=100, ports=WEB)
    cluster.run()
    assert len(cluster.where("rest")) == 100
    assert len(set(cluster.where("last").values())) == 100


@pytest.mark.parametrize("nodes", [5, 1_000])
def test_pools_follow_changes_of_nodes(nodes):
    cluster = Cluster(nodes)
    cluster.job(constraints=(("disk", "ssd"),))
    assert cluster.said(cluster.run()) == (("web", "no node has the label disk=ssd"),)
    cluster.node(3, labels=(("disk", "ssd"),))
    cluster.run()
    assert cluster.where() == {0: "n3"}
    cluster.do(SetNodeStatus(1, "n3", 3, NodeStatus.DOWN))
    assert cluster.run().placements == ()


def test_pools_notice_another_state():
    """As after a snapshot was installed; the epochs of the two happen to be equal."""
    one, other = Cluster(2, cpu=1_000), Cluster(2)
    other.pools = one.pools
    for cluster in (one, other):
        cluster.job(cpu=2_000)
        cluster.run()
    assert one.view.facts_epoch == other.view.facts_epoch
    assert (len(one.where()), len(other.where())) == (0, 1)


def test_an_applied_plan_of_nothing_changes_nothing():
    cluster = Cluster(1)
    plan = cluster.plan()
    assert plan.empty
    assert plan.command(5) == ApplyPlan(5, ())


# --- what its node can't start ------------------------------------------------------------------------------


def cannot_start(cluster, index=0, failures=2, job="web"):
    allocation = cluster.view.allocations_of_slot(job, index)[-1]
    status = AllocationStatus(AllocationState.STARTING, "port 80 is taken", failed_starts=failures)
    cluster.do(UpdateAllocations(1, allocation.node, ((allocation.id, status),)))
    return allocation.node


def test_a_task_that_its_node_can_not_start_is_moved():
    cluster = Cluster(2)
    cluster.job(ports=WEB)
    cluster.run()
    epoch = cluster.view.capacity_epoch
    first = cannot_start(cluster, failures=1)
    assert cluster.plan().empty, "the first failure may be a passing one"
    cannot_start(cluster, failures=2)
    assert cluster.view.capacity_epoch != epoch
    cluster.run()
    assert set(cluster.where().values()) == {"n1", "n2"} - {first}
    assert cluster.view.stuck() == []


def test_nodes_that_tried_in_vain_are_not_tried_again():
    cluster = Cluster(3)
    cluster.job()
    cluster.run()
    tried = [cannot_start(cluster)]
    for _ in range(2):
        cluster.run()
        former = cluster.view.allocations_of_slot("web", 0)[-2]
        stopped = AllocationStatus(AllocationState.STOPPED, "port 80 is taken", failed_starts=2)
        cluster.do(UpdateAllocations(1, former.node, ((former.id, stopped),)))
        tried.append(cannot_start(cluster))
    assert sorted(tried) == ["n1", "n2", "n3"]
    epoch = cluster.view.capacity_epoch
    assert cluster.plan().empty, "it stays where it is"
    cannot_start(cluster, failures=3)
    assert cluster.view.capacity_epoch == epoch
    cluster.node(4)
    cluster.run()
    assert cluster.where() == {0: "n4"}
    cannot_start(cluster)
    cluster.node(5)
    assert cluster.plan().empty, "four nodes are enough to say that it is likely the task"
    cannot_start(cluster, failures=PATIENT_FAILURES)
    cluster.run()
    assert cluster.where() == {0: "n5"}, "and yet it is tried everywhere for as long as it is wanted"


def test_a_task_that_all_nodes_tried_in_vain_goes_to_the_one_that_tried_longest_ago():
    cluster = Cluster(3)
    cluster.job()
    cluster.run()
    tried = [cannot_start(cluster)]
    for _ in range(5):
        cluster.run()
        former = cluster.view.allocations_of_slot("web", 0)[-2]
        report(cluster, former, AllocationStatus(AllocationState.STOPPED, "port 80 is taken", failed_starts=2))
        assert len(cluster.where()) == 1
        tried.append(cannot_start(cluster, failures=PATIENT_FAILURES))
    assert len(set(tried[:3])) == 3
    assert tried[3:] == tried[:3]


def refuses_its_port(cluster, failures=1):
    allocation = cluster.view.allocations_of_slot("web", 0)[-1]
    (port,) = allocation.ports
    status = AllocationStatus(AllocationState.STARTING, failed_starts=failures, refused_port=port)
    report(cluster, allocation, status)
    return port


ANY_PORT = (PortBinding(80, "tcp"),)


def test_a_chosen_port_that_the_machine_refuses_is_chosen_anew_at_once():
    cluster = Cluster(1)
    cluster.job(ports=ANY_PORT)
    cluster.run()
    refused = [refuses_its_port(cluster)]
    for _ in range(3):
        cluster.run()
        former, now = cluster.view.allocations_of_slot("web", 0)[-2:]
        assert not former.wanted
        assert now.wanted
        report(cluster, former, AllocationStatus(AllocationState.STOPPED, failed_starts=1))
        refused.append(refuses_its_port(cluster))
    assert len(set(refused)) == 4


def test_one_port_after_the_other_is_refused_and_the_next_one_waits():
    cluster = Cluster(1)
    cluster.job(ports=ANY_PORT)
    cluster.run()
    for _ in range(QUICK_PORTS):
        refuses_its_port(cluster)
        cluster.run()
        former = cluster.view.allocations_of_slot("web", 0)[-2]
        report(cluster, former, AllocationStatus(AllocationState.STOPPED, failed_starts=1))
    refused = refuses_its_port(cluster)
    assert cluster.plan().empty
    refuses_its_port(cluster, PATIENT_FAILURES)
    cluster.run()
    assert cluster.view.allocations_of_slot("web", 0)[-1].ports != (refused,)


def test_a_refused_port_is_given_to_no_later_task():
    cluster = Cluster(1)
    cluster.job(ports=ANY_PORT)
    cluster.run()
    refused = refuses_its_port(cluster)
    cluster.do(RemoveJob(1, "web", "stop", cluster.state.index))
    cluster.end("web", 0)
    cluster.job(ports=ANY_PORT)
    cluster.run()
    (again,) = cluster.view.allocations_of_slot("web", 0)
    assert again.ports != (refused,)


def test_a_task_with_a_refused_port_ends_first_when_there_is_no_room_for_both():
    cluster = Cluster(1, memory=GB)
    cluster.job(memory=GB, ports=ANY_PORT)
    cluster.run()
    refused = refuses_its_port(cluster)
    cluster.run()
    (former,) = cluster.view.allocations_of_slot("web", 0)
    assert not former.wanted
    report(cluster, former, AllocationStatus(AllocationState.STOPPED, failed_starts=1))
    cluster.run()
    now = cluster.view.allocations_of_slot("web", 0)[-1]
    assert now.wanted
    assert now.ports != (refused,)


def test_a_task_that_only_one_node_can_start_stays_there_however_often_it_fails():
    cluster = Cluster(1)
    cluster.job()
    cluster.run()
    cannot_start(cluster, failures=10 * PATIENT_FAILURES)
    assert cluster.plan().empty


def test_a_task_that_can_not_be_started_stays_when_there_is_no_other_place():
    cluster = Cluster(2, memory=GB)
    cluster.job(memory=GB)
    cluster.job("other", memory=GB)
    cluster.run()
    cannot_start(cluster)
    assert cluster.plan().empty
    cluster.do(RemoveJob(1, "other", "stop", cluster.state.index))
    cluster.end("other", 0)
    cluster.run()
    assert len(cluster.where()) == 1
    assert cluster.view.stuck() == []


def test_a_draining_node_is_left_once():
    cluster = Cluster(2)
    cluster.job()
    cluster.run()
    node = cannot_start(cluster)
    cluster.do(DrainNode(1, node, draining=True))
    plan = cluster.run()
    assert len(plan.stops) == 1
    assert set(cluster.where().values()) == {"n1", "n2"} - {node}


def test_nodes_of_an_engine_that_tried_in_vain_are_not_tried():
    cluster = Cluster()
    for n in range(1, 5):
        cluster.node(n, engine="shared")
    cluster.job()
    cluster.run()
    cannot_start(cluster)
    assert cluster.plan().empty
    cluster.node(5, engine="another")
    cluster.run()
    assert cluster.where() == {0: "n5"}


def report(cluster, allocation, status):
    cluster.do(UpdateAllocations(1, allocation.node, ((allocation.id, status),)))


def test_failed_starts_are_forgiven_once_the_task_runs():
    """All nodes failed it while a registry was away; today one of them has another reason."""
    cluster = Cluster(2)
    cluster.job()
    cluster.run()
    first = cannot_start(cluster)
    cluster.run()
    former, now = cluster.view.allocations_of_slot("web", 0)
    report(cluster, former, AllocationStatus(AllocationState.STOPPED, "no such image", failed_starts=2))
    cannot_start(cluster)
    assert cluster.plan().empty
    report(cluster, now, AllocationStatus(AllocationState.RUNNING))
    cannot_start(cluster)
    cluster.run()
    assert cluster.where() == {0: first}


def test_a_task_that_has_started_since_the_plan_was_made_stays():
    cluster = Cluster(2)
    cluster.job()
    cluster.run()
    node = cannot_start(cluster)
    plan = cluster.plan()
    assert plan.moves
    report(cluster, cluster.view.allocations_of_slot("web", 0)[-1], AllocationStatus(AllocationState.RUNNING))
    cluster.do(plan.command(1))
    assert cluster.where() == {0: node}


def test_a_task_that_starts_nowhere_keeps_no_other_from_its_turn():
    cluster = Cluster(2)
    cluster.job("nowhere", count=200, constraints=(("disk", "ssd"),))
    cluster.node(3, labels=(("disk", "ssd"),))
    while not cluster.run().empty:
        pass
    for index in range(200):
        cannot_start(cluster, index, job="nowhere")
    cluster.job("web")
    cluster.run()
    node = cannot_start(cluster)
    for turn in range(5):
        cluster.run(turn=turn)
    assert cluster.where() != {0: node}
