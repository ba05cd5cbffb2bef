"""The cluster as it is followed: one node is asked at a time, and another one as soon as that is silent."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from orion.client import Client
from orion.client.watch import Current, Rows
from orion.model.api.nodes import NodeView
from orion.model.api.watch import Noun
from orion.model.errors import OrionError
from orion.tui.reach import MOST, first_that_answers
from orion.tui.store import Store
from orion.tui.streams import Following, Handover
from orion.tui.workers import Workers

T = TypeVar("T")

SILENT_S = 3.0  # three signs of life that did not come: another node is asked
CONNECT_S = 3.0
AHEAD_S = 0.25  # that a node has the start of others
PAUSES_S = (0.0, 0.1, 0.2, 0.5, 1.0)  # before each next try, as long as none comes to anything
_GONE = ("dead", "left")


class _Begun(NamedTuple):
    """A node's stream begins: what it tells is everything."""

    address: str


class _Ended(NamedTuple):
    address: str
    why: str


Told = Rows | Current | _Begun | _Ended
News = Callable[[set[Noun]], None]


class Feed:
    """Fulfils Source. `on_news` is told on the loop which nouns have changed: none, where it is only another node
    that is asked, or the state is heard to be the same.

    Addresses that only the state names are followed once they have said that they are of the same cluster: at what
    is 127.0.0.1:8000 to a node, another cluster may be here. Calls go to no other.
    """

    def __init__(
        self,
        addresses: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        silent_s: float = SILENT_S,
    ) -> None:
        self.store = Store()
        self.trouble = ""
        self.moves = 0  # so often another node had to be asked
        self.cluster = ""  # its id, once a node has said it
        self._learning: asyncio.Task[None] | None = None
        self._given = [each.strip() for each in addresses.split(",") if each.strip()]
        self._known: list[str] = []  # API addresses of nodes that were seen, those that may answer
        self._foreign: set[str] = set()
        self._asked = self._given[0]
        self.on_news: News = lambda _: None
        self._clock = clock
        self._silent_s = silent_s
        self._heard_s = 0.0  # anything, from the stream that counts
        self._follower: _Follower | None = None
        self._workers = Workers(lambda: ",".join(self._trusted))

    @property
    def address(self) -> str:
        return self._asked

    @property
    def age_s(self) -> float | None:
        """How old what is shown may be; None: nothing has been heard yet."""
        heard_s = self.store.heard_s
        return None if heard_s is None else self._clock() - heard_s

    @property
    def _trusted(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self._asked, *self._given)))[:MOST]

    def addresses(self, but: str = "") -> list[str]:
        """All that may be followed: the one that is, then those that were given, then some of those that were seen;
        the one at `but` last.
        """
        seen = [each for each in self._known if each not in self._foreign] if self.cluster else []
        random.shuffle(seen)  # the next time it is others: a whole part of the cluster may be gone
        every = dict.fromkeys((*self._trusted, *seen))
        return sorted(every, key=lambda address: address == but)[:MOST]

    def is_ours(self, address: str, client: Client) -> bool:
        """Called in any thread, before a node is followed. Raises OrionError."""
        return address in self._given or client.raft().cluster == self.cluster

    def forget(self, address: str) -> None:
        """Called in any thread: it is of another cluster."""
        self._foreign.add(address)

    def start(self) -> None:
        """Called on the loop that is to be told."""
        self._begin()

    def close(self) -> None:
        if self._follower is not None:
            self._follower.close()
        if self._learning is not None:
            self._learning.cancel()
        self._workers.close()

    def look(self) -> None:
        """Goes on with another node where this one says nothing any more. To be called about once a second."""
        if self._follower is not None and self._clock() - self._heard_s > self._silent_s:
            self.trouble = f"{self._asked} says nothing"
            self.move()

    def move(self) -> None:
        """Goes on with another node where there is one, else asks this one anew."""
        if self._follower is not None:
            self._follower.close()
        self._begin(but=self._asked)
        self.on_news(set())

    async def ask(self, call: Callable[[Client], T]) -> T:
        return await self._workers.ask(call)

    def stream(
        self, begin: Callable[[Client], Iterator[T]], take: Callable[[T], None], on_end: Callable[[str], None]
    ) -> Following[T]:
        loop = asyncio.get_running_loop()
        return Following(loop, ",".join(self._trusted), begin, take, on_end)

    def _begin(self, but: str = "") -> None:
        self._heard_s = self._clock()
        self._follower = _Follower(self, self._take, asyncio.get_running_loop(), but)

    def _take(self, items: list[tuple[float, Told]]) -> None:
        changed: set[Noun] = set()
        for heard_s, told in items:
            self._heard_s = heard_s
            if isinstance(told, _Begun):
                self._connected(told.address)
            elif isinstance(told, _Ended):
                self.trouble = told.why
                self.store.forget_begun()
            else:
                if isinstance(told, Current):
                    self.trouble = ""
                    self._learn()
                changed |= self.store.take(told, heard_s)
        if Noun.NODES in changed:
            rows = self.store.tables[Noun.NODES].values()
            nodes = [row for row in rows if isinstance(row, NodeView) and row.status not in _GONE]
            self._known = [row.api_address for row in nodes if row.api_address]
        self.on_news(changed)

    def _learn(self) -> None:
        """Asks which cluster this is, until a node has said it."""
        if not self.cluster and (self._learning is None or self._learning.done()):
            self._learning = asyncio.get_running_loop().create_task(self._ask_cluster())

    async def _ask_cluster(self) -> None:
        try:
            self.cluster = (await self.ask(lambda client: client.raft())).cluster
        except OrionError:
            return  # the next news has it asked again
        self.on_news(set())

    def _connected(self, address: str) -> None:
        self.store.forget_begun()
        if address != self._asked:
            self.moves += 1
        self._asked = address


