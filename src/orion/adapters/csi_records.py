"""Fulfils ports.CsiRecords with a file of JSON for each volume, replaced in one step."""

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from orion.model.csi_node import KnownVolume
from orion.ports.csi_records import RecordsFailed

T = TypeVar("T")

log = logging.getLogger(__name__)

_RECORD = "record.json"
_MAX_RECORD_BYTES = 1 << 20


class FileRecords:
    def __init__(self, directory: Path) -> None:
        """`directory` is made with the first record."""
        self.directory = str(directory)
        self._root = directory

    async def load(self) -> dict[str, KnownVolume | None]:
        return await self._aside("read", self._load)

    async def save(self, folder: str, known: KnownVolume) -> None:
        await self._aside("write", lambda: _save(self._root / folder, known))

    async def forget(self, folder: str) -> None:
        await self._aside("remove", lambda: _forget(self._root / folder))

    def _load(self) -> dict[str, KnownVolume | None]:
        try:
            folders = sorted(each for each in self._root.iterdir() if each.is_dir())
        except FileNotFoundError:
            return {}
        return {folder.name: _read(folder / _RECORD) for folder in folders}

    async def _aside(self, doing: str, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise RecordsFailed(
                f"can't {doing} what is remembered of volumes below {self.directory}: {error.strerror or error}"
            ) from error


def _read(file: Path) -> KnownVolume | None:
    try:
        with file.open("rb") as source:
            return msgspec.json.decode(source.read(_MAX_RECORD_BYTES), type=KnownVolume)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("%s is damaged, so what is mounted there is taken away unless it is wanted: %s", file, error)
        return None


def _save(folder: Path, known: KnownVolume) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(folder.parent)
    new = folder / f".{_RECORD}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(msgspec.json.encode(known))
        out.flush()
        os.fsync(out.fileno())
    new.replace(folder / _RECORD)
    _sync(folder)


def _forget(folder: Path) -> None:
    """Only empty directories are removed, never what is in one: it may be a user's."""
    for path in (folder / _RECORD, folder / f".{_RECORD}"):
        path.unlink(missing_ok=True)
    for path in (folder / "staging", folder / "t", folder):
        try:
            path.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            log.warning("%s holds files of somebody, which stay there", path)
            return
    with contextlib.suppress(FileNotFoundError):
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
