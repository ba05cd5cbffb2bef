"""One question on its way for all who ask it: a worker's lists come from a voter, and are megabytes."""

import asyncio
from collections.abc import Awaitable, Callable

from orion.node.rpc.reads import Listing
from orion.node.rpc.request import ListRequest, read_of
from orion.node.runtime.turnstile import Outcome, Turnstile

MAX_UNDER_WAY = 4  # of those that do not wait for news


class _Flight:
    def __init__(self, ways_out: Turnstile) -> None:
        self.begun = False
        self.outcome = Outcome[Listing](ways_out)


class Flights:
    """Equal requests share an answer: a question may be joined until it is asked, for who gets the answer must not
    miss what was acknowledged before. One that waits for news may be joined for as long as it waits.
    """

    def __init__(self) -> None:
        self._flights: dict[ListRequest, _Flight] = {}
        self._under_way = asyncio.Semaphore(MAX_UNDER_WAY)
        self._ways_out = Turnstile()

    async def join(self, request: ListRequest, ask: Callable[[], Awaitable[Listing]]) -> Listing:
        while True:
            flight = self._flights.get(request)
            if flight is None or (flight.begun and not _waits(request)):
                return await self._begin(request, ask)
            if (listing := await flight.outcome.wait()) is not None:
                return listing

    async def _begin(self, request: ListRequest, ask: Callable[[], Awaitable[Listing]]) -> Listing:
        flight = self._flights[request] = _Flight(self._ways_out)
        try:
            return await flight.outcome.find(self._ask(flight, request, ask))
        finally:
            if self._flights.get(request) is flight:
                del self._flights[request]

    async def _ask(self, flight: _Flight, request: ListRequest, ask: Callable[[], Awaitable[Listing]]) -> Listing:
        if _waits(request):
            return await ask()
        async with self._under_way:
            flight.begun = True
            return await ask()


def _waits(request: ListRequest) -> bool:
    """Returns whether it is answered only once there is news."""
    read = read_of(request)
    return read is not None and read.after_index > 0
