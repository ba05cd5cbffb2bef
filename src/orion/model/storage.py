"""Storage systems as the cluster knows them: a volume's part in one, and which nodes have its plugin."""

import enum

import msgspec

from orion.model.csi import MAX_BYTES, MAX_CONTEXT_BYTES, MAX_ID_BYTES, AccessMode, is_plugin_name
from orion.model.levels import since

MAX_PLUGINS_OF_NODE = 32
MAX_PAIRS = 64
MAX_KNOWN_AS_BYTES = 1_024
MAX_VERSION = 128  # characters
MAX_TOPOLOGIES = 256
MAX_FLAGS = 64
MAX_FLAG = 256  # characters of a mount flag, or of a file system's name

Pairs = tuple[tuple[str, str], ...]  # sorted


@since(2)
class NodePlugin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A storage plugin that works on a node. `known_as`: the node, as the plugin calls it; "" without a node part.
    `max_volumes` 0: no limit is set. `topology`: the places of which the node is one.
    """

    name: str
    version: str = ""
    controller: bool = False
    node: bool = False
    known_as: str = ""
    max_volumes: int = 0
    topology: Pairs = ()


@since(2)
class SystemPart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A storage system's part of a volume, whose `driver` is the plugin and whose `data` the plugin's id for it.

    `size_bytes` and `limit_bytes` were asked for, 0 is no bound; `has_bytes`: what the plugin says that it has, 0
    while it does not. `block`: a device and no file system. `source_volume`, `source_snapshot`: the plugin's ids of
    what it begins with. `secrets`: so many go with calls about it. `context` and `topologies` are the plugin's:
    what its nodes need to know, and from where it can be reached, anywhere if there are none. `node_grows`: nodes
    that have it have to grow their part. `removing`: it is being deleted there. `why`: the last failure of its
    controller, in words. `given`: the plugin's id of one that was there before, which Orion never deletes.
    `source`: what it begins with, as it was asked for: volume:NAME or snapshot:NAME. `asked`: a call to make it was
    made, or may have been. `grow_to`: the size that it is to have, 0 for that which it has. `refused`: as it is its
    plugin never makes it. `asked_at`: the log index at which somebody asked for it last, 0 for once.
    """

    access: AccessMode = AccessMode.SINGLE_NODE_WRITER
    size_bytes: int = 0
    limit_bytes: int = 0
    has_bytes: int = 0
    block: bool = False
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    parameters: Pairs = ()
    source_volume: str = ""
    source_snapshot: str = ""
    secrets: int = 0
    context: Pairs = ()
    topologies: tuple[Pairs, ...] = ()
    node_grows: bool = False
    removing: bool = False
    why: str = ""
    given: str = ""
    source: str = ""
    asked: bool = False
    grow_to: int = 0
    refused: bool = False
    asked_at: int = 0

    def reached_by(self, plugin: NodePlugin | None) -> bool:
        """Returns whether a node with this plugin of its driver, None for none, can have it (CSI,
        TopologyRequirement).
        """
        if plugin is None or not plugin.node:
            return False
        mine = set(plugin.topology)
        return not self.topologies or any(mine.issuperset(each) for each in self.topologies)


class StorageState(enum.StrEnum):
    """How far a storage system's volume is, or a snapshot there."""

    MAKING = "making"
    READY = "ready"
    GROWING = "growing"
    REMOVING = "removing"


def state_of(part: SystemPart, data: str) -> StorageState:
    if part.removing:
        return StorageState.REMOVING
    if not data:
        return StorageState.MAKING
    return StorageState.GROWING if part.grow_to else StorageState.READY


def is_settled(part: SystemPart, data: str) -> bool:
    """Returns whether nothing is to be done for a volume."""
    return state_of(part, data) is StorageState.READY


def pairs_fault(what: str, pairs: Pairs) -> str:
    """Says how these are more than a plugin may say, "" where they are not."""
    if len(pairs) > MAX_PAIRS or sum(len(text.encode()) for pair in pairs for text in pair) > MAX_CONTEXT_BYTES:
        return f"{what} is more than {MAX_PAIRS} pairs or {MAX_CONTEXT_BYTES:,} bytes"
    return ""


def plugins_fault(plugins: tuple[NodePlugin, ...]) -> str:
    if len(plugins) > MAX_PLUGINS_OF_NODE or len({each.name for each in plugins}) != len(plugins):
        return f"a node has at most {MAX_PLUGINS_OF_NODE} storage plugins, each once"
    for each in plugins:
        if not is_plugin_name(each.name):
            return "that is no storage plugin's name"
        if len(each.version) > MAX_VERSION or len(each.known_as.encode()) > MAX_KNOWN_AS_BYTES:
            return f"what plugin {each.name} says of itself is too long"
        if not 0 <= each.max_volumes < 1 << 63:
            return f"plugin {each.name} takes {each.max_volumes} volumes"
        if fault := pairs_fault(f"the topology of plugin {each.name}", each.topology):
            return fault
    return ""


def part_fault(part: SystemPart) -> str:
    """Says how a part is more than anybody may ask for, "" where it is not."""
    sizes = (part.size_bytes, part.limit_bytes, part.has_bytes, part.grow_to)
    if not all(0 <= size <= MAX_BYTES for size in sizes):
        return "the size of a volume is no number of bytes"
    if len(part.mount_flags) > MAX_FLAGS or any(len(each) > MAX_FLAG for each in (*part.mount_flags, part.fs_type)):
        return f"a volume has at most {MAX_FLAGS} mount flags of {MAX_FLAG} characters"
    if any(len(each.encode()) > MAX_ID_BYTES for each in (part.given, part.source_volume, part.source_snapshot)):
        return "a plugin's id of a volume is too long"
    if len(part.topologies) > MAX_TOPOLOGIES:
        return f"a volume is in at most {MAX_TOPOLOGIES} places"
    places = (pairs_fault("a place of a volume", each) for each in part.topologies)
    return next(
        filter(
            None,
            (
                pairs_fault("the parameters of a volume", part.parameters),
                pairs_fault("the context of a volume", part.context),
                *places,
            ),
        ),
        "",
    )
