"""Snapshots of volumes that a storage system keeps."""

import msgspec

from orion.model.levels import since
from orion.model.volumes import is_volume_name

SNAPSHOT = "snapshot/"  # before the name of one, in keys that are of volumes too
MAX_SNAPSHOTS = 10_000  # of a cluster


@since(2, words="snapshots of volumes")
class VolumeSnapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The content of a volume at one moment. `driver` keeps it, under the id `data`, "" until it has said so.

    `created_index` tells it from a former one of its name. `volume` is the one it is of, by the name that it had,
    and `source` the plugin's id of that. `taken_ms` is the plugin's clock; `ready`: volumes can begin with it.
    `secrets`: so many go with calls about it. `asked`: a call to make it was made, or may have been. `removing`: it
    is being deleted there. `why`: the last failure, in words. `refused`: as it is its plugin never takes it.
    """

    name: str
    volume: str
    driver: str
    source: str
    created_index: int
    created_at_ms: int = 0
    data: str = ""
    size_bytes: int = 0
    taken_ms: int = 0
    ready: bool = False
    secrets: int = 0
    asked: bool = False
    removing: bool = False
    why: str = ""
    refused: bool = False

    @property
    def settled(self) -> bool:
        """Nothing is to be done for it."""
        return self.ready and not self.removing


def is_key(text: str) -> bool:
    """A volume's name, or a snapshot's behind SNAPSHOT."""
    return is_volume_name(text.removeprefix(SNAPSHOT))
