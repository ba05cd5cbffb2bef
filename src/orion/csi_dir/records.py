"""Records: a file of JSON beside each volume, snapshot and node. It is there whole or not at all, also after a loss
of power.
"""

import contextlib
import os
import re
import secrets
import time
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

ID = re.compile(r"[0-9a-f]{24}-[0-9a-f]{8}")  # the hash of the name, and what makes it differ from a former one


class Publication(msgspec.Struct, frozen=True):
    """A node's right to use a volume. `mode`: the number of CSI's access mode."""

    mode: int
    readonly: bool = False


class VolumeRecord(msgspec.Struct, frozen=True):
    id: str
    name: str
    size_bytes: int
    snapshot: str = ""  # that it began with
    volume: str = ""  # likewise
    nodes: dict[str, Publication] = {}
    fs_type: str = ""  # of the file that it is; "" for a directory


class SnapshotRecord(msgspec.Struct, frozen=True):
    id: str
    name: str
    volume: str
    size_bytes: int
    created_ms: int
    fs_type: str = ""  # as its volume's


class NodeRecord(msgspec.Struct, frozen=True):
    """`max_volumes` 0: no limit."""

    id: str
    max_volumes: int = 0


def read(file: Path, kind: type[T]) -> T | None:
    """Returns None where there is no such file. Raises OSError, msgspec.DecodeError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None


def write(file: Path, record: msgspec.Struct) -> None:
    """Puts the record in the place of a former one, in one step."""
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.encode(record))
            out.flush()
            os.fsync(out.fileno())
        new.replace(file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        raise
    sync(file.parent)


def sync(folder: Path) -> None:
    """Has the names in this folder outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
