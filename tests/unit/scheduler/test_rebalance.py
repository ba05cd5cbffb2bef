"""Moves to even out nodes: each is worth it, allowed, and one a job at a time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_schedule import GB, WEB, Cluster
from test_task_rules import JOBS, LABELS, start, where

from orion.model.job import Placement, RestartMode, RestartPolicy
from orion.model.placement_rules import Affinity, Alongside, PlacementRules, read_constraint
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.scheduler.rebalance import LEAST_GAIN, rebalance


def ready(cluster, *jobs):
    """All that is placed runs."""
    cluster.run()
    for name in jobs or cluster.view.job_names():
        start(cluster, name)


def loads(cluster):
    return {row.node.id: row.load for row in cluster.view.node_records()}


def moved(cluster, **limits):
    """Applies what is found, and has it run: task -> (from, to)."""
    found = rebalance(cluster.view, cluster.pools, **limits)
    before = cluster.view.allocation_count()
    cluster.do(found.plan.command(1))
    assert cluster.view.allocation_count() == before + len(found.moves), "all of it is taken"
    for name in {move.job for move in found.moves}:
        start(cluster, name)
    return {f"{move.job}/{move.index}": (move.source, move.target) for move in found.moves}


def test_a_node_that_joined_gets_tasks_until_another_move_would_not_help():
    cluster = Cluster(1)
    for n in range(4):
        cluster.job(f"job{n}", memory=2 * GB)
    ready(cluster)
    cluster.node(2)
    assert set(moved(cluster).values()) == {("n1", "n2")}
    assert sorted(where(cluster, f"job{n}")[0] for n in range(4)) == ["n1", "n1", "n2", "n2"]


def test_nodes_that_are_even_keep_what_they_have():
    cluster = Cluster(3)
    cluster.job(count=6, memory=GB)
    ready(cluster)
    found = rebalance(cluster.view)
    assert (found.moves, found.more) == ((), False)


def test_tasks_that_ask_for_nothing_are_evened_out_too():
    cluster = Cluster(1)
    for n in range(6):
        cluster.job(f"job{n}")
    ready(cluster)
    cluster.node(2)
    assert len(moved(cluster)) == 3


def test_one_task_of_a_job_moves_at_a_time_and_others_are_told_of():
    cluster = Cluster(1)
    cluster.job(count=4, memory=2 * GB)
    ready(cluster)
    cluster.node(2)
    found = rebalance(cluster.view)
    assert (len(found.moves), found.more) == (1, True)


def with_policy(cluster, name, policy):
    record = cluster.view.job_record(name)
    record.job = replace(record.job, update=policy)


@pytest.mark.parametrize(
    ("policy", "moves"),
    [
        (UpdatePolicy(), 1),
        (UpdatePolicy(min_available=4), 1),  # another one comes up first
        (UpdatePolicy(order=UpdateOrder.STOP_FIRST), 1),
        (UpdatePolicy(order=UpdateOrder.STOP_FIRST, min_available=4), 0),
    ],
)
def test_a_job_that_says_how_it_is_updated_is_led_so_and_keeps_its_floor(policy, moves):
    cluster = Cluster(1)
    cluster.job(count=4, memory=2 * GB)
    ready(cluster)
    cluster.node(2)
    with_policy(cluster, "web", policy)
    found = rebalance(cluster.view)
    assert len(found.moves) == len(found.led) == moves
    assert found.plan.empty, "nothing of it is ended by the plan"


def test_no_more_moves_than_asked_for():
    cluster = Cluster(1)
    for n in range(6):
        cluster.job(f"job{n}", memory=2 * GB)
    ready(cluster)
    cluster.node(2)
    assert len(rebalance(cluster.view, max_moves=2).moves) == 2


def test_what_does_not_run_yet_stays():
    cluster = Cluster(1)
    cluster.job(memory=GB)
    cluster.run()
    cluster.node(2)
    assert not rebalance(cluster.view).moves


def test_what_wants_to_be_packed_stays():
    cluster = Cluster(1)
    for n in range(4):
        cluster.job(f"job{n}", memory=2 * GB, placement=Placement.PACK)
    ready(cluster)
    cluster.node(2)
    assert not rebalance(cluster.view).moves


def test_what_is_to_run_once_stays():
    cluster = Cluster(1)
    for n in range(4):
        cluster.job(f"job{n}", memory=2 * GB, restart=RestartPolicy(RestartMode.NO))
    ready(cluster)
    cluster.node(2)
    assert not rebalance(cluster.view).moves


def test_what_is_alongside_or_has_others_alongside_stays():
    cluster = Cluster(1)
    cluster.job("vpn", memory=4 * GB)
    ready(cluster)
    cluster.job("torrent", memory=4 * GB, rules=PlacementRules(alongside=Alongside("vpn")))
    ready(cluster)
    cluster.node(2)
    assert not rebalance(cluster.view).moves


def test_a_target_passes_the_rules_and_is_preferred_no_less():
    cluster = Cluster()
    cluster.node(1, labels=(("disk", "ssd"), ("zone", "a")))
    only_a = PlacementRules((read_constraint("zone=a"),))
    likes = PlacementRules(affinities=(Affinity(read_constraint("disk=ssd"), 5),))
    over = PlacementRules(spread_over="zone")
    for name, rules in (("bound", only_a), ("likes", likes), ("over", over)):
        cluster.job(name, memory=4 * GB, rules=rules)
    ready(cluster)
    cluster.node(2, labels=(("zone", "b"),))
    assert not rebalance(cluster.view).moves


def test_a_host_port_is_free_on_the_target():
    cluster = Cluster(1)
    cluster.job("web", memory=4 * GB, ports=WEB)
    cluster.job("other", memory=4 * GB)
    ready(cluster)
    cluster.node(2, engine="e2")
    cluster.node(3, engine="e2")
    cluster.job("web2", ports=WEB)
    ready(cluster)
    for task, (_, target) in moved(cluster).items():
        assert task != "web/0" or target not in ("n2", "n3")


@settings(deadline=None, max_examples=100)
@given(LABELS, JOBS, st.lists(st.sampled_from(["", "a", "b"]), min_size=1, max_size=2))
def test_moves_keep_all_rules_and_come_to_an_end(labels, jobs, joined):
    cluster = Cluster()

    def join(n, zone):
        shown = (("id", f"n{n}"), *((("zone", zone),) if zone else ()))
        cluster.node(n, labels=shown, memory=4 * GB, engine=f"e{n}")

    for n, zone in enumerate(labels, 1):
        join(n, zone)
    for n, (count, rules, memory) in enumerate(jobs):
        cluster.job(f"job{n}", count=count, memory=memory * GB, rules=rules)
    for _ in range(3):
        ready(cluster)
    for n, zone in enumerate(joined, len(labels) + 1):
        join(n, zone)
    for _ in range(30):
        found = rebalance(cluster.view, cluster.pools)
        for move in found.moves:
            assert loads(cluster)[move.source] - loads(cluster)[move.target] > LEAST_GAIN
        if not moved(cluster):
            break
        check_rules(cluster)
        end_unwanted(cluster)
    else:
        raise AssertionError("it moves on for ever")


def check_rules(cluster):
    for job in cluster.view.jobs():
        rules = job.task.rules or PlacementRules()
        nodes = where(cluster, job.name)
        for node in nodes:
            assert rules.pass_labels(cluster.view.node(node).labels)
            assert not rules.max_per_node or nodes.count(node) <= rules.max_per_node


def end_unwanted(cluster):
    from orion.model.allocation import AllocationState, AllocationStatus
    from orion.state.tables.allocation_updates import UpdateAllocations

    for job in cluster.view.job_names():
        for allocation in cluster.view.allocations_of_job(job):
            if not allocation.wanted and not allocation.terminal:
                status = AllocationStatus(AllocationState.STOPPED, started_at_ms=1, finished_at_ms=2)
                cluster.do(UpdateAllocations(1, allocation.node, ((allocation.id, status),)))
