"""Volumes and snapshots on disk: directories that appear and vanish in one step each.

    volumes/ID/data, volumes/ID/record.json ... data/image in it is a volume that is a file (images.py)
    snapshots/ID/data, snapshots/ID/record.json
    nodes/NAME.json .......... nodes that can use them
    making/KIND-HASH ......... is being made or removed; rubbish, once nobody holds its lock
    locks/ ................... see locks.py

An id begins with the hash of the name, by which it is found, and ends with what is drawn anew each time: a late
DeleteVolume never meets a later volume of the same name.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from grpclib.const import Status

from orion.csi_dir import images, programs, records
from orion.csi_dir.failed import Failed
from orion.csi_dir.locks import Locks
from orion.csi_dir.records import ID, NodeRecord, SnapshotRecord, VolumeRecord

VOLUME, SNAPSHOT = "volumes", "snapshots"
_RECORDS: dict[str, type[VolumeRecord] | type[SnapshotRecord]] = {VOLUME: VolumeRecord, SNAPSHOT: SnapshotRecord}
_NAME_CHARS = 24


class Store:
    """Raises OSError where the root can't be written to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (VOLUME, SNAPSHOT, "nodes", "making", "locks"):
            (root / name).mkdir(mode=0o711, parents=True, exist_ok=True)
        self._locks = Locks(root / "locks")
        self._clear_rubbish()
        images.thaw_all(self.ids(VOLUME))

    # --- by id and by name --------------------------------------------------------------------------------

    def locked(self, kind: str, of: str) -> contextlib.AbstractContextManager[None]:
        """Holds what has the id, or will have the name, `of`. Raises Failed(ABORTED)."""
        return self._locks.held(f"{kind}-{of[:_NAME_CHARS] if ID.fullmatch(of) else hashed(of)}")

    def volume(self, volume: str) -> VolumeRecord | None:
        return self._read(VOLUME, volume, VolumeRecord)

    def snapshot(self, snapshot: str) -> SnapshotRecord | None:
        return self._read(SNAPSHOT, snapshot, SnapshotRecord)

    def named(self, kind: str, name: str) -> str:
        """Returns the id of what has the name, "" for nothing."""
        begin = hashed(name) + "-"
        return next((each for each in self.ids(kind) if each.startswith(begin)), "")

    def ids(self, kind: str) -> list[str]:
        """Returns all ids, in an order that stays."""
        return sorted(each.name for each in (self.root / kind).iterdir() if ID.fullmatch(each.name))

    def data(self, kind: str, of: str) -> Path:
        return self.root / kind / of / "data"

    def image(self, volume: str) -> Path:
        """Returns the file that a volume is which has a file system of its own."""
        return self.data(VOLUME, volume) / images.IMAGE

    def free_bytes(self) -> int:
        disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize

    # --- changes, under the lock --------------------------------------------------------------------------

    def make(
        self,
        kind: str,
        name: str,
        record: Callable[[str], VolumeRecord | SnapshotRecord],
        fill: Callable[[Path], None],
    ) -> None:
        """Makes a directory, of which `fill` writes the content; it is there once all of it is on disk."""
        making = self._making(kind, hashed(name))
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o711)
        (making / "data").mkdir(mode=0o755)
        fill(making / "data")
        of = f"{hashed(name)}-{secrets.token_hex(4)}"
        records.write(making / "record.json", record(of))
        making.rename(self.root / kind / of)
        records.sync(self.root / kind)

    def copy_volume(self, volume: str, fs_type: str, target: Path) -> None:
        """Copies a volume as it is now. Raises Failed, OSError."""
        with images.still(self.image(volume), volume) if fs_type else contextlib.nullcontext():
            copy(self.data(VOLUME, volume), target)

    def write(self, record: VolumeRecord) -> None:
        records.write(self.root / VOLUME / record.id / "record.json", record)

    def remove(self, kind: str, of: str) -> None:
        gone = self._making(kind, of[:_NAME_CHARS])
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            (self.root / kind / of).rename(gone)
            records.sync(self.root / kind)
        shutil.rmtree(gone, ignore_errors=True)

    # --- nodes --------------------------------------------------------------------------------------------

    def node(self, node: str) -> NodeRecord | None:
        return records.read(self.root / "nodes" / f"{hashed(node)}.json", NodeRecord)

    def register(self, node: NodeRecord) -> None:
        records.write(self.root / "nodes" / f"{hashed(node.id)}.json", node)

    # --- inside -------------------------------------------------------------------------------------------

    def _read(self, kind: str, of: str, record: type[records.T]) -> records.T | None:
        """Returns None too for what is no id of ours: it never becomes a path."""
        return records.read(self.root / kind / of / "record.json", record) if ID.fullmatch(of) else None

    def _making(self, kind: str, name_hash: str) -> Path:
        return self.root / "making" / f"{kind}-{name_hash}"

    def _clear_rubbish(self) -> None:
        """Removes what a process that was killed left half made. What another one is just making is locked."""
        for left in (self.root / "making").iterdir():
            with contextlib.suppress(Failed), self._locks.held(left.name):
                shutil.rmtree(left, ignore_errors=True)


def hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_NAME_CHARS]


def copy(source: Path, target: Path) -> None:
    """Copies what is in one directory into another, by reference where the file system can (reflink), with owners,
    modes, links and holes. Raises Failed.
    """
    programs.run("cp", "-a", "--reflink=auto", f"{source}/.", str(target))
    programs.run("sync", "-f", str(target))


def pages(ids: list[str], most: int, token: str) -> Iterator[str]:
    """Yields a part of the ids: at most `most` (0: all), those after `token`. An id as a token stays right while
    others come and go.
    """
    if most < 0:
        raise Failed(Status.INVALID_ARGUMENT, f"max_entries is {most}")
    if token and not ID.fullmatch(token):
        raise Failed(Status.ABORTED, "starting_token is none of this plugin's")
    after = [each for each in ids if each > token]
    yield from after[: most or None]
