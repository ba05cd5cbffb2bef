"""The digest that an image's tag stands for, found out once when a job is deployed, so that all of its tasks run
the same, wherever and whenever they start.

    whoever is asked ─► its engine ─► the registry
                   └──► a voter, where it has none ─► a node that has one ─► the registry

A deploy never fails for it, nor waits long: what can't be found out is taken by its tag, and that is said.
"""

import asyncio
import contextlib
import logging
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from orion.model.api.jobs import JobRequest
from orion.model.api.rules import MAX_IMAGE
from orion.model.errors import EngineDown, EngineError, NoMajority, OrionError, Unavailable
from orion.model.ids import JOB_NAME, JobName, NodeId
from orion.model.images import image_text, is_pinned, pinned, without_digest
from orion.model.job import JobKind
from orion.model.node import NodeStatus
from orion.node.agent.agent import Agent
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.services.freshness import Freshness
from orion.ports.peers import Principal

log = logging.getLogger(__name__)

FIND_S = 4.0  # for all of it; an engine gives its registry a little less
NODES_ASKED = 2


class FoundDigest(msgspec.Struct, frozen=True, array_like=True):
    """`digest` is "" when it is not known: `why` says so, unless `only_on` has the image and no registry ever had.
    `now`: the image that the job has now.
    """

    digest: str = ""
    why: str = ""
    only_on: str = ""
    now: str = ""


def _image_fault(image: str) -> str:
    return "" if 0 < len(image) <= MAX_IMAGE else "not an image's name"


class AskDigest(CallRequest[FoundDigest], frozen=True, tag=42):
    """Asks a node that has an engine."""

    at: ClassVar = Place.NODE

    image: str
    local: bool

    def fault(self) -> str:
        return _image_fault(self.image)


class FindDigest(CallRequest[FoundDigest], frozen=True, tag=43):
    """Asks whoever follows the log for the image that the job has now, and with `ask` for the digest, which a node
    with an engine finds out.
    """

    job: str
    image: str
    local: bool = True
    ask: bool = False
    read: Read = Read()

    def fault(self) -> str:
        return _image_fault(self.image) or ("" if JOB_NAME.fullmatch(self.job) else "not a job's name")


class Images:
    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        agent: Agent,
        freshness: Freshness,
    ) -> None:
        self._me = me
        self._driver = driver
        self._forward = forward
        self._agent = agent
        self._freshness = freshness
        registry.answer_call(AskDigest, self._answer_ask)
        registry.answer_call(FindDigest, self._answer_find)

    async def pin(self, job: str, request: JobRequest, timeout_s: float) -> tuple[JobRequest, list[str]]:
        """Returns the request with its image's digest, if it can be found out, and notes for people on what could
        not. An image that says its digest stays as it is, and so does one that is never pulled.
        """
        image = request.image
        if is_pinned(image) or request.pull_policy == "never":
            return request, []
        found = await self._find(job, request, timeout_s)
        if not found.digest or request.kind == JobKind.BATCH:
            now = (await self._forward.ask(FindDigest(job, image, ask=False, read=Read(timeout_s=timeout_s)))).now
            if request.kind == JobKind.BATCH and now == image:
                return request, []  # that its digest is known now is no reason to run it again
            if not found.digest and not found.only_on and is_pinned(now) and without_digest(now) == image:
                return replace(request, image=now), [f"{image} stays {image_text(now)}: {found.why}"]
        if found.digest and len(pinned(image, found.digest)) <= MAX_IMAGE:
            return replace(request, image=pinned(image, found.digest)), []
        if found.only_on:
            note = (
                f"{image} is taken by its tag: {found.only_on} has it from no registry, so another node that is to"
                " run it needs it, too, and may have another one of that name"
            )
            return request, [note]
        why = found.why or "with its digest the name is too long"
        return request, [f"{image} is taken by its tag, which may mean another image later or elsewhere: {why}"]

    async def _find(self, job: str, request: JobRequest, timeout_s: float) -> FoundDigest:
        """Returns what can be found out in a while; `why` says what keeps it."""
        image, local = request.image, request.pull_policy != "always"
        within_s = min(FIND_S, timeout_s / 2)
        try:
            async with asyncio.timeout(within_s):
                if self._agent.has_engine:
                    with contextlib.suppress(EngineDown):
                        return await self._here(image, local=local)
                read = Read(timeout_s=within_s)
                return await self._forward.ask(FindDigest(job, image, local=local, ask=True, read=read))
        except TimeoutError:
            return FoundDigest(why=f"nothing was found out within {within_s:g} s")
        except NoMajority:
            raise
        except OrionError as error:
            return FoundDigest(why=error.detail)

    async def _here(self, image: str, *, local: bool) -> FoundDigest:
        """By this node's engine. Raises EngineDown."""
        try:
            digest = await self._agent.image_digest(image, local=local)
        except EngineDown:
            raise
        except EngineError as error:
            return FoundDigest(why=error.detail)
        return FoundDigest(digest, only_on="" if digest else self._me)

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_ask(self, request: AskDigest, _: Principal) -> FoundDigest:
        if not self._agent.has_engine:
            raise Unavailable(f"{self._me} has no container engine that answers")
        return await self._here(request.image, local=request.local)

    async def _answer_find(self, request: FindDigest, _: Principal) -> FoundDigest:
        await self._freshness.reached(request.read)
        job = self._driver.view.job(JobName(request.job))
        now = "" if job is None or job.stopping else job.task.image
        if not request.ask:
            return FoundDigest(now=now)
        found = FoundDigest(why="no node has a container engine that answers")
        for node in self._with_engine()[:NODES_ASKED]:
            ask = AskDigest(request.image, request.local)
            try:
                found = await self._forward.ask_node(node, ask, timeout_s=request.read.timeout_s)
                break
            except OrionError as error:
                log.debug("%s does not say what %s is: %s", node, request.image, error.detail)
        return replace(found, now=now)

    def _with_engine(self) -> list[NodeId]:
        """This node first, where it has one."""
        found = [node for node in self._driver.view.nodes() if node.status is NodeStatus.READY]
        names = [node.id for node in found if not node.engine_down and node.id != self._me]
        return [self._me, *names] if self._agent.has_engine else names
