"""Volumes and snapshots of storage systems, as the API and nodes that make calls about them ask for them."""

from itertools import islice

from orion.model.api.storage import LOCAL, NewVolumeRequest, VolumeSnapshotView, of_no_plugin
from orion.model.api.storage_codec import part_of
from orion.model.api.volumes import VolumeView
from orion.model.errors import FieldError, Invalid, NotFound, shown
from orion.model.secret_values import SecretPairs
from orion.model.storage import MAX_TOPOLOGIES, Pairs
from orion.model.volume_snapshots import SNAPSHOT
from orion.model.volumes import is_volume_name
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.changes import Changes
from orion.node.routing.forward import Forward
from orion.node.routing.storage_calls import AskSecrets, AskStored, StoredFacts
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest
from orion.node.services.freshness import Freshness
from orion.node.services.plugins import Plugins, not_working
from orion.node.services.volumes import MAX_PAGE, AskVolume, Volumes
from orion.node.views.render_storage import shown_snapshot
from orion.ports.peers import Principal
from orion.state.tables.claims import Claims
from orion.state.tables.storage_volumes import MAX_KNOWN, CreateStorageVolume, ExpandVolume
from orion.state.tables.volume_secrets import VolumeSecrets
from orion.state.tables.volume_snapshots import (
    CreateVolumeSnapshot,
    RemoveVolumeSnapshot,
    VolumeSnapshots,
    unknown_snapshot,
)
from orion.state.tables.volumes import Volumes as Table
from orion.state.view import View


class AskVolumeSnapshots(CallRequest[list[VolumeSnapshotView]], frozen=True, tag=95):
    """Snapshots past the name `after`, by name."""

    after: str
    limit: int
    read: Read

    def fault(self) -> str:
        if not 1 <= self.limit <= MAX_PAGE:
            return f"{self.limit} snapshots at a time; at most {MAX_PAGE} are given"
        return "" if not self.after or is_volume_name(self.after) else "that is no snapshot's name"


class AskVolumeSnapshot(CallRequest[VolumeSnapshotView], frozen=True, tag=96):
    """One of them. NotFound when there is none of that name."""

    name: str
    read: Read

    def fault(self) -> str:
        return "" if is_volume_name(self.name) else "that is no snapshot's name"


