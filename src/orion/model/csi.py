"""Volumes of plugins (Container Storage Interface 1.x) in Orion's own terms, as values."""

import enum
import re

import msgspec

from orion.model.levels import since

# CSI sets 128 bytes for texts, 256 for a node's id and 4 KiB for maps. Plugins in use have longer ids, so more is
# believed than the specification allows; all of it is bounded.
MAX_ID_BYTES = 1024
MAX_CONTEXT_BYTES = 16 << 10
MAX_NAME_BYTES = 128
MAX_TOPOLOGIES = 256
MAX_ENTRIES = 10_000  # of one page of a list
MAX_BYTES = (1 << 63) - 1

# The specification's notation of domain names, at most 63 characters.
PLUGIN_PATTERN = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?"
_PLUGIN = re.compile(PLUGIN_PATTERN)

Context = dict[str, str]
Topology = dict[str, str]  # domain -> segment, as {"dir.csi.orion.dev/node": "node1"}


@since(2)
class AccessMode(enum.Enum):
    """Who may use a volume at a time. The last two are for plugins that say SINGLE_NODE_MULTI_WRITER."""

    SINGLE_NODE_WRITER = "single-node-writer"
    SINGLE_NODE_READER_ONLY = "single-node-reader-only"
    MULTI_NODE_READER_ONLY = "multi-node-reader-only"
    MULTI_NODE_SINGLE_WRITER = "multi-node-single-writer"
    MULTI_NODE_MULTI_WRITER = "multi-node-multi-writer"
    SINGLE_NODE_SINGLE_WRITER = "single-node-single-writer"
    SINGLE_NODE_MULTI_WRITER = "single-node-multi-writer"

    @property
    def one_node(self) -> bool:
        return self.name.startswith("SINGLE_NODE")


class Access(msgspec.Struct, frozen=True):
    """How a volume is used: as a block device, or mounted as a file system. `fs_type` "": the plugin's choice.
    `group`: the group that owns the files, for plugins that say VOLUME_MOUNT_GROUP.
    """

    mode: AccessMode = AccessMode.SINGLE_NODE_WRITER
    block: bool = False
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    group: str = ""


class ControllerFeature(enum.Enum):
    CREATE_DELETE_VOLUME = "create-delete-volume"
    PUBLISH_UNPUBLISH_VOLUME = "publish-unpublish-volume"
    LIST_VOLUMES = "list-volumes"
    GET_CAPACITY = "get-capacity"
    CREATE_DELETE_SNAPSHOT = "create-delete-snapshot"
    LIST_SNAPSHOTS = "list-snapshots"
    CLONE_VOLUME = "clone-volume"
    PUBLISH_READONLY = "publish-readonly"
    EXPAND_VOLUME = "expand-volume"
    LIST_VOLUMES_PUBLISHED_NODES = "list-volumes-published-nodes"
    VOLUME_CONDITION = "volume-condition"
    GET_VOLUME = "get-volume"
    SINGLE_NODE_MULTI_WRITER = "single-node-multi-writer"
    MODIFY_VOLUME = "modify-volume"
    GET_SNAPSHOT = "get-snapshot"


class NodeFeature(enum.Enum):
    STAGE_UNSTAGE_VOLUME = "stage-unstage-volume"
    GET_VOLUME_STATS = "get-volume-stats"
    EXPAND_VOLUME = "expand-volume"
    VOLUME_CONDITION = "volume-condition"
    SINGLE_NODE_MULTI_WRITER = "single-node-multi-writer"
    VOLUME_MOUNT_GROUP = "volume-mount-group"


class PluginFeature(enum.Enum):
    """`ONLINE` and `OFFLINE`: a volume grows while it is published to a node, or only while it is not."""

    CONTROLLER = "controller"
    TOPOLOGY = "topology"
    ONLINE = "online-expansion"
    OFFLINE = "offline-expansion"


class PluginInfo(msgspec.Struct, frozen=True):
    """`name` is in the notation of domain names, as dir.csi.orion.dev."""

    name: str
    version: str
    manifest: Context = {}


