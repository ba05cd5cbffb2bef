"""One way for every request to the node that answers it: here where this one can, else the next voter, the leader,
or the node that it is about.

A call or a list has as long as its `read` says, 10 s without one; a stream's source may be silent for as long as
the request says. The next voter is asked where one is Unavailable; of what they said, the most telling is raised.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from orion.model.errors import NoMajority, NotTaken, OrionError, Unavailable
from orion.model.ids import NodeId, RaftId
from orion.model.membership import NodeRole
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.routing.flights import Flights
from orion.node.rpc import ask
from orion.node.rpc.duplex import Duplex
from orion.node.rpc.lists import Lists
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import (
    CallRequest,
    DuplexRequest,
    ListRequest,
    NotUnderstood,
    Request,
    SignOfLife,
    StreamRequest,
    encode_request,
    patience_s,
    read_of,
)
from orion.ports.peers import Peers

log = logging.getLogger(__name__)

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

MARGIN_S = 1.0  # a peer answers with its own words at the deadline; wait a little longer than it does
RETRY_S = 0.1


class Forward:
    """One per node."""

    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        directory: Directory,
        peers: Peers,
        quorum: QuorumWatch,
        registry: Registry,
        lists: Lists,
        rng: random.Random,
    ) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._peers = peers
        self._quorum = quorum
        self._registry = registry
        self._lists = lists
        self._rng = rng
        self._flights = Flights()

    # --- whoever follows the log ---------------------------------------------------------------------------

    async def ask(self, request: Request[R]) -> R:
        """The answer to a call, or a list. A stale one needs no leader: it is wanted at once, and after a write of
        this node's nobody else may know as much. Raises Unavailable when nobody answers in time.
        """
        if self._answers_here(request):
            return await self._registry.answer(request)
        if isinstance(request, ListRequest):
            return cast("R", await self._flights.join(request, lambda: self._ask_voters(request)))
        return await self._ask_voters(request)

    def stream(self, request: StreamRequest[R]) -> AsyncGenerator[R, None]:
        """The items, from here while this node follows the log when it is asked. A resumable stream goes on here
        once the node follows it. Raises Unavailable.
        """
        if self._driver.is_member:
            here = self._registry.items(request)
            return _without_signs(here)
        there = self._from_voters_then_here(request)
        return _without_signs(there)

    async def _from_voters_then_here(self, request: StreamRequest[R]) -> AsyncGenerator[R | SignOfLife, None]:
        async with contextlib.aclosing(self.from_voters(request, _as_it_is)) as items:
            async for item in items:
                yield item
        if request.resumable:  # no voter ended it: this node follows the log by now
            here = self._registry.items(request)
            async with contextlib.aclosing(here):
                async for item in here:
                    yield item

    async def from_voters(
        self, request: StreamRequest[R], receive: Callable[[str], Callable[[R], T | SignOfLife]]
    ) -> AsyncGenerator[T | SignOfLife, None]:
        """Yields what `receive` for the sender's address makes of each item, and signs of life. The next voter is
        asked only where one has sent nothing yet, unless the request is resumable: then wherever one has ended or
        could not be understood, until this node follows the log itself.
        """
        last: OrionError = Unavailable("no voter of the cluster is known yet")
        for address in self._voters(given_up=True):
            begun, take = False, receive(address)
            try:
                items = ask.stream(self._peers, address, request)
                async with contextlib.aclosing(items):
                    async for item in items:
                        if isinstance(item, SignOfLife):
                            yield item
                            continue
                        taken = take(item)
                        begun = True
                        yield taken
                if not request.resumable:
                    return
                last = _more_telling(Unavailable(f"{address} has ended it"), last)
            except OrionError as error:
                if not request.resumable and (begun or not isinstance(error, Unavailable)):
                    raise
                log.debug("%s does not go on with %s: %s", address, type(request).__name__, error.detail)
                last = _more_telling(error, last)
            if request.resumable and self._driver.is_member:
                return
        raise last

    def _answers_here(self, request: Request[Any]) -> bool:
        read = read_of(request)
        return self._driver.is_member and bool(self._driver.standing.leader or (read is not None and read.stale))

    async def _ask_voters(self, request: Request[R]) -> R:
        timeout_s = patience_s(request)
        async with self._quorum.deadline(timeout_s, "no voter of the cluster answered"):
            while True:
                last: OrionError = Unavailable("")
                for address in self._voters():
                    try:
                        return await self._put(request, address, timeout_s + MARGIN_S)
                    except Unavailable as error:
                        log.debug("%s did not answer: %s", address, error.detail)
                        last = _more_telling(error, last)
                if self._driver.is_member and self._driver.standing.leader:
                    return await self._registry.answer(request)
                if isinstance(last, NoMajority | NotUnderstood) and not self._driver.is_member:
                    raise last  # none of them knows better
                await asyncio.sleep(RETRY_S)

    async def _put(self, request: Request[R], address: str, timeout_s: float) -> R:
        """The caller has a deadline of its own."""
        if isinstance(request, CallRequest):
            answer: R = await ask.call(self._peers, address, request, timeout_s=timeout_s)
            return answer
        async with contextlib.aclosing(self._peers.stream(address, encode_request(request))) as items:
            return cast("R", await self._lists.received(items, address))

    def _voters(self, *, given_up: bool = False) -> list[str]:
        """Addresses of the others, those first that are likeliest to know."""
        found = self._directory.voters(given_up=given_up)
        return [seen.metadata.peer_address for seen in found if seen.member.node != self._me]

    # --- the leader ----------------------------------------------------------------------------------------

    async def ask_leader(self, request: CallRequest[R], *, timeout_s: float) -> R:
        """The answer of the leader, for a node that does not lead. A worker may ask any voter, which passes it on.
        Raises NotTaken when there is nobody to ask, or the request was passed on already.
        """
        if cast("Any", request).forwarded:
            raise NotTaken(f"{self._me} does not lead the cluster")
        address = self._leader()
        # A member passes it on once: without a leader, two would pass it to and fro.
        passed_on = replace(request, forwarded=self._driver.is_member)
        return await ask.call(self._peers, address, passed_on, timeout_s=timeout_s)

    def _leader(self) -> str:
        driver, leader = self._driver, self._driver.standing.leader
        if driver.is_member and leader and (address := self._directory.address_of_raft(RaftId(leader))):
            return address
        voters = [s for s in self._directory.voters() if s.member.node != self._me]
        for seen in voters:
            if seen.metadata.role is NodeRole.LEADER:
                return seen.metadata.peer_address
        if voters and not driver.is_member:
            return self._rng.choice(voters).metadata.peer_address
        raise NotTaken("no leader of the cluster is known yet")

    # --- a node --------------------------------------------------------------------------------------------

    async def ask_node(self, node: NodeId, request: CallRequest[R], *, timeout_s: float) -> R:
        """Raises Unavailable when it is not known or does not answer."""
        if node == self._me:
            return await self._registry.answer(request)
        return await ask.call(self._peers, self._address_of(node), request, timeout_s=timeout_s)

    def stream_of_node(self, node: NodeId, request: StreamRequest[R]) -> AsyncGenerator[R, None]:
        """Raises as `ask_node`."""
        if node == self._me:
            here = self._registry.items(request)
            return _without_signs(here)
        there = ask.stream(self._peers, self._address_of(node), request)
        return _without_signs(there)

    def duplex_with_node(
        self, node: NodeId, request: DuplexRequest[R, S]
    ) -> AbstractAsyncContextManager[Duplex[S, R]]:
        """A stream that carries both ways, until the block is left; to this node too it goes through its peer port.
        Raises as `ask_node`.
        """
        return ask.duplex(self._peers, self._address_of(node), request)

    def _address_of(self, node: NodeId) -> str:
        if (address := self._directory.address_of_node(node)) is None:
            raise Unavailable(f"nobody has heard of {node} since this node started; ask another node")
        return address


def _as_it_is(_: str) -> Callable[[R], R]:
    return lambda item: item


def _more_telling(error: OrionError, before: OrionError) -> OrionError:
    """A plain Unavailable passes by itself; what says more is kept."""
    return before if type(error) is Unavailable and type(before) is not Unavailable else error


async def _without_signs(items: AsyncGenerator[R | SignOfLife, None]) -> AsyncGenerator[R, None]:
    async with contextlib.aclosing(items):
        async for item in items:
            if not isinstance(item, SignOfLife):
                yield item