class _Follower:
    """A thread that follows the cluster, from one node after the other, until it is closed."""

    def __init__(
        self,
        feed: Feed,
        take: Callable[[list[tuple[float, Told]]], None],
        loop: asyncio.AbstractEventLoop,
        but: str,
    ) -> None:
        self._feed = feed
        self._clock = feed._clock  # noqa: SLF001 -- its own
        self._but = but
        self._closed = threading.Event()
        self._items: Handover[tuple[float, Told]] = Handover(loop, take)
        threading.Thread(target=self._follow, name="follow", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._items.close()

    def _follow(self) -> None:
        failures = 0
        while not self._closed.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)]):
            addresses = self._feed.addresses(self._but)
            if len(addresses) == 1:  # over a slow line each connection takes its time
                address = addresses[0]
            else:
                address = first_that_answers(addresses, CONNECT_S, ahead_s=AHEAD_S)
            if not address:
                failures += 1
                self._tell([_Ended("", f"no node answers at any of {', '.join(addresses)}: is one running?")])
                continue
            failures = 0 if self._watch(address) else failures + 1
            self._but = address

    def _watch(self, address: str) -> bool:
        """Follows one node until its stream ends. Returns whether it has told a whole state."""
        told, some = list[Told](), False
        try:
            with Client(address) as client:
                if not self._feed.is_ours(address, client):
                    self._feed.forget(address)
                    return False
                self._tell([_Begun(address)])
                for item in client.watch():
                    told.append(item)
                    if isinstance(item, Current):
                        some = True
                    if not self._tell(told):
                        return some
                    told = []
                why = _why_ended(client)
        except OrionError as error:
            why = error.detail
        self._tell([_Ended(address, why)])
        return some

    def _tell(self, told: list[Told]) -> bool:
        now_s = self._clock()
        return self._items.give([(now_s, each) for each in told])


def _why_ended(client: Client) -> str:
    """Returns why a node has ended its stream, in its own words where it has any."""
    try:
        client.readiness()
    except OrionError as error:
        return f"{client.address} says: {error.detail}"
    return f"{client.address} has ended the stream"
