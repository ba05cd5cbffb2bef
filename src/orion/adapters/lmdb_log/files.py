"""The data directory and LMDB's file in it: one process at a time, pages that are whole, names that are durable."""

import contextlib
import fcntl
import logging
import os
from pathlib import Path

from lmdb.verify import VerifyError, verify

from orion.model.errors import Conflict, Refused

log = logging.getLogger(__name__)

META = b"meta"  # the database in which a node says who it is
IDENTITY = b"identity"


def damage(directory: Path) -> str:
    """What is wrong with the file's pages, "" when nothing is. LMDB maps the file and trusts it: a page that points
    past the end of a file cut short would kill this process with SIGBUS.
    """
    try:
        problems: list[str] = verify(str(directory))  # type: ignore[no-untyped-call]
    except VerifyError:
        return ""  # not LMDB's, or of a machine this check does not know: lmdb.open says so without harm
    return problems[0] if problems else ""


def sync_directory(directory: Path) -> None:
    """A new file is durable once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(data_dir: Path) -> None:
    missing = [each for each in (data_dir, *data_dir.parents) if not each.exists()]
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing:
        with contextlib.suppress(PermissionError):  # a directory that this user may pass through and not read
            sync_directory(made.parent)


def _make_private(data_dir: Path) -> None:
    """Configs, and the environments of tasks with their passwords, are in it. Raises Refused where others can read
    it and that can't be changed, or the directory is not this program's alone.
    """
    mode = data_dir.stat().st_mode & 0o777
    if not mode & 0o077:
        return
    of_orion = (data_dir / "log").is_dir()
    if not of_orion and any(data_dir.iterdir()):
        raise Refused(
            f"the data directory {data_dir} is open to others (mode {mode:03o}) and holds other things: give this"
            " node a directory of its own with --data-dir"
        )
    with contextlib.suppress(OSError):
        data_dir.chmod(0o700)
    if data_dir.stat().st_mode & 0o077:
        raise Refused(
            f"the data directory {data_dir} is open to others (mode {mode:03o}) and can't be made private: give it"
            " to the user that runs the node, with mode 700"
        )
    log.info("the data directory %s was open to others (mode %03o); it is private now", data_dir, mode)


def lock(data_dir: Path) -> int:
    """Makes and locks the directory; the descriptor that holds the lock."""
    try:
        _make(data_dir)
        _make_private(data_dir)
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(f"the data directory {data_dir} can't be used: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise Conflict(
            f"the data directory {data_dir} is in use by another process ({holder or 'unknown'}): stop that one, "
            "or give this node its own with --data-dir"
        ) from None
    with contextlib.suppress(OSError):  # the number is for people only
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
