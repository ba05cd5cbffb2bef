"""Calls by which this node's controller parts make, grow, copy and delete volumes and snapshots, for the leader."""

from collections.abc import Awaitable

from orion.model.claims import access_of
from orion.model.csi import (
    ControllerFeature,
    FailureKind,
    NewVolume,
    NodeFeature,
    PluginFeature,
    SizeRange,
    Source,
)
from orion.model.errors import Conflict
from orion.model.volume_snapshots import SNAPSHOT, VolumeSnapshot
from orion.model.volumes import Volume
from orion.node.routing.forward import Forward
from orion.node.routing.plugin_calls import CallDone
from orion.node.routing.storage_calls import (
    AskStored,
    DeleteStored,
    GrowStored,
    MakeStored,
    StoredFacts,
)
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.volumes.controller_calls import READ_S, ControllerCalls, access, system_of
from orion.node.volumes.one_plugin import OnePlugin
from orion.ports.csi import CsiFailed, CsiPlugin
from orion.ports.peers import Principal


class StorageCalls:
    """As ControllerCalls, with which it shares the turns: whatever a call says is read from the state just before
    it, behind a barrier. Raises Conflict for what the state does not ask for any more.
    """

    def __init__(self, *, controllers: ControllerCalls, forward: Forward, registry: Registry) -> None:
        self._controllers = controllers
        self._forward = forward
        registry.answer_call(MakeStored, self._make)
        registry.answer_call(DeleteStored, self._delete)
        registry.answer_call(GrowStored, self._grow)

    async def _make(self, request: MakeStored, _: Principal) -> CallDone:
        async with self._controllers.turn(request.key):
            stored = await self._read(request.key, request.created_index)
            one, plugin = self._controllers.controller(_driver(stored))
            if stored.snapshot is not None:
                if not stored.snapshot.asked or stored.snapshot.ready:
                    raise Conflict(f"snapshot {stored.snapshot.name} is not to be taken")
                return await self._tried(one, stored, _take(plugin, stored, stored.snapshot))
            volume = _volume(stored)
            if volume.data or not system_of(volume).asked:
                raise Conflict(f"volume {volume.name} is not to be made")
            can = one.state.controller or frozenset()
            if system_of(volume).given:
                return await self._tried(one, stored, _look(plugin, stored, volume))
            if ControllerFeature.CREATE_DELETE_VOLUME not in can:
                return _cannot(volume.driver, "make volumes: name one that it has, with --id")
            if system_of(volume).source_volume and ControllerFeature.CLONE_VOLUME not in can:
                return _cannot(volume.driver, "begin a volume with another one")
            placed = PluginFeature.TOPOLOGY in one.state.features
            return await self._tried(one, stored, _create(plugin, stored, volume, placed=placed))

    async def _delete(self, request: DeleteStored, _: Principal) -> CallDone:
        async with self._controllers.turn(request.key):
            stored = await self._read(request.key, request.created_index)
            one, plugin = self._controllers.controller(_driver(stored))
            secrets = stored.secrets.values()
            if stored.snapshot is not None:
                if not stored.snapshot.removing or not stored.snapshot.data:
                    raise Conflict(f"snapshot {stored.snapshot.name} is not to be deleted")
                return await self._tried(one, stored, plugin.delete_snapshot(stored.snapshot.data, secrets))
            volume = _volume(stored)
            if not system_of(volume).removing or not volume.data or stored.nodes or system_of(volume).given:
                raise Conflict(f"volume {volume.name} is not to be deleted")
            return await self._tried(one, stored, plugin.delete_volume(volume.data, secrets))

    async def _grow(self, request: GrowStored, _: Principal) -> CallDone:
        async with self._controllers.turn(request.volume):
            stored = await self._read(request.volume, request.created_index)
            volume = _volume(stored)
            part = system_of(volume)
            if part.grow_to != request.size_bytes or not volume.data:
                raise Conflict(f"volume {volume.name} is not to grow to {request.size_bytes} bytes")
            one, plugin = self._controllers.controller(volume.driver)
            if ControllerFeature.EXPAND_VOLUME not in (one.state.controller or frozenset()):
                if NodeFeature.EXPAND_VOLUME in (one.state.node or frozenset()):
                    return CallDone(node_grows=True)  # its nodes do all of it
                return _cannot(volume.driver, "grow volumes")
            features = one.state.features
            if PluginFeature.OFFLINE in features and PluginFeature.ONLINE not in features and stored.nodes:
                why = (
                    f"{volume.driver} grows volume {volume.name} only while no node has it, and {stored.nodes[0]}"
                    " has: stop the tasks that use it"
                )
                return CallDone(failed=why, kind=FailureKind.IN_USE.value)
            return await self._tried(one, stored, _expand(plugin, stored, volume))

    # --- for all of them ----------------------------------------------------------------------------------

    async def _read(self, key: str, created_index: int) -> StoredFacts:
        return await self._forward.ask(AskStored(key, created_index, Read(timeout_s=READ_S)))

    async def _tried(self, one: OnePlugin, stored: StoredFacts, call: Awaitable[CallDone | None]) -> CallDone:
        try:
            return await call or CallDone()
        except CsiFailed as error:
            return self._controllers.failed(one, error, stored.secrets.values())


