"""How much of a snapshot is worked on in one turn of the loop: heartbeats go out between two turns only. Counted in
bytes, since how long a turn takes is the machine's affair.

Store and peers here never wait, so that whatever pause there is was made by Snapshots itself.
"""

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from orion.model.ids import NodeId, RaftId
from orion.node.consensus import snapshots as module
from orion.node.consensus.snapshots import Snapshots
from orion.node.rpc.registry import Registry
from orion.process.config import Tuning
from orion.raft.messages import ConfState, MsgSnap, SnapshotMeta
from orion.state.apply import apply
from orion.state.check import state_hash
from orion.state.commands import encode_command
from orion.state.restore import Restorer
from orion.state.snapshot import MAX_CHUNK_BYTES, capture, encode
from orion.state.tables import State
from orion.state.tables.cluster import InitCluster
from orion.state.tables.configs import Configs, PutConfig

CONFIGS = 64  # many times what is done in a turn
VALUE_BYTES = 64 * 1024
INDEX = CONFIGS + 1
META = SnapshotMeta(INDEX, 1, ConfState((1, 2, 3)))
TAKEN_BYTES = 512 * 1024  # in one turn: a chunk, that is 256 KiB and what its last frame is over that
FED_BYTES = 32 * 1024
DEADLINE_S = 120


@pytest.fixture(scope="module")
def state():
    state = State()
    apply(state, 1, encode_command(InitCluster(0, 0xABCDEF)))
    for n in range(CONFIGS):
        value = bytes([n]) * VALUE_BYTES
        apply(state, n + 2, encode_command(PutConfig(1, f"key{n:03}", value, None, f"put {n}", n)))
    assert len(state.of(Configs)) == CONFIGS
    return state


class AtOnce:
    """A store and the peers."""

    def __init__(self, state):
        self.whole = b"".join(encode(capture(state)))
        self.saved = asyncio.get_running_loop().create_future()

    async def save_snapshot(self, meta, chunks, *, first_kept, hard_state):
        self.saved.set_result(b"".join([chunk async for chunk in chunks]))

    async def snapshot_chunks(self, index):
        for start in range(0, len(self.whole), MAX_CHUNK_BYTES):
            yield self.whole[start : start + MAX_CHUNK_BYTES]

    def stream(self, address, request):
        return self.snapshot_chunks(INDEX)


class Driver:
    """What Snapshots asks of one."""

    def __init__(self, state, applied_index):
        self.state, self.applied_index, self.applied_term = state, applied_index, 1
        self.view = state.view
        status = SimpleNamespace(snapshot_index=0, first_index=1, conf=META.conf)
        self.raft = SimpleNamespace(snapshot_index=0, awaits_snapshots=False, status=lambda: status)
        self.stepped = asyncio.get_running_loop().create_future()

    def step(self, value):
        self.stepped.set_result(value)


class Pulse:
    """Another runner on the loop: `most` is what was counted at most between two of its turns."""

    def __init__(self):
        self.counted = self.most = 0

    async def run(self):
        while True:
            self.counted = 0
            await asyncio.sleep(0)
            self.most = max(self.most, self.counted)


@pytest.fixture
def pulse(monkeypatch):
    """Counts the bytes that snapshots.py has encoded and fed."""
    pulse = Pulse()

    def counted_encode(captured):
        for chunk in encode(captured):
            pulse.counted += len(chunk)
            yield chunk

    class CountedRestorer(Restorer):
        def feed(self, chunk):
            pulse.counted += len(chunk)
            super().feed(chunk)

    monkeypatch.setattr(module, "encode", counted_encode)
    monkeypatch.setattr(module, "Restorer", CountedRestorer)
    return pulse


def with_pulse(pulse, state, check, *, applied_index=0):
    async def main():
        at_once, driver = AtOnce(state), Driver(state, applied_index)
        snapshots = Snapshots(
            store=at_once,
            peers=at_once,
            tuning=Tuning(snapshot_entries=10),
            me=RaftId(1),
            address_of=lambda _: "10.0.0.2:7000",
            registry=Registry(NodeId("node1"), lambda: True),
        )
        runners = [asyncio.ensure_future(pulse.run()), asyncio.ensure_future(snapshots.run(driver))]
        try:
            async with asyncio.timeout(DEADLINE_S):
                await check(snapshots, driver, at_once)
        finally:
            for runner in runners:
                runner.cancel()
            for runner in runners:
                with contextlib.suppress(asyncio.CancelledError):
                    await runner

    asyncio.run(main())


def test_a_snapshot_is_taken_a_chunk_a_turn(pulse, state):
    async def check(snapshots, driver, at_once):
        snapshots.consider(driver)
        assert await at_once.saved == at_once.whole
        assert 0 < pulse.most <= TAKEN_BYTES

    with_pulse(pulse, state, check, applied_index=INDEX)


def test_a_fetched_snapshot_is_restored_some_kilobytes_a_turn(pulse, state):
    async def check(snapshots, driver, at_once):
        snapshots.offered(MsgSnap(2, 1, 1, META))
        await driver.stepped
        assert 0 < pulse.most <= FED_BYTES

    with_pulse(pulse, state, check)


def test_the_stored_snapshot_is_restored_some_kilobytes_a_turn(pulse, state):
    async def check(snapshots, driver, at_once):
        found = await snapshots.restore_stored(INDEX)
        assert state_hash(found) == state_hash(state)
        assert 0 < pulse.most <= FED_BYTES

    with_pulse(pulse, state, check)
