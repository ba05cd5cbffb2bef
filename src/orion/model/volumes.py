"""Volumes: data that outlives the tasks that use it, and what a task asks of them."""

import enum
import re

import msgspec

from orion.model.ids import NodeId
from orion.model.levels import since
from orion.model.storage import SystemPart
from orion.model.times import time_of_day

MAX_VOLUMES = 10_000  # of a cluster
MAX_OF_TASK = 64  # volumes and paths of its node that one task has
MAX_PATH = 1_024
MAX_LABELS = 64
MAX_TEXT = 256  # characters of a label or an option, its name too

# As Docker's names, one letter too. A slot's number may follow, of a volume that each slot has one of.
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
VOLUME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,70}$"  # of a slot's, too


@since(2)
class VolumeKind(enum.StrEnum):
    HOST = "host"  # a directory of one node
    CSI = "csi"  # a storage system's, by its driver


@since(2)
class VolumeMount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The volume `name`, or the path `source` of its node, as `target` in a container; the other is empty.

    `per_slot`: each slot has a volume of its own, with its number behind the name. `no_copy`: a new volume does not
    begin with what the image has at `target`. `subpath`: a directory of the volume in the place of all of it.
    `shared`: mounts that the container makes below a path are its node's too (rshared).
    """

    target: str
    name: str = ""
    source: str = ""
    read_only: bool = False
    per_slot: bool = False
    no_copy: bool = False
    subpath: str = ""
    shared: bool = False

    def volume_of(self, index: int) -> str:
        """The volume that a slot has of it."""
        return f"{self.name}-{index}" if self.per_slot else self.name


@since(2, words="volumes")
class Volume(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A volume. `home` is the node that has it, "" before its first task is placed and where any node may have it.

    `data` names the data that it has, "" before its node has made it: until then nothing of it can be lost, and
    another node may have it. `created_index` tells it from a former volume of its name. `base` and `slot`: of one
    that was made for a slot, -1 for any other. Times are wall clock, for people. `moving_to`: the node that its
    data goes to, in the move that the log entry `move` began; with
    `restores` data comes there from a backup. Of a storage system's, `driver` is its plugin, `system` its part, and
    `home` the node of its last task.
    """

    name: str
    kind: VolumeKind = VolumeKind.HOST
    home: NodeId = NodeId("")
    data: str = ""
    created_index: int = 0
    created_at_ms: int = 0
    used_at_ms: int = 0
    base: str = ""
    slot: int = -1
    labels: tuple[tuple[str, str], ...] = ()  # sorted
    driver: str = ""
    system: SystemPart | None = None
    moving_to: NodeId = NodeId("")
    move: int = 0
    restores: bool = False

    @property
    def next_data(self) -> str:
        """The name of its data once it has moved."""
        return f"{self.data.partition('.')[0] or 'restored'}.{self.move}"

    @property
    def key(self) -> str:
        """The name under which a node keeps it: of former volumes of this name nothing is taken for its data."""
        return f"{self.name}.{self.created_index}"


@since(2)
class VolumeGap(enum.StrEnum):
    """Why a task does not run where its volume is."""

    DOWN = "down"
    AWAY = "away"  # stopped on purpose
    DRAINING = "draining"
    ENGINE = "engine"  # no container engine answers there
    GONE = "gone"  # no node of the cluster any more
    RULES = "rules"  # labels or constraints of the task exclude the node
    ROOM = "room"  # the node has no room for it
    APART = "apart"  # another volume of the task is elsewhere
    MOVING = "moving"
    MOST = "most"  # there are as many volumes as there can be
    MAKING = "making"  # its storage system has not made it yet
    REMOVING = "removing"
    PLUGIN = "plugin"  # no node that has room has its plugin, in a place from where it is reached


@since(2)
class VolumeWait(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The volume that a task waits for, its node, and since when that is as it is; 0: not known. `other` and
    `other_node`: the volume that is elsewhere, or the node that this one's data goes to.
    """

    volume: str
    node: NodeId
    gap: VolumeGap
    since_ms: int = 0
    other: str = ""
    other_node: NodeId = NodeId("")

    @property
    def news(self) -> tuple[object, ...]:
        """Equal for waits that are the same to a person."""
        return self.volume, self.node, self.gap, self.other, self.other_node


def is_volume_name(name: str) -> bool:
    return re.fullmatch(VOLUME_PATTERN, name) is not None


_WHICH = {
    VolumeGap.DOWN: ", which is down",
    VolumeGap.AWAY: ", which was stopped on purpose",
    VolumeGap.DRAINING: ", which is draining",
    VolumeGap.ENGINE: ", where no container engine answers",
    VolumeGap.GONE: ", which is no node of this cluster any more",
    VolumeGap.RULES: ", which the task's own rules exclude",
    VolumeGap.ROOM: "",
}


def volume_wait_text(wait: VolumeWait, there: str = "") -> str:
    """As in: its volume data is on node2, which is down since 14:02:11 UTC. `there`: what that node lacks."""
    if wait.gap is VolumeGap.MOST:
        return f"there are {MAX_VOLUMES:,} volumes, the most there can be: 'orion volume prune' removes unused ones"
    what = f"its volume {wait.volume}"
    if wait.gap is VolumeGap.MAKING:
        return f"{what} is being made: 'orion volume inspect {wait.volume}' says how far that is"
    if wait.gap is VolumeGap.REMOVING:
        return f"{what} is being removed: make another one, of another name"
    if wait.gap is VolumeGap.PLUGIN:
        return f"{what} is of storage plugin {wait.other}, which works on no node that it may be on and has room"
    if wait.gap is VolumeGap.MOVING and wait.node == wait.other_node:
        return f"{what} is being restored on {wait.node}"
    if wait.gap is VolumeGap.MOVING:
        return f"{what} is being moved from {wait.node} to {wait.other_node}"
    if wait.gap is VolumeGap.APART:
        return (
            f"{what} is on {wait.node} and its volume {wait.other} on {wait.other_node}: move one of them with"
            " 'orion volume move', or stop the tasks that have it there if it is a storage plugin's"
        )
    since_when = f" since {time_of_day(wait.since_ms)}" if wait.since_ms else ""
    more = f"; {there}" if there and wait.gap is VolumeGap.ROOM else ""
    return f"{what} is on {wait.node}{_WHICH[wait.gap]}{since_when}{more}"


def mounts_fault(mounts: tuple[VolumeMount, ...]) -> str:
    """Says what no client's request has, "" where nothing is wrong."""
    if len(mounts) > MAX_OF_TASK:
        return f"a task has {len(mounts)} volumes"
    for each in mounts:
        if bool(each.name) == bool(each.source):
            return "a volume has a name or a source, not both"
        if each.name and not re.fullmatch(NAME, each.name):
            return "that is no volume's name"
        if any(len(path) > MAX_PATH or "\0" in path for path in (each.target, each.source, each.subpath)):
            return "a path of a volume is too long, or no path"
        if not each.target.startswith("/") or (each.source and not each.source.startswith("/")):
            return "a path of a volume does not begin at the root"
        if each.subpath.startswith("/") or ".." in each.subpath.split("/"):
            return "the subpath of a volume leads out of it"
    return ""
