"""The data of volumes on this machine, and paths of it that tasks ask for."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import msgspec


class VolumePath(msgspec.Struct, frozen=True):
    """A directory for a container. `empty`: nothing is in it yet."""

    path: str
    empty: bool


class VolumeSize(msgspec.Struct, frozen=True, array_like=True):
    """The disk that it takes. Not `complete`: it has so many files that not all were counted."""

    bytes: int
    files: int
    complete: bool


class VolumeStore(Protocol):
    """Each volume under a key (`Volume.key`), with a name of its data beside it (`Volume.data`). All raise
    EngineError with the machine's words.
    """

    async def data_of(self, key: str) -> str | None:
        """Returns the name of the data that is there; None where there is none, or not all of it."""

    async def make(self, key: str, data: str) -> None:
        """Makes it, empty, and durable when this returns. Refused where something is there."""

    async def path_of(self, key: str, subpath: str) -> VolumePath:
        """Refused where it is not there, is no directory, or `subpath` leads out of the volume."""

    async def below(self, place: str, subpath: str) -> str:
        """Returns the path of a directory of what is mounted at `place`. Refused as in `path_of`."""

    async def has_path(self, path: str) -> bool:
        """Returns whether this machine has it, as whatever it is."""

    async def remove(self, key: str) -> None:
        """With all that is in it. Finding nothing is no error."""

    async def tidy(self) -> None:
        """Removes what a former process left half copied, or half removed."""

    async def size_of(self, key: str) -> VolumeSize: ...

    def pack(self, key: str) -> AsyncGenerator[bytes, None]:
        """All that is in it as a stream, with a digest at its end."""

    async def unpack(self, key: str, data: str, pieces: AsyncIterator[bytes]) -> None:
        """Makes it of such a stream, under this name of its data, and durable when this returns. What was there
        before is gone then. Refused, with nothing changed, where what has come is not what was sent.
        """
