"""The nodes that run on this machine. Each keeps a small file with its address in a runtime directory, where
commands find it.

The file is locked for as long as the node's process lives, so that a file left behind by a kill is known as such.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

SYSTEM = Path("/run/orion")  # root's, or another user's by systemd's RuntimeDirectory=orion
_SUFFIX = ".json"
_MAX_FILES = 1_000
_MAX_BYTES = 4_096


class RunningNode(msgspec.Struct, frozen=True, rename="camel"):
    """A running node. Its API is at `host` and `port`, for processes in the network namespace `network`."""

    node: str
    host: str
    port: int
    network: int


@contextlib.contextmanager
def announced(node: str, host: str, port: int) -> Iterator[str]:
    """Lets commands on this machine find the node. Yields "", or why they can't when no directory takes the
    file.
    """
    why = "there is no runtime directory"
    descriptor, path = -1, None
    content = msgspec.json.encode(RunningNode(node, _dialled(host), port, _network()))
    for directory in _directories():
        try:
            descriptor, path = _put(directory, content)
            break
        except OSError as error:
            why = f"{directory}: {error.strerror}"
    try:
        yield "" if path else why
    finally:
        if path is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def find() -> list[RunningNode]:
    """Returns the nodes in this network namespace, by port, then by name."""
    network = _network()
    found = [node for directory in _directories() for path in _files(directory) if (node := _read(path))]
    return sorted({node for node in found if node.network == network}, key=lambda node: (node.port, node.node))


def _directories() -> list[Path]:
    """Returns the directories to use. Root uses no other user's: that user could write anything there."""
    user = os.geteuid()
    if user == 0:
        return [SYSTEM]
    return [SYSTEM, Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}") / "orion"]


def _put(directory: Path, content: bytes) -> tuple[int, Path]:
    """Writes a file. Returns its locked descriptor and its path, which it gets only once it is written and
    locked.
    """
    directory.mkdir(mode=0o755, exist_ok=True)
    _sweep(directory)
    path = directory / f"{os.urandom(8).hex()}{_SUFFIX}"
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, content)
        draft.rename(path)
    except BaseException:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
        raise
    return descriptor, path


def _sweep(directory: Path) -> None:
    """Removes the files of processes that have ended. Names are never used twice, so no living one's is removed."""
    for path in _files(directory):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if not _held(file.fileno()):
                path.unlink()


def _files(directory: Path) -> list[Path]:
    try:
        return [path for path in sorted(directory.iterdir()) if path.suffix == _SUFFIX][:_MAX_FILES]
    except OSError:
        return []


def _read(path: Path) -> RunningNode | None:
    """Reads a file. Returns None when its process has ended, or it can't be read."""
    try:
        with path.open("rb") as file:
            if not _held(file.fileno()):
                return None
            return msgspec.json.decode(file.read(_MAX_BYTES), type=RunningNode)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _held(descriptor: int) -> bool:
    """Returns True when the process that wrote the file lives. The lock tried here is shared, so that two readers
    do not take each other for that process.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _dialled(host: str) -> str:
    """Returns the host to dial: a node that listens everywhere answers on loopback too."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound


def _network() -> int:
    """Returns the id of this process's network namespace; 0 when unknown."""
    try:
        return Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return 0
