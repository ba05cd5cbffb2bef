"""Where a job's tasks can be reached: as a list, and as a stream of lists for who follows them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import ClassVar

from orion.model.api.endpoints import EndpointView
from orion.model.errors import NotFound, TooLarge, Unavailable
from orion.model.ids import JOB_NAME, JobName
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Epoch, Listing, Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SILENCE_S, ListRequest, SignOfLife, StreamRequest
from orion.node.services.freshness import Freshness
from orion.node.services.state_watch import StateWatch
from orion.node.views.endpoints import endpoints
from orion.ports.peers import Principal

MAX_ITEM_BYTES = 4 * 1024 * 1024  # of a list that is sent whole again at each change
PAUSE_S = 0.02  # between two looks: many changes at once come to one list


class AskEndpoints(ListRequest, frozen=True, tag=30):
    job: str
    everything: bool
    read: Read

    def fault(self) -> str:
        return _job_fault(self.job)


class WatchEndpoints(StreamRequest[bytes], frozen=True, tag=31):
    """The list as JSON, now and whenever it is another."""

    silence_s: ClassVar = SILENCE_S
    resumable: ClassVar = True

    job: str
    everything: bool

    def fault(self) -> str:
        return _job_fault(self.job)


def _job_fault(job: str) -> str:
    return "" if JOB_NAME.fullmatch(job) else "not a job's name"


class Endpoints:
    """Fulfils service.EndpointService."""

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
        registry.answer_list(AskEndpoints, self._answer)
        registry.answer_stream(WatchEndpoints, self._answer_watch)

    async def find(self, job: str, read: Read, *, everything: bool = False) -> Listing:
        return await self._forward.ask(AskEndpoints(job, everything, read))

    async def watch(self, job: str, *, everything: bool = False) -> AsyncGenerator[bytes, None]:
        """Each list is another than the one before, whichever node it comes from."""
        last: bytes | None = None
        async with contextlib.aclosing(self._forward.stream(WatchEndpoints(job, everything))) as lists:
            async for body in lists:
                if body != last:
                    last = body
                    yield body

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer(self, request: AskEndpoints, _: Principal) -> Listing:
        return await self._listing(request.job, request.read, everything=request.everything)

    async def _answer_watch(
        self, request: WatchEndpoints, _: Principal
    ) -> AsyncGenerator[bytes | SignOfLife, None]:
        """Its first list is linearizable. Raises NotFound for a job that is not there then; one that is removed
        later has no endpoints.
        """
        driver, read = self._driver, Read()
        last: bytes | None = None
        while driver.is_member:
            at = self._state.position
            try:
                body = await self._body(request, read)
            except NotFound:
                if last is None:
                    raise
                body = b"[]"
            if body != last:
                yield body
            read, last = Read(stale=True), body
            async with contextlib.aclosing(self._state.waiting(at)) as signs:
                async for _led in signs:
                    yield ALIVE
            await asyncio.sleep(PAUSE_S)
        raise Unavailable("this node does not follow the cluster's log any more")

    async def _body(self, request: WatchEndpoints, read: Read) -> bytes:
        listing = await self._listing(request.job, read, everything=request.everything)
        if listing.size_bytes > MAX_ITEM_BYTES:
            raise TooLarge(
                f"the endpoints of {request.job} are too many to be followed: ask for the list with ?index="
            )
        return b"".join(listing.chunks).strip()

    async def _listing(self, job: str, read: Read, *, everything: bool) -> Listing:
        def rows() -> tuple[list[EndpointView], str]:
            return endpoints(self._driver.view, self._directory, JobName(job), everything=everything), ""

        def epoch() -> Epoch:
            return (self._directory.version,)

        return await self._freshness.listing(read, ("endpoints", job, everything), rows, epoch)
