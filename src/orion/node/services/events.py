"""Events as a stream, from this node while it follows the cluster's log, else from a voter. It ends when whoever it
comes from no longer hears what happens: the client resumes by the id of the last event, perhaps from another.
"""

import contextlib
from collections.abc import AsyncGenerator

from orion.model.errors import Unavailable
from orion.model.events import Event, EventChoice
from orion.model.ids import NodeId
from orion.node.agent.assignments import LEADERLESS_LOOKS, SIGN_OF_LIFE_S, STREAM_SILENCE_S
from orion.node.consensus.applied import EVERYTHING
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.routing.forward import from_a_voter
from orion.node.rpc.requests import WatchEvents, decode_event, encode_reply, encode_request
from orion.ports.peers import Peers


class Events:
    def __init__(self, *, me: NodeId, driver: RaftDriver, directory: Directory, peers: Peers) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._peers = peers

    def stream(self, request: WatchEvents) -> AsyncGenerator[Event | None, None]:
        """As service.Service has it. Raises Unavailable."""
        if self._driver.is_member:
            return self._own(request)
        return from_a_voter(
            encode_request(request),
            decode_event,
            me=self._me,
            directory=self._directory,
            peers=self._peers,
            silence_s=STREAM_SILENCE_S,
        )

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
        driver, chosen = self._driver, request.chosen
        after, told = request.after, driver.watch.last
        if after is None and (chosen.since_ms or chosen.tail is not None):
            after = EVERYTHING
        looks = 0  # in a row, without a leader
        batches = driver.watch.batches(
            after, follow=request.follow, lasts=lambda: driver.is_member, pulse_s=SIGN_OF_LIFE_S
        )
        async with contextlib.aclosing(batches):
            async for batch in batches:
                yield _chosen(batch, chosen, told) if batch else batch
                looks = 0 if batch or driver.standing.leader else looks + 1
                if looks == LEADERLESS_LOOKS:
                    raise Unavailable(f"{self._me} is cut off from the cluster's leader")
        if not driver.is_member:
            raise Unavailable(f"{self._me} does not follow the cluster's log")


def _chosen(batch: list[Event | None], chosen: EventChoice, told: tuple[int, int]) -> list[Event | None]:
    """`told`: the last event that had happened when the stream began. All up to it come in one batch."""
    kept = [event for event in batch if event is None or chosen.takes(event)]
    if chosen.tail is None:
        return kept
    past = [event for event in kept if event is not None and (event.index, event.part) <= told]
    if not past:
        return kept
    new = [event for event in kept if event is not None and (event.index, event.part) > told]
    return [*past[len(past) - min(chosen.tail, len(past)) :], *new]
