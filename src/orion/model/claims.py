"""A claim: the right of one node to a volume of a storage system, on its way in and out.

A volume of one writer is one node's at a time. Each step is an entry of the log, so whoever leads next goes on
where the last one was.
"""

import enum

import msgspec

from orion.model.csi import AccessMode
from orion.model.ids import NodeId
from orion.model.levels import since
from orion.model.volumes import Volume

MAX_CLAIMS = 50_000  # of a cluster
MAX_CONTEXT_PAIRS = 64
MAX_WHY = 500  # characters

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


def only_reads(mode: AccessMode) -> bool:
    return mode in _READERS
