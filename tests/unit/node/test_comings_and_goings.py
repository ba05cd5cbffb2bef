"""Nodes that leave, die and come back, as the leader and they themselves see it."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.node import NodeStatus


def status(nodes, machine):
    return nodes.leader.node.driver.view.node(machine.config.node).status


def test_a_worker_that_returns_after_a_planned_stop_is_ready_at_once():
    """Its registration is faster than gossip, which still shows the leader that it left."""

    async def main(nodes):
        conf = nodes.leader.node.driver.raft.conf
        worker = next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))
        for _ in range(10):
            worker.stop()
            await nodes.until(lambda: not worker.up)
            await nodes.until(lambda: status(nodes, worker) is NodeStatus.LEFT)
            await asyncio.sleep(1)
            worker.boot()
            await asyncio.sleep(6)
            assert status(nodes, worker) is NodeStatus.READY

    run(main, count=8, voters=5)


def test_a_voter_that_returns_from_death_is_called_dead_once():
    """Raft finds it by the addresses on its disk; gossip takes its time when nobody told it of a seed."""

    async def main(nodes):
        voter = nodes[1]
        for _ in range(10):
            voter.kill()
            await nodes.until(lambda: nodes.leader and status(nodes, voter) is NodeStatus.DOWN)
            await asyncio.sleep(2)
            voter.gossip_memory.clear()
            voter.boot()
            seen = [NodeStatus.DOWN]
            for _ in range(600):
                await asyncio.sleep(0.01)
                if seen[-1] is not status(nodes, voter):
                    seen.append(status(nodes, voter))
            assert seen == [NodeStatus.DOWN, NodeStatus.READY]

    run(main)


def test_a_new_leader_is_not_taken_for_the_dead_one_before_it():
    """The proof comes when another leads already."""

    async def main(nodes):
        old = nodes.leader
        told = []

        def slow(driver, peers):
            probe = peers.probe

            async def answer(address, **tries):
                answered = await probe(address, **tries)
                await nodes.until(lambda: driver.standing.leader not in (old.raft, 0))
                return answered

            peers.probe = answer
            driver.peer_dead = told.append

        for machine in nodes.machines:
            slow(machine.node.driver, machine.run.peers)
        old.kill()
        await nodes.until(lambda: nodes.leader is not None)
        await asyncio.sleep(1)
        assert set(told) == {old.raft}

    run(main)


def test_a_host_that_falls_silent_is_dead_by_two_proofs(caplog):
    async def main(nodes):
        gone = next(m for m in nodes.machines if m is not nodes.leader)
        nodes.isolate(gone)
        await nodes.until(lambda: status(nodes, gone) is NodeStatus.DOWN)

    caplog.set_level("INFO")
    run(main)
    assert "went down (gossip suspects it and its host does not answer)" in caplog.text


def called_dead(nodes):
    """Other nodes than the leader that it calls down."""
    leader = nodes.leader
    if leader is None:
        return []
    view = leader.node.driver.view
    return [n.id for n in view.nodes() if n.status is NodeStatus.DOWN and n.id != leader.config.node]


@pytest.mark.parametrize(
    ("count", "cut_off_s"), [(3, 0.425), (3, 0.45), (3, 0.475), (3, 0.6), (2, 0.55), (2, 0.65)]
)
@pytest.mark.parametrize("seed", range(8, 16))
def test_a_leader_whose_own_network_was_gone_calls_nobody_dead(count, cut_off_s, seed):
    """To it all others are silent. What it decides then is committed as soon as it is back, if it still leads."""

    async def main(nodes):
        await asyncio.sleep(3)
        nodes.isolate(nodes.leader)
        await asyncio.sleep(cut_off_s)
        nodes.heal()
        for _ in range(100):
            await asyncio.sleep(0.01)
            assert called_dead(nodes) == []

    run(main, count=count, seed=seed)
