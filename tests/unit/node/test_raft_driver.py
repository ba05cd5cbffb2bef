import asyncio

from cluster_kit import run

from orion.model.errors import OrionError, Unavailable
from orion.model.ids import NodeId
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.proposals import MAX_BYTES_PER_TURN, MAX_COMMAND_BYTES, MAX_WAITING_BYTES
from orion.node.consensus.read_rounds import MAX_READ_ROUNDS
from orion.process.config import Tuning
from orion.raft.interface import Propose, Ready
from orion.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from orion.state.commands import encode_command
from orion.state.tables.configs import PutConfig
from orion.state.tables.node_changes import DrainNode


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
        assert not old.node.driver._proposals.in_log

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


def test_so_many_bytes_are_proposed_in_one_turn_and_no_more():
    """512 commands of a megabyte each, in one Ready, would be one transaction and one message."""

    async def main(nodes):
        leader = nodes.leader
        driver = leader.node.driver
        step, turns = driver.raft.step, []

        def recorded(now, value):
            if isinstance(value, Propose):
                turns.append([len(data) for data in value.data])
            step(now, value)

        driver.raft.step = recorded
        large = encode_command(PutConfig(1, "key", bytes(1024 * 1024), None, "once", 0))
        writes = [leader.run.process.spawn(outcome(driver.propose(large))) for _ in range(20)]
        outcomes = [await asyncio.shield(write) for write in writes]
        assert sum(len(turn) for turn in turns) == 20
        assert max(map(sum, turns)) < MAX_BYTES_PER_TURN + len(large)
        assert max(map(len, turns)) > 1
        assert not any(isinstance(each, Unavailable) for each in outcomes), "all are in the log"
        assert driver._proposals.queued_bytes == 0

    run(main)


def test_so_many_bytes_wait_to_be_proposed_and_no_more():
    async def main(nodes):
        leader = nodes.leader
        driver = leader.node.driver
        command = bytes(MAX_COMMAND_BYTES)
        leader.run.process.stall()
        waiting = [
            asyncio.ensure_future(outcome(driver.propose(command)))
            for _ in range(MAX_WAITING_BYTES // len(command))
        ]
        await asyncio.sleep(0)
        refused = await outcome(driver.propose(command))
        assert isinstance(refused, Unavailable)
        assert "too many writes are waiting" in refused.detail
        for each in waiting:
            each.cancel()

    run(main)


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


def test_a_read_that_a_new_leader_refused_is_asked_again_once_its_term_has_an_entry(monkeypatch):
    """Not a while after: a leader's duties begin with such a read."""
    monkeypatch.setattr("orion.node.consensus.driver.READ_RETRY_S", 3_600)

    async def main(nodes):
        assert nodes.leader is not None, "its duties have registered it"

    run(main, count=1)
