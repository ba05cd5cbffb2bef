"""A claim: the right of one node to a volume of a storage system, on its way in and out.

A volume of one writer is one node's at a time. Each step is an entry of the log, so whoever leads next goes on
where the last one was.
"""

import enum
from collections.abc import Mapping

import msgspec

from orion.model.csi import AccessMode
from orion.model.ids import NodeId
from orion.model.job import TaskSpec
from orion.model.levels import since
from orion.model.volumes import Volume

MAX_CLAIMS = 50_000  # of a cluster
MAX_CONTEXT_PAIRS = 64
MAX_WHY = 500  # characters
MIN_STOP_AFTER_MS = 3_000  # less is over before a node knows that an election is all there is
MAX_STOP_AFTER_MS = 86_400_000
STOP_AFTER_MS = 10_000  # of a task that alone writes to a volume, if it says nothing else
# The time between a task's last moment, by its own node's clock, and the first one at which another node may have
# its volume: for the signal to end, and for the clocks of two machines.
SLACK_MS = 5_000

_READERS = (AccessMode.SINGLE_NODE_READER_ONLY, AccessMode.MULTI_NODE_READER_ONLY)


@since(2)
class ClaimPhase(enum.StrEnum):
    """`PUBLISHING` and `UNPUBLISHING`: the controller is asked, and may have done it already. `RELEASING`: nobody
    on the node needs the volume any more, and the node takes it away.
    """

    PUBLISHING = "publishing"
    PUBLISHED = "published"
    RELEASING = "releasing"
    UNPUBLISHING = "unpublishing"


# From each phase to those that may follow; None: the claim is over. Only PUBLISHING begins one.
NEXT: dict[ClaimPhase, tuple[ClaimPhase | None, ...]] = {
    ClaimPhase.PUBLISHING: (ClaimPhase.PUBLISHED, ClaimPhase.UNPUBLISHING),
    ClaimPhase.PUBLISHED: (ClaimPhase.RELEASING,),
    ClaimPhase.RELEASING: (ClaimPhase.PUBLISHED, ClaimPhase.UNPUBLISHING),
    ClaimPhase.UNPUBLISHING: (None,),
}


@since(2, words="claims of volumes")
class Claim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`created_index` tells the volume from a former one of its name. `as_of`: the log index of its last step, by
    which the next one says what it is about. `stop_after_ms`: how long after it has lost the cluster a node ends
    the tasks with this volume, 0 for never. `context`: what the controller gave for the node. `why`: its last
    failure, in words. `since_ms` is wall clock, for people. `known_as`: the node, as the plugin calls it.
    """

    volume: str
    node: NodeId
    created_index: int
    phase: ClaimPhase
    as_of: int
    since_ms: int = 0
    read_only: bool = False
    stop_after_ms: int = 0
    context: tuple[tuple[str, str], ...] = ()  # sorted
    why: str = ""
    known_as: str = ""

    @property
    def key(self) -> tuple[str, NodeId]:
        return self.volume, self.node


def access_of(volume: Volume) -> AccessMode:
    return volume.system.access if volume.system is not None else AccessMode.SINGLE_NODE_WRITER


def excludes(mode: AccessMode, *, read_only: bool, other_read_only: bool) -> bool:
    """Returns whether one node's claim keeps another's from beginning."""
    if mode.one_node:
        return True
    return mode is AccessMode.MULTI_NODE_SINGLE_WRITER and not (read_only or other_read_only)


@since(2)
class ClaimedVolume(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node's claim, and the volume that it is to."""

    claim: Claim
    volume: Volume


def stop_after_ms(spec: TaskSpec, index: int, volumes: Mapping[str, Volume]) -> int:
    """Returns how long a slot's task goes on once its node has lost the cluster, 0 for as long as it likes. Whoever
    alone writes to a volume of a storage system does not: another node has it then. `volumes`: by name; those that
    are not there are no such volumes.
    """
    if spec.stop_after_disconnect_ms is not None:
        return spec.stop_after_disconnect_ms
    for name in spec.volume_names(index):
        row = volumes.get(name)
        if row is None or row.system is None or not spec.writes_volume(name, index):
            continue
        if excludes(row.system.access, read_only=False, other_read_only=False):
            return STOP_AFTER_MS
    return 0


def counts_readers(mode: AccessMode) -> bool:
    """Returns whether a claim is read-only where all tasks only read. Elsewhere it would let nobody else in, and
    keep a task that writes from a node whose readers stay.
    """
    return mode is AccessMode.MULTI_NODE_SINGLE_WRITER or only_reads(mode)


def only_reads(mode: AccessMode) -> bool:
    return mode in _READERS
