import pytest
from cluster_kit import run

from orion.model.errors import NoMajority, Unavailable
from orion.node.rpc.reads import Read
from orion.state.check import state_hash
from orion.state.restore import Restorer
from orion.wire.backups import BackupReader


async def saved(machine, read):
    """(what the backup says of itself, its state) as `machine` gives it."""

    async def whole():
        return b"".join([part async for part in machine.node.service.backup(read)])

    reader, restorer = BackupReader(), Restorer()
    for chunk in reader.feed(await machine.run.process.spawn(whole())):
        restorer.feed(chunk)
    return reader.finish(), restorer.finish()


@pytest.mark.parametrize("count", [3, 8])
def test_every_node_gives_the_same(count):
    """Of eight, one is a worker, which holds none of it."""

    async def main(nodes):
        for machine in nodes.machines:
            about, state = await saved(machine, Read(timeout_s=5.0))
            driver = nodes.leader.node.driver
            assert about.cluster == driver.view.cluster
            assert (about.index, about.term) == (driver.applied_index, driver.applied_term)
            assert state_hash(state) == state_hash(driver.state)
        roles = {m.node.driver.is_member for m in nodes.machines}
        assert roles == ({True} if count == 3 else {True, False})

    run(main, count=count, voters=min(count, 5))


def test_without_a_majority_only_a_stale_one():
    async def main(nodes):
        alone = next(m for m in nodes.machines if m is not nodes.leader)
        nodes.isolate(alone)
        with pytest.raises((NoMajority, Unavailable)):
            await saved(alone, Read(timeout_s=5.0))
        about, state = await saved(alone, Read(stale=True))
        assert about.index == alone.node.driver.applied_index
        assert state_hash(state) == state_hash(alone.node.driver.state)

    run(main)


def test_what_is_written_meanwhile_is_not_in_it():
    async def main(nodes):
        leader = nodes.leader
        before = state_hash(leader.node.driver.state)
        parts = leader.node.service.backup(Read(timeout_s=5.0))

        async def first():
            return await anext(parts)

        head = await leader.run.process.spawn(first())
        await leader.ask(lambda s: s.drain("node2", draining=True, timeout_s=5.0))
        assert state_hash(leader.node.driver.state) != before

        async def rest():
            return head + b"".join([part async for part in parts])

        reader, restorer = BackupReader(), Restorer()
        for chunk in reader.feed(await leader.run.process.spawn(rest())):
            restorer.feed(chunk)
        assert reader.finish().index < leader.node.driver.applied_index
        assert state_hash(restorer.finish()) == before

    run(main)
