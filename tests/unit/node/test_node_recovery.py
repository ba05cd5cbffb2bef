"""A recovery from a lost quorum as nodes hear of it."""

import asyncio
import types

import pytest
from cluster_kit import run
from msgspec.structs import replace

from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState, NodeRole
from orion.model.recovery import belong_together, is_newer, next_recovery
from orion.node.consensus.position import AskPosition
from orion.node.membership.directory import NodeMetadata, Seen, parse_metadata
from orion.node.membership.gossip_watch import MAX_STRANGERS
from orion.node.membership.recovery_claims import MAX_ASKED, SAME_AGAIN_MS
from orion.node.rpc.request import encode_request
from orion.node.views import render
from orion.ports.membership import Member
from orion.reconcile.nodes import UNSEEN_GRACE_MS


def test_recoveries_made_apart_are_never_taken_for_one():
    first = next_recovery(0, 17)
    assert is_newer(first, 0)
    assert not is_newer(0, first)
    other = next_recovery(0, 18)
    assert not is_newer(first, other)
    assert not is_newer(other, first)
    assert is_newer(next_recovery(first, 1), other)
    assert belong_together(5, first, 5, first)
    assert not belong_together(5, first, 5, other)
    assert not belong_together(5, 0, 5, first)
    assert not belong_together(5, 0, 6, 0)
    assert belong_together(0, 0, 5, first)


RECOVERED = next_recovery(0, 1)


def recover(machine):
    """It comes back as one that was made to go on alone. (Without votes it leads nobody here.)"""
    machine.kill()
    for image in (machine.disk.written, machine.disk.durable):
        image.identity = replace(image.identity, recovery=RECOVERED)
    machine.boot()


def say(caplog, words):
    return [record.getMessage() for record in caplog.records if words in record.getMessage()]


NOT_BELIEVED = "That is not believed, for a majority of this one is heard"


def test_a_recovery_that_was_a_mistake_ends_no_healthy_majority(caplog):
    """Its peer port confirms it, and it goes on claiming while the majority elects another leader."""

    async def main(nodes):
        victim = next(m for m in nodes.machines if m is not nodes.leader)
        healthy = [m for m in nodes.machines if m is not victim]
        recover(victim)
        await nodes.until(lambda: len(say(caplog, NOT_BELIEVED)) == len(healthy))
        leader = nodes.leader
        leader.kill()
        await nodes.until(lambda: nodes.leader not in (None, leader))
        await asyncio.sleep(20)
        assert all(m.up for m in healthy if m is not leader)
        assert {m.node.directory.recovery for m in healthy if m is not leader} == {0}
        assert len(say(caplog, NOT_BELIEVED)) == len(healthy), "each says it once"

    run(main, count=5, voters=5)


def test_a_claim_in_gossip_that_no_peer_port_confirms_is_not_believed(caplog):
    """Not even by a node that hears nobody else: neither where nobody listens, nor where another answers."""

    async def main(nodes):
        alone, *others = nodes.machines
        for machine in others:
            machine.kill()
        own = f"{alone.host}:{alone.config.raft_port}"
        await asyncio.sleep(5)
        for name, address in (("node9", "10.0.9.9:7000"), ("node8", own)):
            claim = seen(name, alone.node.directory.cluster, RECOVERED, address)
            for _ in range(5):
                alone.node.directory.on_newer_recovery(Seen(claim, parse_metadata(claim.metadata)))
                await asyncio.sleep(1)
        assert alone.up
        assert len(say(caplog, "does not confirm it: not believed")) == 2, "each is told once"

    run(main)


def test_members_end_that_were_left_behind_though_they_are_a_majority():
    async def main(nodes):
        for machine in nodes.machines:
            machine.kill()
        survivor, *others = nodes.machines
        recover(survivor)
        nodes.cluster.has_reason = lambda machine, error: "without this node" in str(error)
        await asyncio.sleep(1)
        for machine in others:
            machine.boot()
        await nodes.until(lambda: not any(m.up for m in others), 5)
        assert survivor.up

    run(main)


def test_a_member_that_lives_on_without_the_others_ends_when_it_meets_the_survivor():
    """It has heard a quorum before, so it waits whether there is one again."""

    async def main(nodes):
        survivor, left, gone = nodes.machines
        gone.kill()
        nodes.cluster.has_reason = lambda machine, error: "without this node" in str(error)
        recover(survivor)
        await nodes.until(lambda: not left.up, 10)
        assert survivor.up

    run(main)


