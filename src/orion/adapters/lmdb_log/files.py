"""The data directory and LMDB's file in it: a lock against other processes, a check of the file's pages, and
durable names.
"""

import contextlib
import fcntl
import logging
import os
from pathlib import Path

from orion.model.errors import Conflict, Refused
from orion.process.durable import sync_directory

log = logging.getLogger(__name__)

META = b"meta"  # the database that holds the node's identity
IDENTITY = b"identity"


def damage(directory: Path) -> str:
    """Returns what is wrong with the file's pages, "" when nothing is. LMDB maps the file and trusts it: a page
    that points past the end of a file cut short would kill this process with SIGBUS.
    """
    from lmdb.verify import VerifyError, verify

    try:
        problems: list[str] = verify(str(directory))  # type: ignore[no-untyped-call]
    except VerifyError:
        return ""  # not LMDB's file, or another machine's: lmdb.open raises an error for it
    return problems[0] if problems else ""


def _make(data_dir: Path) -> None:
    missing = [each for each in (data_dir, *data_dir.parents) if not each.exists()]
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing:
        with contextlib.suppress(PermissionError):  # this user may enter the directory but not read it
            sync_directory(made.parent)


def _make_private(data_dir: Path) -> None:
    """Closes the directory to other users: it holds configs, and environments of tasks with their passwords. Raises
    Refused when its mode can't be changed, or when the directory holds other things too.
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
    """Makes and locks the directory. Returns the descriptor that holds the lock."""
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
