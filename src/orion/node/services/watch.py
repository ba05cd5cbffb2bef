"""All that the cluster has, row by row as it changes, for whoever shows it: from this node while it follows the
cluster's log, else from a voter.

State is looked at again whenever it has moved (levels, not edges). The more looks cost, the fewer there are: all
followers of a node together take at most a twentieth of its time.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from typing import ClassVar

import msgspec

from orion.model.api.watch import CurrentMessage, Noun, RowsMessage
from orion.model.errors import Unavailable
from orion.model.ids import RaftId
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SILENCE_S, SignOfLife, StreamRequest
from orion.node.services.freshness import Freshness
from orion.node.services.state_watch import StateWatch
from orion.node.views.told import Told
from orion.node.views.told_jobs import Change
from orion.ports.peers import Principal

PAUSE_S = 0.03  # between two looks at least: many changes at once are told at once
SHARE = 20  # of the node's time, its followers may take one part in so many
LOOKS_AVERAGED = 8  # about: one that was held up by others is not paid for with a long silence
LONGEST_PAUSE_S = 1.0
WHOLES_S = 0.5  # between two looks at what costs more
MESSAGE_BYTES = 64 * 1024  # of rows, about
LAST = frozenset({Noun.ALLOCATIONS})


class WatchItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message of the stream: what it is called, and its JSON."""

    name: str
    data: bytes


class WatchRows(StreamRequest[WatchItem], frozen=True, tag=97):
    """Begins with all there is of these nouns."""

    silence_s: ClassVar = SILENCE_S

    nouns: tuple[Noun, ...]

    def fault(self) -> str:
        return "" if self.nouns and len(set(self.nouns)) == len(self.nouns) else "no noun, or one of them twice"


class Watch:
    """As service.Service has it."""

    def __init__(
        self,
        *,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        freshness: Freshness,
    ) -> None:
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._freshness = freshness
        self._state = StateWatch(driver, directory)
        self._followers = 0
        registry.answer_stream(WatchRows, self._answer)

    def rows(self, nouns: tuple[Noun, ...]) -> AsyncGenerator[WatchItem, None]:
        return self._forward.stream(WatchRows(nouns))

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer(self, request: WatchRows, _: Principal) -> AsyncGenerator[WatchItem | SignOfLife, None]:
        """Its beginning is linearizable."""
        self._followers += 1
        try:
            async with contextlib.aclosing(self._follow(request)) as items:
                async for item in items:
                    yield item
        finally:
            self._followers -= 1

    async def _follow(self, request: WatchRows) -> AsyncGenerator[WatchItem | SignOfLife, None]:
        driver, loop = self._driver, asyncio.get_running_loop()
        await self._freshness.reached(Read())
        told = Told(driver, self._directory, request.nouns)
        wholes_at = self._state.position  # where state was at the last look at what costs more
        wholes_s, look_s = loop.time() + WHOLES_S, 0.0
        async with contextlib.aclosing(self._beginning(told, request.nouns)) as items:
            async for item in items:
                yield item
        while driver.is_member:
            at, began_s = self._state.position, loop.time()
            wholes = at != wholes_at and began_s >= wholes_s
            if wholes:
                wholes_at, wholes_s = at, began_s + WHOLES_S
            spent_s = 0.0  # on looking alone: others have the loop between two pieces
            for made in map(_items, told.changes(wholes=wholes)):
                spent_s += loop.time() - began_s
                for item in made:
                    yield item
                await asyncio.sleep(0)
                began_s = loop.time()
            yield self._current()
            look_s += (spent_s - look_s) / LOOKS_AVERAGED
            pause_s = look_s * (SHARE * self._followers - 1)
            await asyncio.sleep(min(max(PAUSE_S, pause_s), LONGEST_PAUSE_S))
            waiting = self._state.waiting(at, wholes_s if wholes_at != at else None)
            async with contextlib.aclosing(waiting) as signs:
                async for led in signs:
                    yield self._current() if led else ALIVE
        raise Unavailable("this node does not follow the cluster's log any more")

    async def _beginning(self, told: Told, nouns: tuple[Noun, ...]) -> AsyncGenerator[WatchItem, None]:
        """All rows, those of LAST behind the others: what comes first on a slow line can be shown meanwhile."""
        for noun in nouns:
            if noun not in LAST:
                yield _begins(noun)
        held = list[Change]()
        for changes in told.changes(wholes=True):
            held += (change for change in changes if change.noun in LAST)
            for item in _items([change for change in changes if change.noun not in LAST]):
                yield item
            await asyncio.sleep(0)
        yield self._current()
        for noun in LAST.intersection(nouns):
            yield _begins(noun)
            for change in held:
                for item in _items([change]):
                    yield item
                await asyncio.sleep(0)
            yield self._current()

    def _current(self) -> WatchItem:
        leader = self._driver.standing.leader
        name = self._directory.node_of_raft(RaftId(leader)) if leader else None
        return _item("current", CurrentMessage(self._driver.applied_index, name or ""))


def _items(changes: list[Change]) -> list[WatchItem]:
    return [item for change in changes for item in _messages(change)]


def _messages(change: Change) -> Iterator[WatchItem]:
    gone, rows, size_bytes = change.gone, list[msgspec.Raw](), 0
    for row in change.rows:
        data = msgspec.json.encode(row)
        rows.append(msgspec.Raw(data))
        size_bytes += len(data)
        if size_bytes >= MESSAGE_BYTES:
            yield _item("rows", RowsMessage(change.noun, rows, gone))
            gone, rows, size_bytes = [], [], 0
    if rows or gone:
        yield _item("rows", RowsMessage(change.noun, rows, gone))


def _begins(noun: Noun) -> WatchItem:
    return _item("rows", RowsMessage(noun, begins=True))


def _item(name: str, message: RowsMessage | CurrentMessage) -> WatchItem:
    return WatchItem(name, msgspec.json.encode(message))
