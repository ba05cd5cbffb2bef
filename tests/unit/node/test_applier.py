"""Committed entries become state in slices, and no more of them wait than has a bound."""

import asyncio

import pytest

from orion.node.consensus import applier as module
from orion.node.consensus.applied import AppliedWatch
from orion.node.consensus.applier import Applier
from orion.raft.messages import Entry
from orion.state.commands import encode_command
from orion.state.tables import State
from orion.state.tables.configs import PutConfig

COMMAND = encode_command(PutConfig(1, "key", b"value", None, "", 0))


class Slow:
    """A clock by which each look costs a whole slice."""

    def __init__(self):
        self.at_ms = 0

    def now_ms(self):
        self.at_ms += module.APPLY_SLICE_MS
        return self.at_ms


class Told:
    def __init__(self):
        self.confs, self.applied, self.slices = [], [], 0
        self.watch = AppliedWatch()

    def on_slice(self):
        self.slices += 1

    def applier(self):
        return Applier(
            clock=Slow(),
            watch=self.watch,
            on_conf=lambda entry: self.confs.append(entry.index),
            on_applied=lambda entry, applied: self.applied.append(entry.index),
            on_slice=self.on_slice,
        )


def entries(first, count):
    return tuple(Entry(1, index, data=COMMAND) for index in range(first, first + count))


def test_no_more_than_a_bound_of_entries_wait_to_be_applied(monkeypatch):
    monkeypatch.setattr(module, "MAX_UNAPPLIED_ENTRIES", 100)

    async def main():
        applier = Told().applier()
        await applier.put(entries(1, 150))
        assert len(applier) >= 100, "the first slice was a short one"
        later = asyncio.ensure_future(applier.put(entries(151, 10)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not later.done(), "the core waits"
        running = asyncio.ensure_future(applier.run())
        async with asyncio.timeout(60):
            await later
            while applier.index < 160:  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0)
        running.cancel()

    asyncio.run(main())


def test_the_loop_has_a_turn_after_each_slice():
    async def main():
        told = Told()
        applier = told.applier()
        await applier.put(entries(1, 200))
        first = applier.index
        assert 0 < first < 200
        running = asyncio.ensure_future(applier.run())
        turns = 0
        async with asyncio.timeout(60):
            while applier.index < 200:
                await asyncio.sleep(0)
                turns += 1
        running.cancel()
        assert turns >= told.slices - 1 > 1
        assert told.applied == list(range(1, 201))
        assert told.watch.index == 200

    asyncio.run(main())


@pytest.mark.parametrize("index", [50, 200])
def test_what_an_installed_snapshot_covers_is_not_applied_again(index):
    async def main():
        told = Told()
        applier = told.applier()
        await applier.put(entries(1, 60))
        done = list(told.applied)
        state = State()
        state.index = index
        applier.replace(state, index, 1)
        running = asyncio.ensure_future(applier.run())
        async with asyncio.timeout(60):
            while len(applier):  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0)
        running.cancel()
        assert told.applied == done + list(range(max(index, done[-1]) + 1, 61))
        assert (applier.index, applier.installs) == (max(index, 60), 1)

    asyncio.run(main())
