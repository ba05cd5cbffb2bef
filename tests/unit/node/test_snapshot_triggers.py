"""When a snapshot is taken, and how much of the log is kept behind it, in whole nodes."""

import asyncio

from cluster_kit import run

from orion.process.config import Tuning
from orion.state.commands import encode_command
from orion.state.tables.configs import PutConfig

COMMAND_BYTES = 1_000  # and a little


async def write(leader, count):
    driver = leader.node.driver
    for number in range(count):
        command = encode_command(PutConfig(1, "key", bytes(COMMAND_BYTES), None, f"put {number}", 0))
        await asyncio.shield(leader.run.process.spawn(driver.propose(command)))
    await asyncio.sleep(0.5)


def kept(driver):
    """The entries behind the snapshot that are still in the log."""
    status = driver.raft.status()
    return driver.raft._me.log.slice(status.first_index, status.snapshot_index)


def test_a_member_a_few_entries_behind_is_reached_by_entries():
    """Though the leader has taken a snapshot past what that member has."""

    async def main(nodes):
        late = next(m for m in nodes.machines if m is not nodes.leader)
        nodes.isolate(late)
        leader, driver = nodes.leader.node.driver, late.node.driver
        installs, applied = driver.installs, driver.applied_index
        await write(nodes.leader, 30)
        assert leader.raft.snapshot_index > applied
        nodes.heal()
        await nodes.until(lambda: driver.applied_index == leader.applied_index)
        assert driver.installs == installs

    run(main, tuning=Tuning(snapshot_entries=10, trailing_entries=200))


def test_so_many_bytes_call_for_a_snapshot():
    async def main(nodes):
        driver = nodes.leader.node.driver
        before = driver.raft.snapshot_index
        await write(nodes.leader, 10)
        assert driver.raft.snapshot_index == before, "so few do not"
        few = driver.applied_index
        await write(nodes.leader, 20)
        assert driver.raft.snapshot_index > few
        assert driver.snapshots.applied_bytes < 20 * COMMAND_BYTES, "they are counted anew from there on"

    run(main, tuning=Tuning(snapshot_entries=10_000, snapshot_bytes=20 * COMMAND_BYTES))


def test_no_more_bytes_are_kept_than_call_for_a_snapshot():
    """However many entries the setting would keep."""

    async def main(nodes):
        driver = nodes.leader.node.driver
        await write(nodes.leader, 100)
        sizes = [len(entry.data) for entry in kept(driver)]
        assert max(sizes) > COMMAND_BYTES, "some are kept"
        assert sum(sizes) <= 20 * COMMAND_BYTES

    run(main, tuning=Tuning(snapshot_entries=10_000, snapshot_bytes=20 * COMMAND_BYTES, trailing_entries=2_000))
