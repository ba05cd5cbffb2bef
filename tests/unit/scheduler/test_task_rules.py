"""Rules for a task's node: what is placed keeps them, and what is not is explained."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schedule import GB, Cluster

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.job import Job, JobKind, Placement, TaskSpec
from orion.model.node import NodeStatus
from orion.model.placement import PlacementFailure
from orion.model.placement_rules import Affinity, Alongside, PlacementRules, read_constraint
from orion.model.resources import Resources
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.jobs import CreateJob
from orion.state.tables.node_changes import DrainNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.plans import ApplyPlan, Placements


def constraints(*texts):
    return PlacementRules(tuple(map(read_constraint, texts)))


def zones(*names, **facts):
    """Nodes n1, n2, … with these zones; "" has none."""
    cluster = Cluster()
    for n, zone in enumerate(names, 1):
        cluster.node(n, labels=(("id", f"n{n}"), *((("zone", zone),) if zone else ())), **facts)
    return cluster


def where(cluster, job="web"):
    """The nodes of its wanted tasks."""
    return sorted(a.node for a in cluster.view.allocations_of_job(job) if a.wanted and not a.terminal)


def start(cluster, job):
    """All that is placed of it runs."""
    for allocation in cluster.view.allocations_of_job(job):
        if allocation.wanted and not allocation.terminal:
            status = AllocationStatus(AllocationState.RUNNING, started_at_ms=1)
            cluster.do(UpdateAllocations(1, allocation.node, ((allocation.id, status),)))


def why(cluster, job="web"):
    """What its refusal says."""
    (said,) = [words for name, words in cluster.said(cluster.plan(job)) if name == job]
    return said


@pytest.mark.parametrize(
    ("rule", "nodes"),
    [
        ("zone=a", ["n1"]),
        ("zone!=a", ["n2", "n3", "n4"]),
        ("zone in (a, b)", ["n1", "n2"]),
        ("zone not in (a, b)", ["n3", "n4"]),
        ("zone exists", ["n1", "n2", "n3"]),
        ("zone not exists", ["n4"]),
        ("zone~[bc]", ["n2", "n3"]),
        ("id~^n[34]$", ["n3", "n4"]),
    ],
)
def test_a_constraint_says_which_nodes_get_tasks(rule, nodes):
    cluster = zones("a", "b", "c", "")
    cluster.job(count=8, rules=constraints(rule))
    cluster.run()
    assert sorted(set(where(cluster))) == nodes


def test_nodes_that_a_constraint_excludes_are_counted_by_the_first_that_they_fail():
    cluster = zones("a", "b", "c", "")
    cluster.job(rules=constraints("zone exists", "zone not in (a, b)", "zone=d"))
    (refusal,) = cluster.plan().refusals
    assert refusal.why == PlacementFailure(excluded=(1, 2, 1))
    assert why(cluster) == (
        "no node fits: 2 do not pass zone not in (a, b), 1 does not pass zone exists, 1 does not pass zone=d"
    )


def test_one_constraint_that_no_node_passes_is_said_alone():
    cluster = zones("a", "b")
    cluster.job(rules=constraints("zone in (c, d)"))
    assert why(cluster) == "no node passes zone in (c, d)"


def test_a_changed_label_lets_the_task_in():
    cluster = zones("a")
    cluster.job(rules=constraints("zone=b"))
    cluster.run()
    assert where(cluster) == []
    cluster.node(1, labels=(("zone", "b"),))
    cluster.run()
    assert where(cluster) == ["n1"]


def test_no_node_gets_more_than_the_most_per_node():
    cluster = Cluster(3)
    cluster.job(count=10, rules=PlacementRules(max_per_node=2))
    cluster.run()
    assert where(cluster) == ["n1", "n1", "n2", "n2", "n3", "n3"]
    assert cluster.view.refusal("web") == PlacementFailure(crowded=3)
    again = cluster.plan("web")
    assert not again.placements
    cluster.node(4)
    cluster.run()
    assert where(cluster)[-2:] == ["n4", "n4"]


def test_the_most_per_node_is_said_with_the_nodes_where_it_is_reached():
    cluster = zones("a", "a", "b", "b", "b")
    cluster.job(count=4, rules=PlacementRules((read_constraint("zone in (b)"),), max_per_node=1))
    plan = cluster.run()
    assert cluster.said(plan) == (
        ("web", "no node fits: max 1 per node is reached on 3, 2 do not pass zone in (b)"),
    )


def test_a_node_of_a_drained_one_s_job_takes_no_more_than_it_may():
    cluster = Cluster(3)
    cluster.job(count=2, rules=PlacementRules(max_per_node=1))
    cluster.run()
    assert where(cluster) == ["n1", "n2"]
    cluster.do(DrainNode(1, "n1", draining=True))
    cluster.run()
    assert where(cluster) == ["n2", "n3"]
    cluster.do(DrainNode(1, "n2", draining=True))
    cluster.run()
    assert where(cluster) == ["n3"]
    assert why_text(cluster) == "no node fits: 2 are draining, max 1 per node is reached on 1"


def why_text(cluster, job="web"):
    return cluster.view.task(job, cluster.view.open_slots(job, 1)[0]).reason


def test_distinct_hosts_are_machines_and_not_nodes():
    cluster = Cluster()
    for n, engine in enumerate(["one", "one", "two"], 1):
        cluster.node(n, engine=engine)
    cluster.job(count=3, rules=PlacementRules(distinct_hosts=True))
    cluster.run()
    assert len(where(cluster)) == 2
    assert why_text(cluster) == "each machine that could take it has a task of its job (distinct hosts)"


def test_tasks_are_spread_over_the_values_of_a_label_however_many_nodes_have_them():
    cluster = zones("a", "a", "a", "a", "b", "")
    cluster.job(count=6, rules=PlacementRules(spread_over="zone"))
    cluster.run()
    found = [cluster.view.node(node).labels for node in where(cluster)]
    assert sorted(dict(labels).get("zone", "") for labels in found) == ["", "", "a", "a", "b", "b"]


def test_what_runs_already_counts_for_the_spread():
    cluster = zones("a", "a", "b")
    cluster.job(count=4, rules=PlacementRules(spread_over="zone"))
    cluster.run()
    cluster.do(SetNodeStatus(1, "n3", 3, NodeStatus.DOWN))
    cluster.run()
    assert where(cluster) == ["n1", "n1", "n2", "n2"]


def test_preferred_nodes_get_tasks_first_and_avoided_ones_last():
    cluster = zones("a", "b", "c", memory=2 * GB)
    rules = PlacementRules(
        affinities=(Affinity(read_constraint("zone=b"), 50), Affinity(read_constraint("zone=a"), -50))
    )
    order = []
    for n in range(6):
        cluster.job(f"web{n}", memory=GB, rules=rules)
        cluster.run()
        order += where(cluster, f"web{n}")
    assert order == ["n2", "n2", "n3", "n3", "n1", "n1"]


def test_the_weights_of_all_that_a_node_passes_are_summed():
    cluster = zones("a", "b")
    rules = PlacementRules(
        affinities=(
            Affinity(read_constraint("zone=a"), 30),
            Affinity(read_constraint("zone=b"), 20),
            Affinity(read_constraint("id=n2"), 20),
        )
    )
    cluster.job(rules=rules)
    cluster.run()
    assert where(cluster) == ["n2"]


@pytest.mark.parametrize(("placement", "node"), [(Placement.SPREAD, "n2"), (Placement.PACK, "n1")])
def test_of_equally_preferred_nodes_the_load_decides(placement, node):
    cluster = zones("a", "a")
    cluster.job("other", memory=GB, rules=constraints("id=n1"))
    cluster.run()
    rules = PlacementRules(affinities=(Affinity(read_constraint("zone=a"), 30),))
    cluster.job(memory=GB, placement=placement, rules=rules)
    cluster.run()
    assert where(cluster) == [node]


def test_a_task_goes_where_the_other_job_runs():
    cluster = Cluster(5)
    cluster.job(rules=PlacementRules(alongside=Alongside("vpn")))
    cluster.run()
    assert why_text(cluster) == "is to run alongside vpn, of which no task runs on a node that could take it"
    cluster.job("vpn")
    cluster.run("vpn")
    cluster.run()
    assert where(cluster) == [], "it is placed, and does not run yet"
    epoch = cluster.view.capacity_epoch
    start(cluster, "vpn")
    assert cluster.view.capacity_epoch != epoch, "who waits for it is tried again"
    cluster.run()
    assert where(cluster) == where(cluster, "vpn") != []


def test_what_runs_alongside_is_counted_with_other_reasons():
    cluster = zones("a", "a", "b", memory=2 * GB)
    cluster.job("vpn", rules=constraints("zone=b"))
    cluster.run()
    start(cluster, "vpn")
    cluster.job(memory=3 * GB, rules=PlacementRules(alongside=Alongside("vpn")))
    assert why(cluster) == (
        "no node fits: 2 run no task of vpn, alongside which it is to run,"
        " 1 lacks memory (needs 3 GB, most free 2 GB)"
    )


def test_a_plan_of_an_older_state_does_not_break_the_rules():
    cluster = Cluster(2)
    cluster.job(count=2, rules=PlacementRules(max_per_node=1))
    cluster.job("beside", rules=PlacementRules(alongside=Alongside("vpn")))
    web, beside = cluster.view.job("web"), cluster.view.job("beside")
    cluster.do(
        ApplyPlan(
            1,
            (
                Placements("web", web.created_index, 0, [0, 1], [1, 1]),
                Placements("beside", beside.created_index, 0, [0], [1]),
            ),
        )
    )
    assert where(cluster) == ["n1"]
    assert where(cluster, "beside") == []


def test_jobs_of_a_higher_priority_go_first_when_room_is_short():
    cluster = Cluster(1, memory=2 * GB)
    for name, priority in (("low", -1), ("old", 0), ("new", 0), ("high", 9)):
        spec = TaskSpec("app", resources=Resources(0, GB, 0))
        job = Job(name, JobKind.SERVICE, 1, spec, priority=priority)
        cluster.do(CreateJob(1, job, f"create {name}", 0))
    assert cluster.view.jobs_to_place() == ["high", "old", "new", "low"]
    cluster.run("low", "new", "old", "high")
    assert where(cluster, "high") == ["n1"]
    assert [where(cluster, name) for name in ("old", "new", "low")].count([]) == 2
    assert cluster.view.jobs_refused() == [name for name in ("old", "new", "low") if not where(cluster, name)]


LABELS = st.lists(st.sampled_from(["", "a", "b"]), min_size=1, max_size=5)
RULES = st.builds(
    PlacementRules,
    st.lists(
        st.sampled_from(["zone=a", "zone!=a", "zone in (a, b)", "zone exists", "id~[13]"]).map(read_constraint),
        max_size=2,
    ).map(tuple),
    st.lists(
        st.builds(Affinity, st.sampled_from(["zone=a", "id=n1"]).map(read_constraint), st.integers(-100, 100)),
        max_size=2,
    ).map(tuple),
    st.sampled_from(["", "zone"]),
    st.integers(0, 2),
    st.booleans(),
    st.none() | st.builds(Alongside, st.sampled_from(["job0", "job1", "other"])),
)
JOBS = st.lists(st.tuples(st.integers(1, 5), RULES | st.none(), st.sampled_from([0, 1])), min_size=1, max_size=4)


@settings(deadline=None, max_examples=150)
@given(LABELS, JOBS, st.integers(0, 2))
def test_whatever_is_placed_keeps_its_rules_and_the_rest_is_explained(labels, jobs, drained):
    cluster = Cluster()
    for n, zone in enumerate(labels, 1):
        shown = (("id", f"n{n}"), *((("zone", zone),) if zone else ()))
        cluster.node(n, labels=shown, memory=4 * GB, engine=f"e{n // 2}")
    for n, (count, rules, memory) in enumerate(jobs):
        cluster.job(f"job{n}", count=count, memory=memory * GB, rules=rules)
    for turn in range(3):
        cluster.run()
        check(cluster)
        for n in range(len(jobs)):
            start(cluster, f"job{n}")
        if turn == 1 and drained:
            cluster.do(DrainNode(1, f"n{min(drained, len(labels))}", draining=True))


def check(cluster):
    view = cluster.view
    for job in view.jobs():
        rules = job.task.rules or PlacementRules()
        nodes = where(cluster, job.name)
        for node in nodes:
            assert rules.pass_labels(view.node(node).labels)
            assert not rules.max_per_node or nodes.count(node) <= rules.max_per_node
        if rules.distinct_hosts:
            engines = [view.node(node).engine for node in nodes]
            assert len(engines) == len(set(engines))
        failure = view.refusal(job.name)
        assert (failure == "") == (view.open_count(job.name) == 0)
        if failure:
            assert failure.nodes == len(view.nodes())
            assert view.task(job.name, view.open_slots(job.name, 1)[0]).reason
