"""The log writer: writes the core's Readies to disk and reports each group that is there.

Readies that gather while a transaction is under way become the next one (group commit). It uses callbacks instead
of a runner, so that a write starts in the very turn of the loop in which the core asked for it: each turn between a
proposal and its answer is latency.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from orion.ports.log import LogBatch, LogStore
from orion.raft.interface import Ready
from orion.raft.messages import Entry, HardState

MAX_WAITING = 64  # readies; past this the core waits for the disk


class LogWriter:
    """Writes Readies in order. `install` writes a Ready's snapshot in place of the log; `written` gets each group
    of Readies that is on disk.
    """

    def __init__(
        self,
        store: LogStore,
        install: Callable[[Ready, HardState | None], Coroutine[Any, Any, None]],
        written: Callable[[list[Ready]], None],
    ) -> None:
        self._store = store
        self._install = install
        self._written = written
        self._waiting: deque[Ready] = deque()
        self._busy = False
        self._moved = asyncio.Event()
        self._hard_state: HardState | None = None  # not yet written
        self.last_index = 0  # of the log, once all batches so far are written
        self._group: asyncio.TaskGroup
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Runs until cancelled. Raises the disk's first error, after which nothing more is written."""
        async with asyncio.TaskGroup() as self._group:
            await self._failed

    @property
    def idle(self) -> bool:
        return not self._busy and not self._waiting

    async def put(self, ready: Ready) -> None:
        """Takes a Ready to write, in order, and waits only while too many wait already. A Ready that would only
        repeat the messages of the one before it is left out: a leader without an answer asks again with every
        heartbeat, and during a long install these must not fill the queue.
        """
        said = self._waiting[-1].messages_after_persist if self._waiting else None
        if ready.messages_after_persist == said and not ready.must_persist:
            return
        while len(self._waiting) >= MAX_WAITING:
            self._moved.clear()
            await self._moved.wait()
        self._waiting.append(ready)
        if not self._busy:
            self._write_waiting()

    def _write_waiting(self) -> None:
        while self._waiting and not self._busy:
            batch = self._take_batch()
            work = self._start(batch)
            if work is None:
                self._written(batch)
            else:
                self._busy = True
                work.add_done_callback(partial(self._finished, batch))
        self._moved.set()

    def _take_batch(self) -> list[Ready]:
        """Takes Readies up to the next snapshot, which goes alone, or up to entries that replace others. Messages
        of this batch may acknowledge the replaced entries, and must leave while those are still on disk.
        """
        batch = [self._take()]
        while batch[0].snapshot is None and self._waiting:
            after = self._waiting[0]
            if after.snapshot is not None or (after.entries and after.entries[0].index <= self.last_index):
                break
            batch.append(self._take())
        return batch

    def _take(self) -> Ready:
        ready = self._waiting.popleft()
        if ready.snapshot is not None:
            self.last_index = ready.snapshot.index
        if ready.entries:
            self.last_index = ready.entries[-1].index
        return ready

    def _start(self, batch: list[Ready]) -> "asyncio.Future[None] | None":
        """Starts a write; returns None when the batch needs no disk. A commit index alone waits for the next write
        that is synced anyway: if it is lost, a restarted node needs one message from its leader.
        """
        entries: list[Entry] = []
        for ready in batch:
            self._hard_state = ready.hard_state or self._hard_state
            entries += ready.entries
        hard_state = self._hard_state
        if batch[0].snapshot is not None:
            self._hard_state = None
            return self._group.create_task(self._install(batch[0], hard_state), name="snapshot-install")
        if not entries and not any(ready.must_sync for ready in batch):
            return None
        self._hard_state = None
        return self._store.persist(LogBatch(hard_state, tuple(entries), must_sync=True))

    def _finished(self, batch: list[Ready], work: "asyncio.Future[None]") -> None:
        if work.cancelled() or self._failed.done():
            return
        if (error := work.exception()) is not None:
            self._failed.set_exception(error)
            return
        self._busy = False
        self._written(batch)
        self._write_waiting()
