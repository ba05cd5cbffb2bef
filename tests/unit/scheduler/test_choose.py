"""Rounds over scored nodes choose what taking the best node for one task after another would."""

import itertools
from collections import Counter
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from test_schedule import Cluster

from orion.model.job import Placement
from orion.model.resources import Resources
from orion.scheduler.pools import EXACT, Pool
from orion.state.records import LIGHT_LOAD
from orion.state.tables.plans import ApplyPlan, Placements

LIGHT = Fraction(LIGHT_LOAD).limit_denominator(1_000)
CAPACITIES = st.tuples(st.integers(1, 8).map(lambda n: n * 1_000), st.integers(1, 8).map(lambda n: n * 1_000))


def check_one_after_another(cluster, placement, nodes, cpu, memory, counts):
    """The rule as it is told: each task goes to a node that has the fewest of the job, and of those to one that is
    the least loaded, or the fullest, after the placement. Returns whether one more would fit."""
    records = {record.number: record for record in cluster.view.node_records()}
    free = {number: [r.cpu_free, r.memory_free, r.active, r.light] for number, r in records.items()}

    def fit():
        return [n for n, (left_cpu, left_memory, *_) in free.items() if left_cpu >= cpu and left_memory >= memory]

    def key(number):
        capacity = records[number].node.capacity
        left_cpu, left_memory, active, light = free[number]
        left = Fraction(left_cpu - cpu, capacity.cpu_millis) + Fraction(left_memory - memory, capacity.memory_bytes)
        if placement is Placement.SPREAD:
            return counts[number], light * LIGHT - left, active
        return counts[number], left if cpu or memory else active, 0

    for number in nodes:
        fewest, best, fewest_tasks = min(key(n) for n in fit())
        count, score, tasks = key(number)
        assert number in fit()
        assert (count, round(score, 9), tasks) == (fewest, round(best, 9), fewest_tasks)
        counts[number] += 1
        free[number][0] -= cpu
        free[number][1] -= memory
        free[number][2] += 1
        free[number][3] += not (cpu or memory)
    return bool(fit())


@settings(max_examples=100, deadline=None)
@given(
    capacities=st.lists(CAPACITIES, min_size=1, max_size=6),
    fill=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)), max_size=6),
    there=st.lists(st.integers(1, 6), max_size=4),
    need=st.integers(1, 12),
    cpu=st.sampled_from([0, 0, 500, 700]),
    memory=st.sampled_from([0, 300, 500]),
    placement=st.sampled_from(Placement),
)
def test_a_plan_is_as_if_tasks_were_placed_one_after_another(capacities, fill, there, need, cpu, memory, placement):
    cluster = Cluster()
    cluster.default_to(placement)
    for n, (node_cpu, node_memory) in enumerate(capacities, 1):
        cluster.node(n, cpu=node_cpu, memory=node_memory)
    for n, (fill_cpu, fill_memory) in enumerate(fill):
        cluster.job(f"fill{n}", cpu=fill_cpu, memory=fill_memory)
    cluster.run()
    cluster.job(count=need + len(there), cpu=cpu, memory=memory)
    before = Placements(
        "web", cluster.view.job("web").created_index, 0, list(range(need, need + len(there))), there
    )
    cluster.do(ApplyPlan(1, (before,)))
    open_now = cluster.view.open_count("web")
    counts = Counter(cluster.state.nodes[node].number for node in cluster.where().values())
    plan = cluster.plan("web")
    nodes = plan.placements[0].nodes if plan.placements else []
    one_more = check_one_after_another(cluster, placement, nodes, cpu, memory, counts)
    assert len(nodes) == open_now or (plan.refusals and not one_more)


def test_stretches_of_a_large_pool_are_fair_samples():
    cluster = Cluster(1_000)
    pool = Pool(cluster.view.node_records(), cluster.pools.pool(cluster.view, ()).failure)
    assert len(pool.nodes) > EXACT
    for at in range(0, 900, 100):
        numbers = sorted(record.number for record in pool.nodes[at : at + 100])
        gaps = [two - one for one, two in itertools.pairwise(numbers)]
        assert max(gaps) <= 30


def test_a_small_pool_keeps_the_order_of_numbers():
    cluster = Cluster(EXACT)
    pool = cluster.pools.pool(cluster.view, ())
    assert [record.number for record in pool.nodes] == list(range(1, EXACT + 1))
    assert pool.even
    cluster.node(3, cpu=1)
    assert not cluster.pools.pool(cluster.view, ()).even


def test_resources_given_and_taken_back_leave_no_trace_in_a_score():
    """What was given and taken back leaves no trace in a score, as a sum of floats would."""
    cluster = Cluster(1, cpu=3_000, memory=7)
    record = cluster.view.node_records()[0]
    slack = -record.load  # no task: what is left of both
    for n in range(1, 300):
        record.hold(Resources(n % 7, n % 3, 0))
    for n in range(1, 300):
        record.release(Resources(n % 7, n % 3, 0))
    assert -record.load == slack == 2.0
