"""Lists as JSON: made in slices of a turn of the loop, one at a time, and shared by all who want the same.

A list of 5,000 tasks is megabytes and a tenth of a second, and a thousand long polls wake at the same index. So who
wants a list waits with all others who do, and all get the same bytes. How many bytes may wait for clients to take
them is bounded; beyond that it is `Unavailable`.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator

import msgspec

from orion.model.errors import TooLarge, Unavailable
from orion.node.rpc.reads import Epoch, Listing
from orion.node.rpc.request import decode_reply, encode_reply
from orion.node.runtime.turnstile import Outcome, Turnstile

MAX_HELD_BYTES = 64 * 1024 * 1024  # of lists that are made or on their way; a larger one has them alone
MAX_LIST_BYTES = 512 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
SLICE_ROWS = 64
KEEP_S = 1.0  # for who asks a moment later
MAX_KEPT = 64

_encoder = msgspec.json.Encoder()


class ListHead(msgspec.Struct, frozen=True, array_like=True):
    """The head of a list on its way to another node, before its JSON."""

    index: int
    next: str


class Captured(msgspec.Struct, frozen=True):
    """The rows of a list, untouched by later commands, as an iterator of views."""

    index: int
    epoch: Epoch
    next: str
    rows: Iterator[msgspec.Struct]


class _Making:
    """`captured`: once it has begun."""

    def __init__(self, ways_out: Turnstile) -> None:
        self.captured: Captured | None = None
        self.outcome = Outcome[Listing](ways_out)


class Lists:
    def __init__(self) -> None:
        self._turn = asyncio.Lock()  # one is made at a time
        self._ways_out = Turnstile()
        self._kept: dict[Hashable, Listing] = {}
        self._making: dict[Hashable, _Making] = {}
        self._to_be_made: dict[Hashable, _Making] = {}
        self._held_bytes = 0

    async def get(
        self, key: Hashable, at_least: int, epoch: Callable[[], Epoch], capture: Callable[[], Captured]
    ) -> Listing:
        """The list called `key`, at an index of `at_least` or later. Raises Unavailable while too many bytes of
        lists are held, TooLarge for a list that is too long by itself.
        """

        def fits(known: Listing | Captured | None) -> bool:
            return known is not None and known.index >= at_least and known.epoch == epoch()

        while True:
            if (kept := self._kept.get(key)) is not None and fits(kept):
                return kept
            making = self._making.get(key)
            if making is None or not fits(making.captured):
                making = self._to_be_made.get(key)
            if making is None:
                return await self._make(key, capture)
            if (made := await making.outcome.wait()) is not None:
                return made

    async def _make(self, key: Hashable, capture: Callable[[], Captured]) -> Listing:
        """By the first who wants it. Should that one give up, the next of those who wait makes it."""
        making = self._to_be_made[key] = _Making(self._ways_out)
        try:
            return await making.outcome.find(self._made(key, making, capture))
        finally:
            for table in (self._to_be_made, self._making):
                if table.get(key) is making:
                    del table[key]

    async def _made(self, key: Hashable, making: _Making, capture: Callable[[], Captured]) -> Listing:
        async with self._turn:
            del self._to_be_made[key]
            self._making[key] = making
            making.captured = captured = capture()
            made = await self._encoded(captured)
        self._keep(key, made)
        return made

    async def received(self, items: AsyncGenerator[bytes, None], source: str) -> Listing:
        """Returns what `sent` has sent. Raises NotUnderstood, and as `get`."""
        head = decode_reply(await anext(items, b""), ListHead, source)
        chunks: list[bytes] = []
        size = 0
        try:
            async for item in items:
                size += self._hold(len(item), size)
                chunks.append(item)
            made = Listing(head.index, (), head.next, tuple(chunks))
        except BaseException:
            self._held_bytes -= size
            raise
        self._count(made)
        return made

    async def _encoded(self, captured: Captured) -> Listing:
        chunks: list[bytes] = []
        buffer, size, rows = bytearray(b"["), 0, 0
        try:
            for row in captured.rows:
                if rows:
                    buffer += b","
                _encoder.encode_into(row, buffer, len(buffer))
                rows += 1
                if len(buffer) >= CHUNK_BYTES:
                    size += self._hold(len(buffer), size)
                    chunks.append(bytes(buffer))
                    buffer.clear()
                if not buffer or rows % SLICE_ROWS == 0:
                    await asyncio.sleep(0)
            buffer += b"]\n"
            size += self._hold(len(buffer), size)
            chunks.append(bytes(buffer))
            made = Listing(captured.index, captured.epoch, captured.next, tuple(chunks))
        except BaseException:
            self._held_bytes -= size
            raise
        self._count(made)
        return made

    def _hold(self, more_bytes: int, so_far: int) -> int:
        """`more_bytes` of a list that has `so_far`. Raises Unavailable or TooLarge."""
        if self._held_bytes + more_bytes > MAX_HELD_BYTES:
            self._kept.clear()
        if self._held_bytes + more_bytes > MAX_HELD_BYTES and self._held_bytes > so_far:
            raise Unavailable(
                f"{self._held_bytes:,} bytes of lists are on their way to clients that have yet to take them: ask"
                " later, or for less with ?limit="
            )
        if so_far + more_bytes > MAX_LIST_BYTES:
            raise TooLarge(f"the list is longer than {MAX_LIST_BYTES:,} bytes: ask for less with ?limit=")
        self._held_bytes += more_bytes
        return more_bytes

    def _count(self, made: Listing) -> None:
        """Its bytes are held until nobody has it any more."""
        weakref.finalize(made, self._let_go, made.size_bytes).atexit = False

    def _let_go(self, size_bytes: int) -> None:
        self._held_bytes -= size_bytes

    def _keep(self, key: Hashable, made: Listing) -> None:
        self._kept.pop(key, None)
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = made
        asyncio.get_running_loop().call_later(KEEP_S, self._forget, key, weakref.ref(made))

    def _forget(self, key: Hashable, made: "weakref.ref[Listing]") -> None:
        if self._kept.get(key) is made():
            self._kept.pop(key, None)


async def sent(listing: Listing) -> AsyncGenerator[bytes, None]:
    """A list on its way to another node."""
    yield encode_reply(ListHead(listing.index, listing.next))
    for chunk in listing.chunks:
        yield chunk
        await asyncio.sleep(0)  # heartbeats go out between
