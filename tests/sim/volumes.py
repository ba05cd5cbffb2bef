"""Data of volumes on a simulated machine: it outlives the node's process and a loss of power, not a new disk."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator

from orion.model.errors import EngineError
from orion.ports.volumes import VolumePath, VolumeSize


class VolumeDisk:
    """`data` of each volume by key; `paths` are what else the machine has."""

    def __init__(self) -> None:
        self.data: dict[str, str] = {}
        self.paths: set[str] = {"/srv"}


class SimVolumes:
    """Fulfils ports.VolumeStore, as the process of one run sees it."""

    def __init__(self, rng: random.Random, name: str, disk: VolumeDisk) -> None:
        self._rng = rng
        self._disk = disk
        self._name = name

    async def data_of(self, key: str) -> str | None:
        await self._wait()
        return self._disk.data.get(key)

    async def make(self, key: str, data: str) -> None:
        await self._wait()
        if key in self._disk.data:
            raise EngineError(f"{key} is there already")
        self._disk.data[key] = data
        await self._wait()

    async def path_of(self, key: str, subpath: str) -> VolumePath:
        await self._wait()
        if key not in self._disk.data:
            raise EngineError(f"there is no {key}")
        return VolumePath(f"/{self._name}/{key}/{subpath}", False)

    async def has_path(self, path: str) -> bool:
        await self._wait()
        return path in self._disk.paths

    async def remove(self, key: str) -> None:
        await self._wait()
        self._disk.data.pop(key, None)

    async def tidy(self) -> None:
        await self._wait()

    async def size_of(self, key: str) -> VolumeSize:
        await self._wait()
        return VolumeSize(4_096 * (key in self._disk.data), 0, True)

    async def pack(self, key: str) -> AsyncGenerator[bytes, None]:
        await self._wait()
        if key not in self._disk.data:
            raise EngineError(f"there is no {key}")
        for _ in range(self._rng.randrange(1, 4)):
            yield b"rows"
            await self._wait()
        yield b"end"

    async def unpack(self, key: str, data: str, pieces: AsyncIterator[bytes]) -> None:
        last = b""
        async for piece in pieces:
            last = piece
            await self._wait()
        if last != b"end":
            raise EngineError("it did not come whole")
        self._disk.data[key] = data

    async def _wait(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.0001, 0.005))
