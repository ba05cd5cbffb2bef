"""A recovery from a lost quorum as nodes hear of it."""

from cluster_kit import run

from orion.model.recovery import belong_together, is_newer, next_recovery


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
