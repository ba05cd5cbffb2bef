"""Snapshots: taken without stopping the loop, fetched by a follower that lags too far, installed, compacted.

A leader offers a snapshot (MsgSnap); the follower fetches its bytes from it as a stream, chunk by chunk, so that
TCP paces it; only then is the offer stepped into the core, which decides whether to install it.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import ClassVar, Protocol

import msgspec

from orion.model.errors import Corrupt, NotFound, OrionError, TooLarge
from orion.model.ids import RaftId
from orion.node.consensus.applied import AppliedWatch
from orion.node.rpc import ask
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import Place, SignOfLife, StreamRequest
from orion.ports.log import LogStore, as_stream
from orion.ports.peers import Peers, Principal
from orion.process.config import Tuning
from orion.raft.core import Raft
from orion.raft.interface import Compacted, Input, Received
from orion.raft.messages import HardState, MsgSnap, MsgSnapStatus, SnapshotMeta
from orion.state.incremental_free import dismantle
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.state.view import View

log = logging.getLogger(__name__)

OFFER_PATIENCE = 8  # the next snapshot waits up to so many times longer for those who fetch or install this one
FEED_BYTES = 32 * 1024  # of a snapshot, restored in one turn of the loop: some five milliseconds
MAX_FETCH_BYTES = 4 * 1024 * 1024 * 1024  # a million allocations are a twentieth of it
FETCH_SILENCE_S = 10.0  # a fetch that gets nothing for so long is given up; the leader will offer again


class FetchSnapshot(StreamRequest[bytes], frozen=True, tag=9):
    """The chunks of the snapshot at `index`, from the leader that offers it."""

    at: ClassVar = Place.NODE
    silence_s: ClassVar = FETCH_SILENCE_S

    index: int


class _Fetched(msgspec.Struct):
    meta: SnapshotMeta
    chunks: list[bytes]
    state: State


class Replica(Protocol):
    """The driver, as snapshots see it: they are taken of it and installed into it."""

    raft: Raft
    watch: AppliedWatch

    @property
    def state(self) -> State: ...

    @property
    def view(self) -> View: ...

    @property
    def applied_index(self) -> int: ...

    @property
    def applied_term(self) -> int: ...

    def step(self, value: Input) -> None: ...

    def installed(self, state: State, index: int, term: int) -> None: ...


class Snapshots:
    def __init__(
        self,
        *,
        store: LogStore,
        peers: Peers,
        tuning: Tuning,
        me: RaftId,
        address_of: Callable[[RaftId], str | None],
        registry: Registry,
    ) -> None:
        self._store = store
        self._peers = peers
        self._tuning = tuning
        self._me = me
        self._address_of = address_of
        self._wanted = asyncio.Event()
        self._offers = asyncio.Event()
        self._offer: MsgSnap | None = None
        self._replaced: deque[State] = deque()  # states that a snapshot took the place of
        self._retired = asyncio.Event()
        self._fetched: _Fetched | None = None
        self._serving = 0  # followers that fetch at this moment
        self._damaged = 0  # the index of a stored snapshot that can't be read any more
        self.applied_bytes = 0  # of commands, since the last snapshot was captured
        registry.answer_stream(FetchSnapshot, self._asked)

    async def run(self, driver: Replica) -> None:
        """Takes and fetches snapshots, one at a time each, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_when_due(driver), name="snapshot-taker")
            group.create_task(self._fetch_offers(driver), name="snapshot-fetcher")
            group.create_task(self._free_replaced(), name="snapshot-freer")

    # --- taking -------------------------------------------------------------------------------------------

    def consider(self, driver: Replica) -> None:
        """Called after entries were applied: is it time?"""
        if self._is_due(driver):
            self._wanted.set()

    def _is_due(self, driver: Replica) -> bool:
        entries = driver.applied_index - driver.raft.snapshot_index
        patience = OFFER_PATIENCE if self._serving or driver.raft.awaits_snapshots else 1
        due_entries, due_bytes = self._tuning.snapshot_entries * patience, self._tuning.snapshot_bytes * patience
        return entries >= due_entries or self.applied_bytes >= due_bytes

    def _margin(self, entries: int) -> int:
        """How many entries to keep behind a snapshot: as many as the setting, but not more bytes than call for
        a snapshot by themselves.
        """
        mean_bytes = max(1, self.applied_bytes // max(1, entries))
        return min(self._tuning.trailing_entries, self._tuning.snapshot_bytes // mean_bytes)

    async def _take_when_due(self, driver: Replica) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            # Captured in one turn of the loop: tables, index and configuration belong together.
            status = driver.raft.status()
            meta = SnapshotMeta(driver.applied_index, driver.applied_term, status.conf)
            damaged = status.snapshot_index and status.snapshot_index == self._damaged
            # Looked at again: what was applied while the last one was saved was counted from the one before.
            if not (damaged or (meta.index > status.snapshot_index and self._is_due(driver))):
                continue
            captured = capture(driver.state)
            margin = self._margin(meta.index - status.snapshot_index)
            first_kept = max(status.first_index, meta.index + 1 - margin)
            self.applied_bytes = 0
            await self._store.save_snapshot(meta, _paced(encode(captured)), first_kept=first_kept, hard_state=None)
            if meta.index > driver.raft.snapshot_index:
                driver.step(Compacted(meta, first_kept))
                log.info("took a snapshot at index %d, log kept from %d", meta.index, first_kept)

    async def restore_stored(self, index: int) -> State:
        """The state in this node's own stored snapshot. Raises Corrupt when it is damaged."""
        restorer = Restorer()
        async for chunk in self._store.snapshot_chunks(index):
            await _feed(restorer, chunk)
        return restorer.finish()

    # --- giving -------------------------------------------------------------------------------------------

    def _asked(self, request: FetchSnapshot, _: Principal) -> AsyncGenerator[bytes, None]:
        return self.serve(request.index)

    async def serve(self, index: int) -> AsyncGenerator[bytes, None]:
        """The chunks of the snapshot at `index`, for a follower. Raises NotFound when it is gone.

        A damaged one is replaced at once: the state it was made of is here, and a follower that asks can't do
        without one.
        """
        self._serving += 1
        try:
            async with contextlib.aclosing(self._store.snapshot_chunks(index)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except Corrupt:
            log.warning("the stored snapshot at index %d is damaged, so another is taken", index)
            self._damaged = index
            self._wanted.set()
            raise NotFound(f"the snapshot at index {index} is damaged; another is being taken") from None
        finally:
            self._serving -= 1

    # --- fetching -----------------------------------------------------------------------------------------

    def offered(self, offer: MsgSnap) -> None:
        """A leader offers a snapshot; the newest offer counts."""
        self._offer = offer
        self._offers.set()

    async def _fetch_offers(self, driver: Replica) -> None:
        while True:
            await self._offers.wait()
            self._offers.clear()
            offer, self._offer = self._offer, None
            if offer is None or offer.meta.index <= driver.applied_index:
                if offer is not None:
                    driver.step(Received(offer))  # the core answers that it is past it
                continue
            try:
                fetched = await self._fetch(offer)
                _require_of(fetched, driver)
                self._fetched = fetched
            except OrionError as error:
                log.warning("could not fetch the snapshot at index %d: %s", offer.meta.index, error.detail)
                self._refuse(offer)
                continue
            driver.step(Received(offer))
            if driver.raft.snapshot_index == offer.meta.index:
                await driver.watch.reached(offer.meta.index)  # its bytes are needed until it is installed
            self._fetched = None

    async def _fetch(self, offer: MsgSnap) -> _Fetched:
        address = self._address_of(RaftId(offer.sender))
        if address is None:
            raise NotFound("the leader's address is not known")
        log.info("fetching the snapshot at index %d from %s", offer.meta.index, address)
        restorer = Restorer()
        chunks: list[bytes] = []
        size = 0
        items = ask.stream(self._peers, address, FetchSnapshot(offer.meta.index))
        async with contextlib.aclosing(items):
            async for chunk in items:
                if isinstance(chunk, SignOfLife):
                    continue
                await _feed(restorer, chunk)
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_FETCH_BYTES:
                    raise TooLarge(f"{address} sent more than {MAX_FETCH_BYTES:,} bytes of a snapshot")
        return _Fetched(offer.meta, chunks, restorer.finish())

    def _refuse(self, offer: MsgSnap) -> None:
        if address := self._address_of(RaftId(offer.sender)):
            status = MsgSnapStatus(self._me, offer.sender, offer.term, offer.meta.index)
            self._peers.send(address, RaftId(offer.sender), (status,))

    async def install(self, meta: SnapshotMeta, hard_state: HardState | None, driver: Replica) -> None:
        """Write the fetched snapshot in place of the log, then make its state the state."""
        fetched, self._fetched = self._fetched, None
        assert fetched is not None, f"the core installs a snapshot at {meta.index} that was not fetched"
        assert fetched.meta.index == meta.index
        await self._store.save_snapshot(
            meta, as_stream(fetched.chunks), first_kept=meta.index + 1, hard_state=hard_state
        )
        self._replaced.append(driver.state)
        self._retired.set()
        driver.installed(fetched.state, meta.index, meta.term)
        log.info("installed the snapshot at index %d", meta.index)

    async def _free_replaced(self) -> None:
        while True:
            await self._retired.wait()
            self._retired.clear()
            while self._replaced:
                for _ in dismantle(self._replaced.popleft()):
                    await asyncio.sleep(0)


def _require_of(fetched: _Fetched, driver: Replica) -> None:
    """Raises Corrupt for a state that this node could not go on with."""
    index, cluster, own = fetched.meta.index, fetched.state.cluster, driver.view.cluster
    if fetched.state.index > index:
        raise Corrupt(f"it is of index {fetched.state.index}, and was offered as one of {index}")
    if own and cluster != own:
        raise Corrupt(f"it is of cluster {cluster:016x}, and this node of {own:016x}")


async def _paced(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """One chunk is encoded a turn of the loop, so that heartbeats go out between."""
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)


async def _feed(restorer: Restorer, chunk: bytes) -> None:
    """A whole chunk would hold the loop for as long as a heartbeat or two may be late."""
    for start in range(0, len(chunk), FEED_BYTES):
        restorer.feed(chunk[start : start + FEED_BYTES])
        await asyncio.sleep(0)
