"""Fulfils ports.VolumeStore: a directory for each volume below the node's data directory.

    volumes/data.17/id ....... the name of the data, written once
    volumes/data.17/data/ .... what containers see

docs/design/storage.md says why these are not the engine's own volumes.
"""

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

from orion.model.errors import EngineError
from orion.ports.volumes import VolumePath, VolumeSize

T = TypeVar("T")

_DATA, _ID = "data", "id"
_LEAVING, _COMING = ".leaving.", ".coming."  # before the name of what is being removed, or copied here
_MAX_ID = 256  # bytes
_MAX_FILES = 200_000  # that are counted for a size
_MAX_S = 3.0  # that counting takes
_BLOCK = 512  # bytes, of st_blocks


class LocalVolumes:
    def __init__(self, root: Path) -> None:
        """`root`: the directory that holds them; it is made with the first."""
        self._root = root.absolute()  # as the engine is told it

    async def data_of(self, key: str) -> str | None:
        return await self._do(lambda: self._data_of(key))

    async def make(self, key: str, data: str) -> None:
        await self._do(lambda: self._make(key, data))

    async def path_of(self, key: str, subpath: str) -> VolumePath:
        return await self._do(lambda: self._path_of(key, subpath))

    async def below(self, place: str, subpath: str) -> str:
        return await self._do(lambda: str(_below(Path(place), subpath)))

    async def has_path(self, path: str) -> bool:
        return await self._do(lambda: os.path.lexists(path) and Path(path).exists())

    async def remove(self, key: str) -> None:
        await self._do(lambda: self._remove(key))

    async def tidy(self) -> None:
        await self._do(self._tidy)

    async def size_of(self, key: str) -> VolumeSize:
        return await self._do(lambda: _size_of(self._root / key / _DATA))

    async def pack(self, key: str) -> AsyncGenerator[bytes, None]:
        from orion.adapters.volumes.pipes import written_by  # late: most nodes move nothing
        from orion.adapters.volumes.tree import pack

        place = self._root / key / _DATA
        with _in_words():
            async with contextlib.aclosing(written_by(lambda out: pack(place, out))) as pieces:
                async for piece in pieces:
                    yield piece

    async def unpack(self, key: str, data: str, pieces: AsyncIterator[bytes]) -> None:
        from orion.adapters.volumes.pipes import read_by
        from orion.adapters.volumes.tree import unpack

        coming = self._root / f"{_COMING}{key}"
        await self._do(lambda: self._begin(coming))
        try:
            with _in_words():
                await read_by(lambda source: unpack(source, coming / _DATA), pieces)
            await self._do(lambda: self._settle(coming, key, data))
        finally:
            await self._do(lambda: _clear(coming))

    # --- in a thread --------------------------------------------------------------------------------------

    async def _do(self, work: Callable[[], T]) -> T:
        with _in_words():
            return await asyncio.to_thread(work)

    def _data_of(self, key: str) -> str | None:
        try:
            text = _read(self._root / key / _ID)
        except FileNotFoundError:
            return None
        return text if (self._root / key / _DATA).is_dir() else None

    def _make(self, key: str, data: str) -> None:
        place = self._root / key
        inside = place / _DATA
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        inside.mkdir(mode=0o755, exist_ok=True)
        if any(inside.iterdir()):
            raise EngineError(f"{inside} is not empty, though its volume is new: move what is in it away")
        _name(place, data)
        for directory in (place, self._root, self._root.parent):
            _sync(directory)

    def _begin(self, coming: Path) -> None:
        _clear(coming)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        coming.mkdir(mode=0o700)
        (coming / _DATA).mkdir()

    def _settle(self, coming: Path, key: str, data: str) -> None:
        _name(coming, data)
        os.sync()  # all at once: of thousands of small files each by itself takes some ten times as long
        self._remove(key)
        coming.rename(self._root / key)
        for directory in (self._root, self._root.parent):
            _sync(directory)

    def _path_of(self, key: str, subpath: str) -> VolumePath:
        path = _below(self._root / key / _DATA, subpath)
        return VolumePath(str(path), next(path.iterdir(), None) is None)

    def _tidy(self) -> None:
        for beginning in (_LEAVING, _COMING):
            for place in self._root.glob(f"{beginning}*"):
                _clear(place)

    def _remove(self, key: str) -> None:
        place, leaving = self._root / key, self._root / f"{_LEAVING}{key}"
        with contextlib.suppress(FileNotFoundError):
            place.rename(leaving)
        _clear(leaving)


def _below(place: Path, subpath: str) -> Path:
    whole = place.resolve()
    path = (whole / subpath).resolve()
    if not path.is_relative_to(whole):
        raise EngineError(f"{subpath} leads out of its volume")
    if not path.is_dir():
        raise EngineError(f"its volume has no directory {subpath}: make it there first")
    return path


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(f"volumes of this node: {error.strerror or error} ({error.filename})") from error


def _clear(place: Path) -> None:
    if place.exists():
        import shutil  # late: it loads much, and most nodes remove nothing

        shutil.rmtree(place)


def _name(place: Path, data: str) -> None:
    fresh = place / f"{_ID}.new"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(place / _ID)
    _sync(place)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MAX_ID).decode("utf-8", "replace")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size_of(root: Path) -> VolumeSize:
    """Files come and go meanwhile: what is gone counts nothing."""
    until_s = time.monotonic() + _MAX_S
    total = files = 0
    for entry in _entries(root):
        try:
            total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        files += 1
        if files >= _MAX_FILES or time.monotonic() > until_s:
            return VolumeSize(total, files, False)
    return VolumeSize(total, files, True)


def _entries(root: Path) -> Iterator["os.DirEntry[str]"]:
    left = [str(root)]
    while left:
        try:
            with os.scandir(left.pop()) as found:
                for entry in found:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
        except FileNotFoundError:
            continue
