"""What one machine's kernel has mounted of the disk array, and the Mounts port of one process to it. Mounts outlive
processes, not a loss of power. A container that runs keeps what was mounted when it started, whatever is unmounted
meanwhile.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import msgspec

from orion.model.csi import AccessMode
from orion.model.errors import OrionError
from orion.ports.mounts import MountFailed
from sim.disk_array import DiskArray, Rows
from sim.loop import Process

T = TypeVar("T")

ONE_NODES = frozenset(mode for mode in AccessMode if mode.one_node)


class FileSystem:
    """A volume on one machine, for as long as anything there has it. One that is for one node alone keeps what it
    has read, and writes it back with whatever is new: two at a time lose each other's rows.
    """

    def __init__(self, array: DiskArray, volume: str, mode: AccessMode) -> None:
        self.volume = volume
        self.mode = mode
        self._array = array
        self._rows = array.read(volume)

    def read(self) -> Rows:
        return self._rows if self.mode in ONE_NODES else self._array.read(self.volume)

    def append(self, row: str) -> None:
        self._rows = (*self.read(), row)
        self._array.write(self.volume, self._rows)


class Mounted(msgspec.Struct, frozen=True):
    """`files` None: something of others."""

    files: FileSystem | None
    readonly: bool = False

    @property
    def volume(self) -> str:
        return self.files.volume if self.files is not None else ""


class HostMounts:
    """`on_mount` and `on_unmount` are told of a path; `busy` paths can't be unmounted just now. `namespaces`: by
    container, what it has at each path of the machine that it was given.
    """

    def __init__(self, array: DiskArray) -> None:
        self.array = array
        self.boots = 1
        self.table: dict[str, list[Mounted]] = {}
        self.directories: dict[str, None] = {}
        self.files: dict[str, None] = {}  # of others, in directories
        self.busy: dict[str, None] = {}
        self.namespaces: dict[str, dict[str, Mounted]] = {}
        self.on_mount: Callable[[str], None] = lambda _: None
        self.on_unmount: Callable[[str, Mounted], None] = lambda *_: None

    def lose_power(self) -> None:
        self.boots += 1
        self.table.clear()
        self.busy.clear()
        self.namespaces.clear()

    # --- mounts -------------------------------------------------------------------------------------------

    def at(self, path: str) -> Mounted | None:
        stacked = self.table.get(path)
        return stacked[-1] if stacked else None

    def mount(self, path: str, volume: str, mode: AccessMode, *, readonly: bool = False) -> None:
        self.make_directory(path)
        files = next((each.files for each in self._all() if each.volume == volume), None)
        self.put(path, Mounted(files or FileSystem(self.array, volume, mode), readonly))

    def put(self, path: str, mounted: Mounted) -> None:
        self.table.setdefault(path, []).append(mounted)
        self.on_mount(path)

    def unmount(self, path: str) -> None:
        """Raises MountFailed."""
        while self.table.get(path):
            if path in self.busy:
                raise MountFailed(f"this machine could not unmount {path}: Device or resource busy", busy=True)
            self.on_unmount(path, self.table[path][-1])
            self.table[path].pop()
        self.table.pop(path, None)

    def below(self, directory: str) -> list[str]:
        return [path for path in self.table if path.startswith(f"{directory.rstrip('/')}/")]

    def _all(self) -> Iterator[Mounted]:
        for stacked in self.table.values():
            yield from stacked
        for each in self.namespaces.values():
            yield from each.values()

    # --- containers ---------------------------------------------------------------------------------------

    def enter(self, container: str, sources: Iterable[tuple[str, bool]]) -> list[str]:
        """A container starts with these paths, each read-only or not. Returns those that are not mounted."""
        held = {path: (self.at(path), readonly) for path, readonly in sources}
        self.namespaces[container] = {
            path: Mounted(found.files, found.readonly or readonly)
            for path, (found, readonly) in held.items()
            if found is not None
        }
        return [path for path, (found, _) in held.items() if found is None]

    def leave(self, container: str) -> None:
        self.namespaces.pop(container, None)

    # --- directories --------------------------------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        parts = path.split("/")
        self.directories.update(dict.fromkeys("/".join(parts[:end]) for end in range(2, len(parts) + 1)))

    def remove_directory(self, path: str) -> None:
        """Raises MountFailed where something is in it or at it."""
        inside = f"{path}/"
        if self.table.get(path):
            raise MountFailed(f"this machine could not remove {path}: Device or resource busy", busy=True)
        if any(each.startswith(inside) for each in (*self.directories, *self.files)):
            raise MountFailed(f"this machine could not remove {path}: Directory not empty")
        self.directories.pop(path, None)


def aside(process: Process, steps: Iterable[tuple[float, Callable[[], T]]]) -> "asyncio.Future[T]":
    """As a thread of a process does it: one step after another, each after its delay in ms, whether or not who
    waits for it is cancelled. Gives what the last one returns, or what one of them raises.
    """
    answer: asyncio.Future[T] = process.loop.create_future()
    left = list(steps)

    def take() -> None:
        _, step = left.pop(0)
        try:
            result = step()
        except OrionError as error:
            if not answer.done():
                answer.set_exception(error)
            return
        if left and process.alive:
            begin()
        elif not answer.done():
            answer.set_result(result)

    def begin() -> None:
        process.loop.call_at(process.loop.time() + left[0][0] / 1000, take, context=process.context)

    begin()
    return answer


class SimMounts:
    """Fulfils ports.Mounts."""

    def __init__(self, host: HostMounts, process: Process, rng: random.Random) -> None:
        self._host = host
        self._process = process
        self._rng = rng

    async def points_below(self, directory: str) -> list[str]:
        return await self._aside(lambda: self._host.below(directory))

    async def unmount(self, point: str, *, lazy: bool = False) -> None:
        await self._aside(partial(self._host.unmount, point))

    async def make_directory(self, path: str) -> None:
        await self._aside(partial(self._host.make_directory, path))

    async def remove_directory(self, path: str) -> None:
        await self._aside(partial(self._host.remove_directory, path))

    def boot_id(self) -> str:
        return f"boot {self._host.boots}"

    def _aside(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        return aside(self._process, [(self._rng.uniform(0.1, 3), work)])
