"""The Csi port: one plugin of the Container Storage Interface 1.x, asked by its socket."""

from collections.abc import Sequence
from typing import Protocol

from orion.model.csi import (
    Access,
    Capacity,
    Confirmation,
    Context,
    ControllerFeature,
    Expansion,
    FailureKind,
    NewVolume,
    NodeFeature,
    NodeInfo,
    Page,
    PluginFeature,
    PluginInfo,
    SizeRange,
    Snapshot,
    SnapshotPage,
    Topology,
    Volume,
    VolumeStats,
    VolumeStatus,
)
from orion.model.errors import OrionError
from orion.model.secret_values import NO_SECRETS, SecretValues


class CsiFailed(OrionError):
    """A call to a plugin failed. `detail` says which plugin, which call, about which volume, in the plugin's words,
    and what to do. `kind` says what it means for the caller.
    """

    status = 502
    title = "The storage plugin failed"
    code = "csi"

    def __init__(self, detail: str, kind: FailureKind = FailureKind.RETRY) -> None:
        super().__init__(detail)
        self.kind = kind


class CsiIdentity(Protocol):
    """Each call of these Protocols returns, or raises CsiFailed, before a deadline. A call that failed may have
    done its work all the same; the same one again is safe.
    """

    async def info(self) -> PluginInfo: ...

    async def features(self) -> frozenset[PluginFeature]: ...

    async def probe(self) -> bool:
        """Returns whether the plugin is ready. One that says nothing about it is."""


class CsiController(Protocol):
    async def controller_features(self) -> frozenset[ControllerFeature]: ...

    async def create_volume(self, new: NewVolume, secrets: SecretValues = NO_SECRETS) -> Volume: ...

    async def delete_volume(self, volume: str, secrets: SecretValues = NO_SECRETS) -> None:
        """A volume that is not there is deleted."""

    async def publish_to_node(
        self,
        volume: str,
        node: str,
        access: Access,
        *,
        readonly: bool = False,
        context: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> Context:
        """Returns the context that the node's calls need. `node` is the plugin's name for it."""

    async def unpublish_from_node(self, volume: str, node: str, secrets: SecretValues = NO_SECRETS) -> None: ...

    async def validate(
        self,
        volume: str,
        access: Sequence[Access],
        *,
        context: Context | None = None,
        parameters: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> Confirmation: ...

    async def volumes(self, *, most: int = 0, token: str = "") -> Page: ...

    async def volume(self, volume: str) -> VolumeStatus: ...

    async def capacity(
        self,
        access: Sequence[Access] = (),
        *,
        parameters: Context | None = None,
        topology: Topology | None = None,
    ) -> Capacity: ...

    async def expand_volume(
        self, volume: str, size: SizeRange, access: Access | None = None, secrets: SecretValues = NO_SECRETS
    ) -> Expansion: ...

    async def modify_volume(self, volume: str, parameters: Context, secrets: SecretValues = NO_SECRETS) -> None: ...

    async def create_snapshot(
        self,
        volume: str,
        name: str,
        *,
        parameters: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> Snapshot: ...

    async def delete_snapshot(self, snapshot: str, secrets: SecretValues = NO_SECRETS) -> None: ...

    async def snapshots(
        self,
        *,
        volume: str = "",
        snapshot: str = "",
        most: int = 0,
        token: str = "",
        secrets: SecretValues = NO_SECRETS,
    ) -> SnapshotPage: ...


class CsiNode(Protocol):
    """`staging` is a directory of the volume on this node, `target` the path of one task's view of it."""

    async def node_features(self) -> frozenset[NodeFeature]: ...

    async def node_info(self) -> NodeInfo: ...

    async def stage(
        self,
        volume: str,
        staging: str,
        access: Access,
        *,
        published: Context | None = None,
        context: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> None: ...

    async def unstage(self, volume: str, staging: str) -> None: ...

    async def publish(
        self,
        volume: str,
        target: str,
        access: Access,
        *,
        staging: str = "",
        readonly: bool = False,
        published: Context | None = None,
        context: Context | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> None: ...

    async def unpublish(self, volume: str, target: str) -> None: ...

    async def stats(self, volume: str, path: str, *, staging: str = "") -> VolumeStats: ...

    async def expand(
        self,
        volume: str,
        path: str,
        size: SizeRange,
        *,
        staging: str = "",
        access: Access | None = None,
        secrets: SecretValues = NO_SECRETS,
    ) -> int:
        """Returns the size in bytes, 0 where the plugin does not say."""


class CsiPlugin(CsiIdentity, CsiController, CsiNode, Protocol):
    """`socket` is the path where it is found."""

    socket: str

    async def close(self) -> None:
        """Ends the connection for good: calls fail from then on."""


class CsiPlugins(Protocol):
    async def open(self, socket: str) -> CsiPlugin:
        """Returns the plugin at this path, whether somebody answers there or not. The first call loads what gRPC
        needs.
        """
