"""Events as a stream, from this node while it follows the cluster's log, else from a voter. It ends when whoever it
comes from no longer hears what happens: the client resumes by the id of the last event, perhaps from another.
"""

import contextlib
from collections.abc import AsyncGenerator
from typing import ClassVar

from orion.model.errors import Unavailable
from orion.model.events import ALL_EVENTS, Event, EventChoice
from orion.model.ids import NodeId
from orion.node.agent.assignments import LEADERLESS_LOOKS
from orion.node.consensus.applied import EVERYTHING
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SIGN_OF_LIFE_S, SILENCE_S, SignOfLife, StreamRequest
from orion.ports.peers import Principal


class WatchEvents(StreamRequest[Event | None], frozen=True, tag=12):
    """None where events between were forgotten."""

    silence_s: ClassVar = SILENCE_S

    after: tuple[int, int] | None
    follow: bool
    chosen: EventChoice = ALL_EVENTS


class Events:
    def __init__(self, *, me: NodeId, driver: RaftDriver, forward: Forward, registry: Registry) -> None:
        self._me = me
        self._driver = driver
        self._forward = forward
        registry.answer_stream(WatchEvents, self._answer)

    def stream(self, request: WatchEvents) -> AsyncGenerator[Event | None, None]:
        """As service.Service has it. Raises Unavailable."""
        return self._forward.stream(request)

    async def _answer(self, request: WatchEvents, _: Principal) -> AsyncGenerator[Event | SignOfLife | None, None]:
        async with contextlib.aclosing(self._batches(request)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event
                if not batch:
                    yield ALIVE

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
