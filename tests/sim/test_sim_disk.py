"""Simulated disks fail as real ones do, and the log over them says so."""

import asyncio

import pytest

from orion.model.errors import Corrupt, Refused
from orion.model.ids import NodeId, RaftId
from orion.ports.log import Identity, LogBatch, LogFailed
from orion.raft.messages import Entry, HardState, SnapshotMeta
from sim.disk import EIO, ENOSPC, Disk
from sim.image import CHUNK, ENTRY, IDENTITY, PAGES, VOTE
from sim.loop import Process
from sim.simlog import SimLog
from sim.world import World


def run(main, seed=1):
    world = World(seed)
    world.install()
    try:
        return world.loop.run_until_complete(main(world))
    finally:
        world.loop.close()


def log_on(disk):
    return SimLog(disk, Process(disk.world.loop, "p"))


def batch(first, last, term=1):
    return LogBatch(
        HardState(term, 0, 0), tuple(Entry(term, i, 0, b"%d" % i) for i in range(first, last + 1)), True
    )


async def written(world, seed=1):
    """A disk with an identity and entries 1 to 5, all of it durable."""
    disk = Disk(world, f"d{seed}")
    log = log_on(disk)
    await log.set_identity(Identity(NodeId("n1"), RaftId(7)))
    await log.persist(batch(1, 5))
    return disk, log


@pytest.mark.parametrize("words", [EIO, ENOSPC])
def test_a_write_that_fails_is_the_last(words):
    async def main(world):
        disk, log = await written(world)
        disk.write_error = words
        with pytest.raises(LogFailed, match=words):
            await log.persist(batch(6, 6))
        disk.heal()
        with pytest.raises(LogFailed, match=words):
            await log.persist(batch(6, 6))
        assert disk.written.last == disk.durable.last == 5
        assert len((await log_on(disk).load()).entries) == 5

    run(main)


def test_after_a_failed_fsync_the_medium_holds_the_one_or_the_other():
    async def main(world):
        found = set()
        for seed in range(20):
            disk, log = await written(world, seed)
            disk.fsync_error = EIO
            with pytest.raises(LogFailed):
                await log.persist(batch(6, 6))
            assert disk.written.last == 5, "the process that comes next sees what was there before"
            with pytest.raises(Refused):
                await log_on(disk).load()
            disk.heal()
            disk.lose_power()
            found.add(disk.written.last)
        return found

    assert run(main) == {5, 6}


def test_a_successor_makes_durable_what_it_acts_on_after_a_failed_fsync():
    async def main(world):
        disk, log = await written(world)
        disk.fsync_error = EIO
        with pytest.raises(LogFailed):
            await log.persist(batch(6, 6))
        disk.heal()
        assert len((await log_on(disk).load()).entries) == 5
        disk.lose_power()
        return disk.written.last

    assert {run(main, seed) for seed in range(10)} == {5}


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ((ENTRY, 3), "log entry 3 is damaged"),
        ((VOTE, 0), "vote record is damaged"),
        ((PAGES, 0), "data.mdb is damaged"),
    ],
)
@pytest.mark.parametrize("bit", [0, 31, 64, 16_777_215])
def test_damage_is_found_and_named_at_load(where, named, bit):
    async def main(world):
        disk, _ = await written(world)
        disk.written.damage[where] = bit
        with pytest.raises(Corrupt, match=named) as caught:
            await log_on(disk).load()
        assert "--join" in caught.value.detail
        assert any(name in caught.value.detail for name in disk.written.names_of_damage())

    run(main)


def test_a_damaged_identity_and_a_damaged_snapshot_are_found_when_they_are_read():
    async def main(world):
        disk, log = await written(world)
        meta = SnapshotMeta(3, 1)

        async def chunks():
            yield b"state"

        await log.save_snapshot(meta, chunks(), first_kept=4, hard_state=None)
        disk.written.damage.update({(IDENTITY, 0): 5, (CHUNK, 0): 9})
        with pytest.raises(Corrupt, match="identity"):
            await log_on(disk).identity()
        assert (await log_on(disk).load()).snapshot == meta
        with pytest.raises(Corrupt, match="chunk 0 of the snapshot at index 3"):
            [chunk async for chunk in log_on(disk).snapshot_chunks(3)]

    run(main)


def test_what_is_written_anew_is_damaged_no_more():
    async def main(world):
        disk, log = await written(world)
        for image in (disk.written, disk.durable):
            image.damage.update({(ENTRY, 3): 1, (ENTRY, 5): 1, (VOTE, 0): 1})
        await log.persist(batch(4, 6, term=2))
        return dict(disk.durable.damage)

    assert run(main) == {(ENTRY, 3): 1}


def test_flipped_bits_are_of_records_that_are_there():
    async def main(world):
        seen = set()
        for seed in range(60):
            disk, _ = await written(world, seed)
            what = disk.flip_bit(world.rng("flip", seed)).split()[0]
            seen.add(what)
            assert disk.written.damage == disk.durable.damage
            assert disk.written.names_of_damage()
        return seen

    assert run(main) == {ENTRY, VOTE, IDENTITY}


def test_torn_pages_come_only_of_a_transaction_that_was_under_way():
    async def main(world):
        disk, log = await written(world)
        assert not disk.lose_power(torn=True)
        assert len((await log_on(disk).load()).entries) == 5
        under_way = log.persist(batch(6, 6))
        while disk.written.last < 6:  # noqa: ASYNC110 -- nothing tells the world
            await asyncio.sleep(0.00001)
        log.process.kill()
        under_way.cancel()
        assert disk.lose_power(torn=True)
        with pytest.raises(Corrupt, match=r"data\.mdb is damaged"):
            await log_on(disk).load()

    run(main)
