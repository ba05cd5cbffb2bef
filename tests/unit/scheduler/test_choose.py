"""Rounds over scored nodes choose what taking the best node for one task after another would."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from test_schedule import Cluster

from orion.model.resources import Resources
from orion.scheduler.pools import EXACT, Pool

CAPACITIES = st.tuples(st.integers(1, 8).map(lambda n: n * 1_000), st.integers(1, 8).map(lambda n: n * 1_000))


def best_one_after_another(cluster, need, cpu, memory):
    """The rule as it is told: fewest of the job, then fullest after the placement, then the lowest number."""
    free = {r.number: [r.cpu_free, r.memory_free, r.active] for r in cluster.view.node_records()}
    counts = dict.fromkeys(free, 0)
    chosen = []

    def key(number):
        record = cluster.state.numbers[number]
        left_cpu, left_memory, active = free[number]
        full = (left_cpu - cpu) * record.cpu_share + (left_memory - memory) * record.memory_share
        return (counts[number], full if cpu or memory else active)

    for _ in range(need):
        fit = [
            n for n, (left_cpu, left_memory, _) in sorted(free.items()) if left_cpu >= cpu and left_memory >= memory
        ]
        if not fit:
            break
        best = min(fit, key=lambda n: (*key(n), chosen_order(chosen, n)))
        chosen.append(best)
        counts[best] += 1
        free[best][0] -= cpu
        free[best][1] -= memory
        free[best][2] += 1
    return chosen


def chosen_order(chosen, number):
    """Even nodes keep the order of the round before."""
    return chosen[::-1].index(number) * -1 if number in chosen else 0


@settings(max_examples=100, deadline=None)
@given(
    capacities=st.lists(CAPACITIES, min_size=1, max_size=6),
    fill=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)), max_size=6),
    need=st.integers(1, 12),
    cpu=st.sampled_from([0, 0, 500, 700]),
    memory=st.sampled_from([0, 300, 500]),
)
def test_as_one_after_another(capacities, fill, need, cpu, memory):
    cluster = Cluster()
    for n, (node_cpu, node_memory) in enumerate(capacities, 1):
        cluster.node(n, cpu=node_cpu, memory=node_memory)
    for n, (fill_cpu, fill_memory) in enumerate(fill):
        cluster.job(f"fill{n}", cpu=fill_cpu, memory=fill_memory)
    cluster.run()
    expected = best_one_after_another(cluster, need, cpu, memory)
    cluster.job(count=need, cpu=cpu, memory=memory)
    plan = cluster.plan("web")
    nodes = plan.placements[0].nodes if plan.placements else []
    # Within a round the order does not matter; which nodes take part in each does.
    assert sorted(nodes) == sorted(expected)
    assert len(nodes) == need or plan.refusals


def test_stretches_of_a_large_pool_are_fair_samples():
    cluster = Cluster(1_000)
    pool = Pool(cluster.view.node_records(), cluster.pools.pool(cluster.view, ()).unready, 0)
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


def test_scores_are_made_from_integers():
    """What was given and taken back leaves no trace in a score, as a sum of floats would."""
    cluster = Cluster(1, cpu=3_000, memory=7)
    record = cluster.view.node_records()[0]
    slack = record.slack
    for n in range(1, 300):
        record.hold(Resources(n % 7, n % 3, 0))
    for n in range(1, 300):
        record.release(Resources(n % 7, n % 3, 0))
    assert record.slack == slack == 2.0
