"""Events as a stream, from this node while it follows the cluster's log, else from a voter. It ends when whoever it
comes from no longer hears what happens: the client resumes by the id of the last event, perhaps from another.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from orion.model.errors import Unavailable
from orion.model.events import Event
from orion.model.ids import NodeId
from orion.node.directory import Directory
from orion.node.raft_driver import RaftDriver
from orion.node.requests import WatchEvents, decode_event, encode_reply, encode_request
from orion.node.work import LEADERLESS_LOOKS, SIGN_OF_LIFE_S, STREAM_SILENCE_S
from orion.ports import Peers


class Events:
    def __init__(self, *, me: NodeId, driver: RaftDriver, directory: Directory, peers: Peers) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._peers = peers

    def stream(self, request: WatchEvents) -> AsyncGenerator[Event | None, None]:
        """As service.Service has it. Raises Unavailable."""
        return self._own(request) if self._driver.is_member else self._from_a_voter(request)

    async def serve(self, request: WatchEvents) -> AsyncGenerator[bytes, None]:
        """A voter's side, for a worker: an empty item is a sign of life."""
        async with contextlib.aclosing(self._batches(request)) as batches:
            async for batch in batches:
                for event in batch:
                    yield encode_reply(event)
                if not batch:
                    yield b""

    async def _own(self, request: WatchEvents) -> AsyncGenerator[Event | None, None]:
        async with contextlib.aclosing(self._batches(request)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def _batches(self, request: WatchEvents) -> AsyncGenerator[list[Event | None], None]:
        driver = self._driver
        looks = 0  # in a row, without a leader
        batches = driver.watch.batches(
            request.after, follow=request.follow, lasts=lambda: driver.is_member, pulse_s=SIGN_OF_LIFE_S
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                yield batch
                looks = 0 if batch or driver.standing.leader else looks + 1
                if looks == LEADERLESS_LOOKS:
                    raise Unavailable(f"{self._me} is cut off from the cluster's leader")
        if not driver.is_member:
            raise Unavailable(f"{self._me} does not follow the cluster's log")

    async def _from_a_voter(self, request: WatchEvents) -> AsyncGenerator[Event | None, None]:
        """The next voter is asked only where one has told nothing yet."""
        last = Unavailable("no voter of the cluster is known yet")
        for seen in self._directory.voters():
            if seen.member.node == self._me:
                continue
            address, begun = seen.facts.peer_address, False
            stream = self._peers.stream(address, encode_request(request))
            try:
                while (item := await _next(stream, address)) is not None:
                    if item:
                        event = decode_event(item, address)
                        begun = True
                        yield event
            except Unavailable as error:
                if begun:
                    raise
                last = error
            else:
                return
            finally:
                await stream.aclose()
        raise last


async def _next(stream: AsyncGenerator[bytes, None], address: str) -> bytes | None:
    try:
        async with asyncio.timeout(STREAM_SILENCE_S):
            return await anext(stream, None)
    except TimeoutError:
        raise Unavailable(f"{address} has said nothing for {STREAM_SILENCE_S:g} s") from None
