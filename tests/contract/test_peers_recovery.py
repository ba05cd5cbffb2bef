"""A recovery parts a cluster: the hello of who went through it is not that of who did not."""

import asyncio

import pytest
import uvloop

from contract.test_peers import CLUSTER, DEADLINE_S, OTHER_CLUSTER, TcpBench, hosts, until
from orion.model.errors import Unavailable
from orion.model.recovery import next_recovery

pytestmark = pytest.mark.usefixtures("patient_peers")

RECOVERED = next_recovery(0, 2**32 - 1)


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def bench(request):
    return TcpBench(request.param)


async def pair(bench, one, other):
    """Two hosts of one cluster, each after its recovery, and whom each was told to be strange."""
    made = await hosts(bench, 1, 2, cluster=CLUSTER)
    told = [], []
    for host, recovery, heard in zip(made, (one, other), told, strict=True):
        host.peers.set_cluster(CLUSTER, recovery)
        host.peers.on_stranger = lambda *stranger, heard=heard: heard.append(stranger)
    return made, told


async def refused(asker, other):
    with pytest.raises(Unavailable):
        await asker.peers.call(other.address, b"x", timeout_s=DEADLINE_S)


@pytest.mark.parametrize("recovered_asks", [True, False])
def test_a_node_of_before_a_recovery_is_refused_and_both_are_told(bench, recovered_asks):
    async def check():
        (recovered, before), (told, told_before) = await pair(bench, RECOVERED, 0)
        await refused(*((recovered, before) if recovered_asks else (before, recovered)))
        await until(lambda: told_before and told)
        assert set(told_before) == {("n1", CLUSTER, RECOVERED)}
        assert set(told) == {("n2", CLUSTER, 0)}

    bench.run(check)


def test_two_recoveries_made_apart_refuse_each_other(bench):
    async def check():
        (one, other), (told, told_other) = await pair(bench, RECOVERED, next_recovery(0, 5))
        await refused(one, other)
        await refused(other, one)
        assert set(told) == {("n2", CLUSTER, next_recovery(0, 5))}
        assert set(told_other) == {("n1", CLUSTER, RECOVERED)}

    bench.run(check)


def test_a_node_of_another_cluster_is_refused_and_told(bench):
    async def check():
        (one,), (other,) = await hosts(bench, 1, cluster=CLUSTER), await hosts(bench, 2, cluster=OTHER_CLUSTER)
        told = []
        one.peers.on_stranger = lambda *stranger: told.append(stranger)
        await refused(other, one)
        await until(lambda: told)
        assert set(told) == {("n2", OTHER_CLUSTER, 0)}

    bench.run(check)


def test_a_node_that_took_over_the_recovery_is_spoken_with_again(bench):
    async def check():
        (recovered, worker), _ = await pair(bench, RECOVERED, 0)
        await refused(worker, recovered)
        worker.peers.set_cluster(CLUSTER, RECOVERED)
        assert await worker.peers.call(recovered.address, b"x", timeout_s=DEADLINE_S) == b"n2 asked n1: x"

    bench.run(check)


def test_a_node_in_no_cluster_yet_may_speak_with_a_recovered_one(bench):
    async def check():
        (recovered,) = await hosts(bench, 1, cluster=CLUSTER)
        recovered.peers.set_cluster(CLUSTER, RECOVERED)
        (joiner,) = await hosts(bench, 2)
        assert await joiner.peers.call(recovered.address, b"x", timeout_s=DEADLINE_S) == b"n2 asked n1: x"

    bench.run(check)