class Storage:
    """Fulfils service.StorageService."""

    def __init__(
        self,
        *,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        changes: Changes,
        freshness: Freshness,
        volumes: Volumes,
        plugins: Plugins,
    ) -> None:
        self._driver = driver
        self._forward = forward
        self._changes = changes
        self._freshness = freshness
        self._volumes = volumes
        self._plugins = plugins
        registry.answer_call(AskSecrets, self._answer_secrets)
        registry.answer_call(AskStored, self._answer_stored)
        registry.answer_call(AskVolumeSnapshots, self._answer_snapshots)
        registry.answer_call(AskVolumeSnapshot, self._answer_snapshot)

    # --- the API asks -------------------------------------------------------------------------------------

    async def create(self, request: NewVolumeRequest, *, idempotency_key: str, timeout_s: float) -> VolumeView:
        if request.driver in ("", LOCAL):
            if field := of_no_plugin(request):
                fault = f"{field} is for a storage plugin: name one as driver; 'orion plugin ls' lists them"
                raise Invalid([FieldError(f"/{field}", fault)])
            return await self._volumes.create(
                request.name, request.labels, idempotency_key=idempotency_key, timeout_s=timeout_s
            )
        part, secrets = part_of(request)
        labels = tuple(sorted(request.labels.items()))
        try:
            await self._changes.make(
                lambda at_ms, key, since: CreateStorageVolume(
                    at_ms, request.name, request.driver, labels, part, secrets, key, since
                ),
                timeout_s,
                idempotency_key=idempotency_key,
            )
        except NotFound as error:
            raise await self._missing(error, request.driver) from None
        return await self._forward.ask(AskVolume(request.name, self._changes.read_after(timeout_s)))

    async def _missing(self, error: NotFound, driver: str) -> NotFound:
        """Returns the error with the places at which the plugin does not work: the state knows those alone that
        do.
        """
        found = await self._plugins.find()
        working = [
            each.name for each in found if any(part.healthy and part.controller is not None for part in each.parts)
        ]
        if driver in working or not (where := not_working(found, driver)):
            return error
        known = f"; there are: {', '.join(working[:MAX_KNOWN])}" if working else ""
        return NotFound(
            f"no node has a storage plugin {shown(driver)} with a controller that works{known}; {where}"
        )

    async def expand(self, name: str, size_bytes: int, *, idempotency_key: str, timeout_s: float) -> VolumeView:
        await self._changes.make(
            lambda at_ms, key, since: ExpandVolume(at_ms, name, size_bytes, key, since),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        return await self._forward.ask(AskVolume(name, self._changes.read_after(timeout_s)))

    async def snapshots(self, after: str, limit: int, read: Read) -> list[VolumeSnapshotView]:
        return await self._forward.ask(AskVolumeSnapshots(after, limit, read))

    async def snapshot(self, name: str, read: Read) -> VolumeSnapshotView:
        return await self._forward.ask(AskVolumeSnapshot(name, read))

    async def take(self, volume: str, name: str, *, idempotency_key: str, timeout_s: float) -> VolumeSnapshotView:
        await self._changes.make(
            lambda at_ms, key, since: CreateVolumeSnapshot(at_ms, name, volume, key, since),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        return await self._forward.ask(AskVolumeSnapshot(name, self._changes.read_after(timeout_s)))

    async def remove_snapshot(self, name: str, *, force: bool, idempotency_key: str, timeout_s: float) -> None:
        await self._changes.make(
            lambda at_ms, key, since: RemoveVolumeSnapshot(at_ms, name, 0, key, since, force),
            timeout_s,
            idempotency_key=idempotency_key,
        )

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_snapshots(self, request: AskVolumeSnapshots, _: Principal) -> list[VolumeSnapshotView]:
        await self._freshness.reached(request.read)
        table = self._driver.view.of(VolumeSnapshots)
        names = islice(table.names_after(request.after), request.limit)
        return [shown_snapshot(table.rows[name]) for name in names]

    async def _answer_snapshot(self, request: AskVolumeSnapshot, _: Principal) -> VolumeSnapshotView:
        await self._freshness.reached(request.read)
        row = self._driver.view.of(VolumeSnapshots).get(request.name)
        if row is None:
            raise unknown_snapshot(request.name)
        return shown_snapshot(row)

    async def _answer_secrets(self, request: AskSecrets, _: Principal) -> SecretPairs:
        await self._freshness.reached(request.read)
        return self._found(request.key, request.created_index).secrets

    async def _answer_stored(self, request: AskStored, _: Principal) -> StoredFacts:
        await self._freshness.reached(request.read)
        return self._found(request.key, request.created_index)

    def _found(self, key: str, created_index: int) -> StoredFacts:
        """Raises NotFound."""
        view = self._driver.view
        secrets = view.of(VolumeSecrets).of(key, created_index)
        if key.startswith(SNAPSHOT):
            snapshot = view.of(VolumeSnapshots).get(key.removeprefix(SNAPSHOT))
            if snapshot is not None and snapshot.created_index == created_index:
                return StoredFacts(view.cluster, snapshot=snapshot, secrets=secrets)
        volume = view.of(Table).get(key)
        if volume is None or volume.created_index != created_index or volume.system is None:
            raise NotFound(f"there is no {key} of a storage system any more, as of {created_index}")
        nodes = tuple(claim.node for claim in view.of(Claims).of_volume(key))
        return StoredFacts(
            view.cluster, volume, secrets=secrets, required=_places(view, volume.driver), nodes=nodes
        )


def _places(view: View, driver: str) -> tuple[Pairs, ...]:
    """The places of all nodes that have its node part, down or not: the same call again says the same."""
    found = {
        plugin.topology
        for node in view.nodes()
        for plugin in node.plugins
        if plugin.name == driver and plugin.node and plugin.topology
    }
    return tuple(sorted(found))[:MAX_TOPOLOGIES]
