import asyncio

from cluster_kit import run

from orion.config import Tuning
from orion.model.errors import OrionError, Unavailable
from orion.model.ids import NodeId
from orion.node.raft_driver import MAX_READ_ROUNDS, RaftDriver
from orion.raft.interface import Ready
from orion.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from orion.state.commands import DrainNode, encode_command


def drain(number):
    return encode_command(DrainNode(number, NodeId("node1"), draining=bool(number % 2)))


async def outcome(proposal):
    try:
        return await proposal
    except OrionError as error:
        return error


def test_a_write_that_was_replaced_is_told_at_once():
    """Those past the end of the new leader's log too, which may stay so short for long."""

    async def main(nodes):
        old = nodes.leader
        nodes.isolate(old)
        writes = [old.run.process.spawn(outcome(old.node.driver.propose(drain(n)))) for n in range(20)]
        await nodes.until(lambda: nodes.leader is not old and nodes.leader is not None)
        nodes.heal()
        async with asyncio.timeout(5):
            outcomes = [await asyncio.shield(write) for write in writes]
        assert all(isinstance(each, Unavailable) for each in outcomes)
        assert not old.node.driver._waiters

    run(main)


def test_a_write_that_a_snapshot_replaced_is_told_at_once():
    async def main(nodes):
        old = nodes.leader
        nodes.isolate(old)
        writes = [old.run.process.spawn(outcome(old.node.driver.propose(drain(n)))) for n in range(200)]
        await nodes.until(lambda: nodes.leader is not old and nodes.leader is not None)
        new = nodes.leader
        for number in range(20):
            await asyncio.shield(new.run.process.spawn(outcome(new.node.driver.propose(drain(number)))))
        await asyncio.sleep(1)
        installs = old.node.driver.installs
        nodes.heal()
        async with asyncio.timeout(5):
            outcomes = [await asyncio.shield(write) for write in writes]
        assert old.node.driver.installs == installs + 1
        assert all(isinstance(each, Unavailable) for each in outcomes)

    run(main, tuning=Tuning(snapshot_entries=5, trailing_entries=0))


def test_a_log_is_never_shorter_than_its_commit_index():
    """A snapshot, and entries after it that are committed, in one Ready: two transactions, and a crash between."""
    meta, last = SnapshotMeta(10, 1, ConfState(voters=(1, 2, 3))), HardState(1, 0, 13)
    entries = tuple(Entry(1, index) for index in (11, 12, 13))
    written = []

    class Disk:
        async def install(self, meta, hard_state, driver):
            written.append((meta.index, hard_state))

        async def persist(self, batch):
            written.append((batch.entries[-1].index, batch.hard_state))

    driver = RaftDriver.__new__(RaftDriver)
    driver.snapshots = driver._store = Disk()
    ready = Ready(1, last, entries, meta, (), (), (), (), None, must_sync=True)
    asyncio.run(driver._install(ready, last))
    assert written == [(10, HardState(1, 0, 10)), (13, last)]


def test_reads_that_were_given_up_are_forgotten():
    async def main(nodes):
        follower = next(m for m in nodes.machines if m is not nodes.leader)
        driver = follower.node.driver
        nodes.isolate(follower)

        async def give_up():
            try:
                async with asyncio.timeout(0.1):
                    await driver.read_barrier()
            except TimeoutError:
                return

        for _ in range(10 * MAX_READ_ROUNDS):
            follower.run.process.spawn(give_up())
            await asyncio.sleep(0.001)
            assert len(driver._read_rounds) <= 4 * MAX_READ_ROUNDS

    run(main)
