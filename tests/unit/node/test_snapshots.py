import asyncio

from cluster_kit import run
from test_raft_driver import drain, outcome

from orion.process.config import Tuning
from orion.raft.messages import MsgSnap


async def write(leader, count):
    for number in range(count):
        await asyncio.shield(leader.run.process.spawn(outcome(leader.node.driver.propose(drain(number)))))
    await asyncio.sleep(0.5)


def test_a_newer_offer_while_a_snapshot_is_being_installed():
    async def main(nodes):
        late = next(m for m in nodes.machines if m is not nodes.leader)
        nodes.isolate(late)
        leader = nodes.leader

        await write(leader, 20)
        leader.run.process.spawn(leader.node.driver.hand_over(0))
        await nodes.until(lambda: nodes.leader not in (leader, None))
        leader = nodes.leader
        await write(leader, 1)
        driver = late.node.driver
        late.disk.slowness = 2e4
        nodes.heal()
        await nodes.until(lambda: driver.raft.snapshot_index > driver.applied_index)
        await write(leader, 60)
        lead = leader.node.driver
        snapshot = leader.node.driver.raft._me.snapshot
        assert snapshot.index > driver.raft.snapshot_index
        late.run.process.post(
            driver.receive, MsgSnap(lead.raft._me.id, driver.raft._me.id, lead.raft.term, snapshot)
        )
        await asyncio.sleep(5)
        late.disk.slowness = 1.0
        await nodes.until(lambda: driver.applied_index == lead.applied_index)
        assert driver.snapshots._fetched is None

    run(main, tuning=Tuning(snapshot_entries=5, trailing_entries=0))


def test_what_is_applied_while_one_is_saved_does_not_call_for_another():
    async def main(nodes):
        leader = nodes.leader
        driver = leader.node.driver
        saved = []
        save = driver._store.save_snapshot

        async def slowly(meta, chunks, **more):
            saved.append(meta.index)
            await asyncio.sleep(1)
            await save(meta, chunks, **more)

        driver._store.save_snapshot = slowly
        number = 0
        while not saved or driver.applied_index < saved[0] + 5:
            await asyncio.shield(leader.run.process.spawn(outcome(driver.propose(drain(number)))))
            number += 1
        assert driver.raft.snapshot_index < saved[0], "they were applied meanwhile"
        await asyncio.sleep(5)
        assert saved == [driver.raft.snapshot_index]

    run(main, tuning=Tuning(snapshot_entries=10, trailing_entries=0))


def test_heartbeats_are_answered_while_a_snapshot_is_installed():
    """However long that takes: a standby that is not heard loses its seat, and the next one would fare alike."""

    async def main(nodes):
        late = next(m for m in nodes.machines if m is not nodes.leader)
        nodes.isolate(late)
        leader, driver = nodes.leader, nodes.leader.node.driver
        await write(leader, 20)
        late.disk.slowness = 1e6
        nodes.heal()
        await nodes.until(lambda: late.node.driver.raft.snapshot_index > late.node.driver.applied_index)
        await asyncio.sleep(20)
        assert late.node.driver.raft.snapshot_index > late.node.driver.applied_index, "it installs"
        assert driver.raft.status().followers[late.raft].unheard_ms < 1_000
        assert driver.raft.awaits_snapshots
        late.disk.slowness = 1.0

    run(main, tuning=Tuning(snapshot_entries=10, trailing_entries=0))


def test_the_next_one_waits_for_a_follower_that_installs_this_one():
    """Else it is at once behind what the log begins with, and is given another, and another."""

    async def main(nodes):
        late = next(m for m in nodes.machines if m is not nodes.leader)
        nodes.isolate(late)
        leader, driver = nodes.leader, nodes.leader.node.driver

        await write(leader, 20)
        late.disk.slowness = 2e4
        nodes.heal()
        await nodes.until(lambda: late.node.driver.raft.snapshot_index > late.node.driver.applied_index)
        index = driver.raft.snapshot_index
        await write(leader, 40)
        assert late.node.driver.applied_index < index, "it installs"
        assert driver.raft.snapshot_index == index
        late.disk.slowness = 1.0
        await nodes.until(lambda: late.node.driver.applied_index == driver.applied_index)
        await write(leader, 12)
        assert driver.raft.snapshot_index > index

    run(main, tuning=Tuning(snapshot_entries=10, trailing_entries=0))


def test_a_snapshot_that_is_being_fetched_is_not_replaced_at_once():
    """Else a follower whose fetch takes longer than the cluster takes between two snapshots never catches up."""

    async def main(nodes):
        leader = nodes.leader
        driver = leader.node.driver

        await write(leader, 20)
        index = driver.raft.snapshot_index
        fetch = driver.snapshots.serve(index)
        assert await asyncio.shield(leader.run.process.spawn(anext(fetch)))
        await write(leader, 20)
        assert driver.raft.snapshot_index == index
        await write(leader, 60)  # but not for ever
        assert driver.raft.snapshot_index > index
        await fetch.aclose()

    run(main, tuning=Tuning(snapshot_entries=10, trailing_entries=0))
