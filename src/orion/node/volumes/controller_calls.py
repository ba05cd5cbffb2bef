"""Calls of this node's controller parts, for the leader: one at a time for a volume, and none that is over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orion.model.claims import ClaimedVolume, ClaimPhase, access_of
from orion.model.csi import NEVER, Access, ControllerFeature, FailureKind
from orion.model.errors import Conflict, Unavailable
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.model.storage import SystemPart
from orion.model.volumes import Volume
from orion.node.routing.forward import Forward
from orion.node.routing.plugin_calls import AskClaim, CallDone, PublishVolume, UnpublishVolume
from orion.node.routing.storage_calls import AskSecrets
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.volumes.one_plugin import OnePlugin
from orion.node.volumes.plugins import Plugins
from orion.ports.csi import CsiFailed, CsiPlugin
from orion.ports.peers import Principal

READ_S = 5.0
FRESH_S = 2.0  # from the question about a claim to the call: a process may be stalled between


class ControllerCalls:
    """Whatever a call says is read from the state just before it is made, behind a barrier: a late copy of the
    leader's request, or a former leader's, is about a step that is over by then.
    """

    def __init__(self, *, plugins: Plugins, forward: Forward, registry: Registry) -> None:
        self._plugins = plugins
        self._forward = forward
        self._under_way: set[str] = set()
        registry.answer_call(PublishVolume, self._publish)
        registry.answer_call(UnpublishVolume, self._unpublish)

    async def _publish(self, request: PublishVolume, _: Principal) -> CallDone:
        async with self.turn(request.volume):
            asked_s = asyncio.get_running_loop().time()
            found = await self._claimed(request, ClaimPhase.PUBLISHING)
            claim, volume = found.claim, found.volume
            one, plugin = self.controller(volume.driver)
            can = one.state.controller or frozenset()
            if ControllerFeature.PUBLISH_UNPUBLISH_VOLUME not in can:
                return CallDone()
            secrets = await self.secrets(volume)
            _require_fresh(request, asked_s)
            try:
                context = await plugin.publish_to_node(
                    volume.data,
                    claim.known_as,
                    access(volume),
                    readonly=claim.read_only and ControllerFeature.PUBLISH_READONLY in can,
                    context=dict(system_of(volume).context),
                    secrets=secrets,
                )
            except CsiFailed as error:
                return self.failed(one, error, secrets)
            return CallDone(context=tuple(sorted(context.items())))

    async def _unpublish(self, request: UnpublishVolume, _: Principal) -> CallDone:
        async with self.turn(request.volume):
            asked_s = asyncio.get_running_loop().time()
            found = await self._claimed(request, ClaimPhase.UNPUBLISHING)
            volume = found.volume
            one, plugin = self.controller(volume.driver)
            if ControllerFeature.PUBLISH_UNPUBLISH_VOLUME not in (one.state.controller or frozenset()):
                return CallDone()
            secrets = await self.secrets(volume)
            _require_fresh(request, asked_s)
            try:
                await plugin.unpublish_from_node(volume.data, found.claim.known_as, secrets)
            except CsiFailed as error:
                return self.failed(one, error, secrets)
            return CallDone()

    # --- for all calls ------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def turn(self, volume: str) -> AsyncIterator[None]:
        """Raises Conflict while another call about the volume is under way here."""
        if volume in self._under_way:
            raise Conflict(f"another call about volume {volume} is under way")
        self._under_way.add(volume)
        try:
            yield
        finally:
            self._under_way.discard(volume)

    def controller(self, driver: str) -> tuple[OnePlugin, CsiPlugin]:
        """Raises Unavailable while this node has none that works."""
        one = self._plugins.controller_part(driver)
        if one is None or one.plugin is None:
            raise Unavailable(self._plugins.why_not(driver))
        return one, one.plugin

    async def secrets(self, volume: Volume) -> SecretValues:
        """Those that go with calls about it. Raises NotFound when it is not there any more."""
        if not system_of(volume).secrets:
            return NO_SECRETS
        ask = AskSecrets(volume.name, volume.created_index, Read(timeout_s=READ_S))
        return (await self._forward.ask(ask)).values()

    def failed(self, one: OnePlugin, error: CsiFailed, secrets: SecretValues) -> CallDone:
        if error.kind in (FailureKind.RETRY, FailureKind.LIE):
            one.doubt()
        return CallDone(secrets.hidden(error.detail), error.kind.value, error.kind in NEVER)

    async def _claimed(self, request: PublishVolume | UnpublishVolume, phase: ClaimPhase) -> ClaimedVolume:
        found = await self._forward.ask(AskClaim(request.volume, request.node, Read(timeout_s=READ_S)))
        if found is None or found.claim.as_of != request.as_of or found.claim.phase is not phase:
            raise Conflict(f"the claim of {request.node} to volume {request.volume} has gone on")
        return found


def _require_fresh(request: PublishVolume | UnpublishVolume, asked_s: float) -> None:
    """Raises Conflict where so much time has passed that the claim may be another one by now."""
    if asyncio.get_running_loop().time() - asked_s > FRESH_S:
        raise Conflict(f"what is known of the claim of {request.node} to volume {request.volume} is too old")


def system_of(volume: Volume) -> SystemPart:
    assert volume.system is not None, "a storage system's volume has its part"
    return volume.system


def access(volume: Volume) -> Access:
    """As all tasks have the volume."""
    part = system_of(volume)
    return Access(access_of(volume), part.block, part.fs_type, part.mount_flags)