def test_a_worker_goes_along_before_it_is_called_dead():
    async def main(nodes):
        worker = next(m for m in nodes.machines if not m.node.driver.is_member)
        members = [m for m in nodes.machines if m is not worker]
        cluster = nodes.leader.node.driver.view.cluster
        await nodes.until(lambda: worker.node.directory.cluster == cluster)
        for machine in members:
            machine.kill()
        await asyncio.sleep(1)
        recover(members[0])
        await nodes.until(lambda: worker.node.directory.recovery == RECOVERED, UNSEEN_GRACE_MS / 1000 / 2)
        assert (worker.node._belonging.identity.cluster, worker.node._belonging.identity.recovery) == (
            cluster,
            RECOVERED,
        )
        await asyncio.sleep(5)
        assert worker.up

    run(main, count=8, voters=5)


def test_a_worker_of_a_healthy_cluster_does_not_change_sides():
    async def main(nodes):
        worker = next(m for m in nodes.machines if not m.node.driver.is_member)
        victim = next(m for m in nodes.machines if m is not worker and m is not nodes.leader)
        asked, call = [], worker.run.peers.call

        async def count(address, request, *, timeout_s):
            asked.append(request)
            return await call(address, request, timeout_s=timeout_s)

        worker.run.peers.call = count
        recover(victim)
        own = f"{victim.host}:{victim.config.raft_port}"
        claim = seen(victim.name, worker.node.directory.cluster, RECOVERED, own)
        for _ in range(200):
            worker.node.directory.on_newer_recovery(Seen(claim, parse_metadata(claim.metadata)))
            await asyncio.sleep(0.1)
        assert worker.node.directory.recovery == 0
        looks = 20_000 / SAME_AGAIN_MS + 1
        assert asked.count(encode_request(AskPosition())) <= MAX_ASKED * looks, "a claim that is repeated is cheap"
        assert all(m.up for m in nodes.machines)

    run(main, count=8, voters=5)


def test_a_stranger_is_a_reason_to_end_only_for_one_that_is_alone():
    """And knows it: before its log is applied a node of three would think so too."""

    async def main(nodes):
        node = nodes.machines[0].node
        assert node._config.bootstrap
        node._belonging.met_a_stranger(NodeId("node9"), 99, 0)
        assert not node._outcast.is_cast_out

    run(main, count=3)

    async def alone(nodes):
        node = nodes.machines[0].node
        node._belonging.loaded_index = node.driver.applied_index + 1
        node._belonging.met_a_stranger(NodeId("node9"), 99, 0)
        assert not node._outcast.is_cast_out
        node._belonging.loaded_index = node.driver.applied_index
        nodes.cluster.has_reason = lambda machine, error: "began a cluster of its own" in str(error)
        node._belonging.met_a_stranger(NodeId("node9"), 99, 0)
        await nodes.until(lambda: not nodes.machines[0].up)

    run(alone, count=1, voters=1)


def seen(node, cluster, recovery, address="10.0.9.9:7000"):
    metadata = NodeMetadata(
        RaftId(77), address, "10.0.9.9:8000", "0.1", NodeRole.LEADER, 3, cluster, None, recovery
    )
    return Member(NodeId(node), MemberState.ALIVE, "10.0.9.9:6000", 1, metadata.encode())


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ((7, 0), "of another cluster than this node's data directory"),
        ((5, next_recovery(0, 18)), "recovered apart from this node: they are two clusters now"),
        ((5, next_recovery(0, 17)), ""),
        ((5, 0), ""),  # of before: it ends by itself
        ((0, 0), ""),
    ],
)
def test_who_is_of_another_cluster_is_told_once(theirs, words, caplog):
    async def main(nodes):
        watch, directory = nodes.leader.node._gossip, nodes.leader.node.directory
        directory.cluster, directory.recovery = 5, next_recovery(0, 17)
        watch._membership = types.SimpleNamespace(members=lambda: [seen("node9", *theirs)])
        for _ in range(3):
            watch._look()

    run(main)
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR" and "node9" in r.getMessage()]
    assert len(told) == bool(words)
    assert all(words in text for text in told)


def test_a_member_that_claims_a_new_cluster_each_time_floods_no_log(caplog):
    async def main(nodes):
        watch = nodes.leader.node._gossip
        for cluster in range(100, 100 + 3 * MAX_STRANGERS):
            watch._membership = types.SimpleNamespace(members=lambda c=cluster: [seen("node9", c, 0)])
            watch._look()

    run(main)
    told = [r.getMessage() for r in caplog.records if "of another cluster" in r.getMessage()]
    assert len(told) == MAX_STRANGERS


def test_of_whom_nothing_was_heard_since_the_start_nothing_is_said():
    """State still has them as alive, but who would have told it that they are not?"""

    async def main(nodes):
        for machine in nodes.machines:
            machine.kill()
        alone = nodes[2]
        nodes.isolate(alone)
        alone.boot()
        await asyncio.sleep(3)
        driver, directory = alone.node.driver, alone.node.directory
        assert {n.name: n.status for n in render.nodes(driver, directory)[0]} == {
            "node1": "unknown",
            "node2": "alive",
            "node3": "unknown",
        }

    run(main)