# --- the calls -----------------------------------------------------------------------------------------------


async def _create(plugin: CsiPlugin, stored: StoredFacts, volume: Volume, *, placed: bool) -> CallDone:
    part = system_of(volume)
    source = None
    if part.source_snapshot:
        source = Source(snapshot=part.source_snapshot)
    elif part.source_volume:
        source = Source(volume=part.source_volume)
    required = tuple(dict(each) for each in stored.required) if placed else ()
    new = NewVolume(
        f"orion-{stored.cluster:016x}-{volume.name}-{volume.created_index}",
        SizeRange(part.size_bytes, part.limit_bytes),
        (access(volume),),
        dict(part.parameters),
        source,
        required,
        required,
    )
    made = await plugin.create_volume(new, stored.secrets.values())
    return CallDone(
        id=made.id,
        size_bytes=made.size_bytes,
        context=tuple(sorted(made.context.items())),
        topologies=tuple(tuple(sorted(each.items())) for each in made.topologies),
    )


async def _look(plugin: CsiPlugin, stored: StoredFacts, volume: Volume) -> CallDone:
    """Has the plugin say whether one that was there before can be had so."""
    part = system_of(volume)
    told = await plugin.validate(
        part.given, (access(volume),), parameters=dict(part.parameters), secrets=stored.secrets.values()
    )
    if not told.confirmed:
        words = told.message or "it does not say why"
        return CallDone(
            failed=f"{volume.driver} can't give its volume {part.given} as {access_of(volume).value}: {words}",
            kind=FailureKind.FINAL.value,
            never=True,
        )
    return CallDone(id=part.given)


async def _expand(plugin: CsiPlugin, stored: StoredFacts, volume: Volume) -> CallDone:
    part = system_of(volume)
    size = SizeRange(part.grow_to, part.limit_bytes)
    grown = await plugin.expand_volume(volume.data, size, access(volume), stored.secrets.values())
    return CallDone(size_bytes=grown.size_bytes, node_grows=grown.node_too)


async def _take(plugin: CsiPlugin, stored: StoredFacts, snapshot: VolumeSnapshot) -> CallDone:
    name = f"orion-{stored.cluster:016x}-{snapshot.name}-{snapshot.created_index}"
    taken = await plugin.create_snapshot(snapshot.source, name, secrets=stored.secrets.values())
    return CallDone(id=taken.id, size_bytes=taken.size_bytes, taken_ms=taken.created_ms, ready=taken.ready)


def _driver(stored: StoredFacts) -> str:
    return stored.snapshot.driver if stored.snapshot is not None else _volume(stored).driver


def _volume(stored: StoredFacts) -> Volume:
    if stored.volume is None:
        raise Conflict(f"that is a snapshot, whose key begins with {SNAPSHOT}")
    return stored.volume


def _cannot(driver: str, what: str) -> CallDone:
    return CallDone(failed=f"plugin {driver} can't {what}", kind=FailureKind.UNIMPLEMENTED.value, never=True)
