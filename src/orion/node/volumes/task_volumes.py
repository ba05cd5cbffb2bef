"""From claims and assignments to what `NodeVolumes` has be on this node, and paths for tasks that start; the word
for the leader that nothing is left.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from orion.model.allocation import Allocation
from orion.model.claims import ClaimedVolume, ClaimPhase, access_of
from orion.model.container import ContainerState
from orion.model.csi import AccessMode
from orion.model.csi_node import Target, WantedVolume
from orion.model.errors import Conflict, OrionError
from orion.model.ids import NodeId, task_id
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.model.volumes import Volume
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.hooks.hook import NotYet, StartRequest
from orion.node.routing.forward import Forward
from orion.node.routing.plugin_calls import AskClear, AskWait, Cleared
from orion.node.routing.volumes_here import AllHere, AskHere, Given, Here
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.volumes.controller_calls import access, system_of
from orion.node.volumes.node_volumes import NodeVolumes
from orion.ports.peers import Principal

log = logging.getLogger(__name__)

READ_S = 3.0
CLEAR_S = 2.0  # that the leader's question waits here
LOOK_S = 1.0  # while a container holds what is not wanted any more


class TaskVolumes:
    def __init__(
        self,
        *,
        me: NodeId,
        source: AssignmentWatcher,
        agent: Agent,
        volumes: NodeVolumes,
        forward: Forward,
        registry: Registry,
        secrets: Callable[[Volume], Awaitable[SecretValues]],
    ) -> None:
        self._me = me
        self._source = source
        self._agent = agent
        self._volumes = volumes
        self._forward = forward
        self._ask_secrets = secrets
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()  # something is ready, or clear
        self._secrets: dict[tuple[str, int], SecretValues] = {}
        volumes.holds = agent.may_run
        volumes.on_change.append(self._volumes_changed)
        source.on_change.append(self._changed.set)
        registry.answer_call(AskClear, self._answer_clear)
        registry.answer_call(AskHere, self._answer_here)

    async def run(self) -> None:
        while True:
            self._changed.clear()
            await self._fetch_secrets()
            self._follow()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if self._volumes.holding else None):
                    await self._changed.wait()
            self._volumes.release()

    async def path(self, volume: Volume, start: StartRequest) -> str:
        """Returns where the task finds its volume. Raises NotYet."""
        claimed = self._claimed(volume.name)
        if claimed is None or claimed.claim.phase is not ClaimPhase.PUBLISHED:
            raise NotYet(await self._why(volume))
        self._follow()
        driver, id_ = claimed.volume.driver, claimed.volume.data
        path = self._volumes.target_path(driver, id_, start.allocation.id)
        if not self._volumes.ready(driver, id_, path):
            why = self._held_alone(claimed.volume) or self._volumes.why_not(driver, id_)
            why = why or f"plugin {driver} brings it to {self._me}"
            raise NotYet(f"waits for its volume {volume.name}: {why}")
        return path

    def _held_alone(self, volume: Volume) -> str:
        """Says which task has a volume that one task at a time may have; "" where none has."""
        mode = access_of(volume)
        if mode is not AccessMode.SINGLE_NODE_SINGLE_WRITER:
            return ""
        for each, target in self._targets(volume):
            if self._volumes.ready(volume.driver, volume.data, target.path):
                holder = task_id(each.job, each.index)
                return f"task {holder} has it, and it is {mode.value}, which is one task's at a time: stop {holder}"
        return ""

    # --- what is wanted here ------------------------------------------------------------------------------

    def _claimed(self, volume: str) -> ClaimedVolume | None:
        claims = self._source.latest.claims if self._source.latest is not None else ()
        return next((each for each in claims if each.volume.name == volume), None)

    def _follow(self) -> None:
        work = self._source.latest
        if work is None or not work.registered:
            return
        self._volumes.want(
            wanted
            for each in work.claims
            if each.claim.phase is ClaimPhase.PUBLISHED and (wanted := self._wanted(each)) is not None
        )

    def _wanted(self, each: ClaimedVolume) -> WantedVolume | None:
        volume, system = each.volume, system_of(each.volume)
        secrets = self._secrets.get((volume.name, volume.created_index)) if system.secrets else NO_SECRETS
        targets = tuple(target for _, target in self._targets(volume))
        if secrets is None or not targets:
            return None
        return WantedVolume(
            volume.driver,
            volume.data,
            access(volume),
            targets,
            published=dict(each.claim.context),
            context=dict(system.context),
            size_bytes=system.has_bytes if system.node_grows else 0,
            secrets=secrets,
            name=volume.name,
        )

    def _targets(self, volume: Volume) -> list[tuple[Allocation, Target]]:
        work = self._source.latest
        found = []
        for each in work.assigned if work is not None else ():
            allocation = each.allocation
            if allocation.terminal or volume.name not in each.spec.volume_names(allocation.index):
                continue
            path = self._volumes.target_path(volume.driver, volume.data, allocation.id)
            target = Target(path, not each.spec.writes_volume(volume.name, allocation.index))
            found.append((allocation, target))
        return found

    async def _fetch_secrets(self) -> None:
        work = self._source.latest
        volumes = [each.volume for each in work.claims] if work is not None else []
        needed = {(each.name, each.created_index): each for each in volumes if system_of(each).secrets}
        self._secrets = {key: known for key, known in self._secrets.items() if key in needed}
        for key, volume in needed.items():
            if key in self._secrets:
                continue
            try:
                self._secrets[key] = await self._ask_secrets(volume)
            except OrionError as error:
                log.warning("the secrets of volume %s are not known here yet: %s", volume.name, error.detail)
                self._changed.set()
                await asyncio.sleep(LOOK_S)

    # --- changes ------------------------------------------------------------------------------------------

    def _volumes_changed(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
        if self._volumes.holding:
            self._changed.set()
        work = self._source.latest
        with_volumes = [each for each in work.assigned if each.spec.has_volumes] if work is not None else []
        if with_volumes:
            self._agent.hurry([each.allocation.id for each in with_volumes])

    async def _why(self, volume: Volume) -> str:
        """In words, why this node does not have it yet."""
        words = await self._forward.ask(AskWait(volume.name, self._me, Read(timeout_s=READ_S)))
        return f"waits for its volume {volume.name}: {words}"

    def _stranger(self) -> str | None:
        """Returns a container of this node's that nobody has told it of: what it uses is not known. Its disk may be
        new, and what ran before it was lost runs on.
        """
        work, containers = self._source.latest, self._agent.containers
        if containers is None:
            return "(the engine does not answer)"
        known = {each.allocation.id for each in work.assigned} if work is not None else set()
        for each in containers:
            mine = each.labels.node == self._me and each.labels.allocation not in known
            if mine and each.state is ContainerState.RUNNING:
                return each.id[:12]
        return None

    # --- the leader asks ----------------------------------------------------------------------------------

    async def _answer_clear(self, request: AskClear, _: Principal) -> Cleared:
        """An answer that holds: what is wanted here is as of that step of the claim, and no task that is about to
        start has heard of another.
        """
        found = self._claimed(request.volume)
        if found is None or found.claim.as_of != request.as_of or found.claim.phase is not ClaimPhase.RELEASING:
            raise Conflict(f"{self._me} has not heard yet that volume {request.volume} is to go")
        self._follow()
        if (stranger := self._stranger()) is not None:
            return Cleared(clear=False, why=f"container {stranger} of a former task runs on {self._me}")
        driver, id_ = found.volume.driver, found.volume.data
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLEAR_S):
                while not self._volumes.clear(driver, id_):
                    await self._moved.wait()
        clear = self._volumes.clear(driver, id_)
        return Cleared(clear, "" if clear else self._volumes.why_not(driver, id_))

    # --- people ask ---------------------------------------------------------------------------------------

    async def _answer_here(self, request: AskHere, _: Principal) -> AllHere:
        self._follow()
        return AllHere([self._here(each) for each in request.volumes])

    def _here(self, given: Given) -> Here:
        found = self._claimed(given.volume)
        if found is None or found.volume.created_index != given.created_index:
            return Here(settled=False)  # this node has not heard of it yet
        driver, id_, system = found.volume.driver, found.volume.data, system_of(found.volume)
        heard = system.has_bytes >= given.size_bytes
        return Here(heard and self._volumes.settled(driver, id_), self._volumes.why_not(driver, id_))