class NodeInfo(msgspec.Struct, frozen=True):
    """This node as the plugin calls it, which need not be as Orion does. `max_volumes` 0: no limit is set."""

    node_id: str
    max_volumes: int = 0
    topology: Topology = {}


class Source(msgspec.Struct, frozen=True):
    """The content that a new volume begins with: that of a snapshot, or of another volume. One of them is set."""

    snapshot: str = ""
    volume: str = ""


class Volume(msgspec.Struct, frozen=True):
    """`size_bytes` 0: not known. `topologies`: where it can be reached, anywhere if there are none."""

    id: str
    size_bytes: int = 0
    context: Context = {}
    source: Source | None = None
    topologies: tuple[Topology, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    abnormal: bool
    message: str = ""


class VolumeStatus(msgspec.Struct, frozen=True):
    """A volume as its plugin has it. `nodes`: where it is published, by the plugin's names for nodes."""

    volume: Volume
    nodes: tuple[str, ...] = ()
    condition: Condition | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """`ready`: a volume can begin with it. `created_ms` is the plugin's clock."""

    id: str
    volume: str
    size_bytes: int = 0
    created_ms: int = 0
    ready: bool = False


class Capacity(msgspec.Struct, frozen=True):
    """Bytes that are there for new volumes; of one volume the most and the least, 0 where that is not said."""

    available_bytes: int
    max_bytes: int = 0
    min_bytes: int = 0


class Confirmation(msgspec.Struct, frozen=True):
    """`confirmed`: the plugin has said that the volume can be used so, in terms that name everything that was
    asked.
    """

    confirmed: bool
    message: str = ""


class Expansion(msgspec.Struct, frozen=True):
    """`node_too`: each node that has the volume must call NodeExpandVolume."""

    size_bytes: int
    node_too: bool = False


class Usage(msgspec.Struct, frozen=True):
    """`unit` is "bytes" or "inodes"."""

    unit: str
    total: int = 0
    used: int = 0
    available: int = 0


class VolumeStats(msgspec.Struct, frozen=True):
    usage: tuple[Usage, ...] = ()
    condition: Condition | None = None


class Page(msgspec.Struct, frozen=True):
    """Part of a list of volumes. `next_token` "": it is the last one."""

    volumes: tuple[VolumeStatus, ...] = ()
    next_token: str = ""


class SnapshotPage(msgspec.Struct, frozen=True):
    snapshots: tuple[Snapshot, ...] = ()
    next_token: str = ""


class SizeRange(msgspec.Struct, frozen=True):
    """0 is no bound."""

    required_bytes: int = 0
    limit_bytes: int = 0


class NewVolume(msgspec.Struct, frozen=True):
    """A volume that is to be made, under a name by which a retry finds the first one. `required`: it must be
    reached from one of these places; `preferred`: better from the first of these.
    """

    name: str
    size: SizeRange
    access: tuple[Access, ...]
    parameters: Context = {}
    source: Source | None = None
    required: tuple[Topology, ...] = ()
    preferred: tuple[Topology, ...] = ()


class FailureKind(enum.Enum):
    """The meaning of a failed call to who made it."""

    FINAL = "final"  # as it stands it never succeeds
    RETRY = "retry"  # it may succeed later; part of the work may be done
    PENDING = "pending"  # another call about the same volume is under way in the plugin
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"  # there is one of that name, and it differs
    IN_USE = "in-use"
    OUT_OF_RANGE = "out-of-range"  # a size that can't be had
    EXHAUSTED = "exhausted"  # no room left, or too many volumes on a node
    DENIED = "denied"
    UNIMPLEMENTED = "unimplemented"
    LIE = "lie"  # an answer that can't be true


# The same call again fails again, until the plugin or what is asked is another one.
NEVER = frozenset({FailureKind.FINAL, FailureKind.CONFLICT, FailureKind.OUT_OF_RANGE, FailureKind.UNIMPLEMENTED})


def is_plugin_name(name: str) -> bool:
    return _PLUGIN.fullmatch(name) is not None
