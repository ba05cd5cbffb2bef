"""A recovery from a lost quorum as nodes hear of it."""

import asyncio
import types

import pytest
from cluster_kit import run

from orion.model.ids import NodeId, RaftId
from orion.model.recovery import belong_together, is_newer, next_recovery
from orion.node import render
from orion.node.directory import Facts
from orion.node.gossip_watch import MAX_STRANGERS
from orion.ports import MemberState


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


def test_a_worker_goes_along_and_members_end():
    async def main(nodes):
        cluster = nodes.leader.node.driver.view.cluster
        worker = next(m for m in nodes.machines if not m.node.driver.is_member)
        members = [m for m in nodes.machines if m is not worker]
        recovery = next_recovery(0, 1)
        nodes.cluster.has_reason = lambda machine, error: "without this node" in str(error)
        for machine in (worker, members[0]):
            machine.run.process.post(machine.node.directory.on_newer_recovery, "node9", recovery)
        await nodes.until(lambda: not any(m.up for m in members))  # gossip tells the others
        assert worker.up
        identity = worker.node._identity
        assert (identity.cluster, identity.recovery) == (cluster, recovery)
        assert worker.node.directory.recovery == recovery
        await nodes.until(lambda: not worker.node.directory.voters())  # those of before are none any more

    run(main, count=8, voters=5)


def test_a_stranger_is_a_reason_to_end_only_for_one_that_is_alone():
    """And knows it: before its log is applied a node of three would think so too."""

    async def main(nodes):
        node = nodes.machines[0].node
        assert node._config.bootstrap
        node._met_a_stranger(NodeId("node9"), 99, 0)
        assert not node._outcast.is_set()

    run(main, count=3)

    async def alone(nodes):
        node = nodes.machines[0].node
        node._loaded_index = node.driver.applied_index + 1
        node._met_a_stranger(NodeId("node9"), 99, 0)
        assert not node._outcast.is_set()
        node._loaded_index = node.driver.applied_index
        nodes.cluster.has_reason = lambda machine, error: "began a cluster of its own" in str(error)
        node._met_a_stranger(NodeId("node9"), 99, 0)
        await nodes.until(lambda: not nodes.machines[0].up)

    run(alone, count=1, voters=1)


def seen(node, cluster, recovery):
    facts = Facts(RaftId(77), "10.0.9.9:7000", "10.0.9.9:8000", "0.1", "leader", 3, cluster, None, recovery)
    return MemberState(NodeId(node), "alive", "10.0.9.9:6000", 1, facts.encode())


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
        assert {n.name: n.status for n in render.nodes(driver, directory)} == {
            "node1": "unknown",
            "node2": "alive",
            "node3": "unknown",
        }

    run(main)
