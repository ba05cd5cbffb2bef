"""The nodes that run on this machine, whatever address they listen on: each keeps a small file in a runtime
directory, where commands find it.

The file is locked for as long as the node's process lives, so that one left behind by a kill is known as such.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

SYSTEM = Path("/run/orion")  # root's, or of whoever was given it (systemd's RuntimeDirectory=orion)
_SUFFIX = ".json"
_MAX_FILES = 1_000
_MAX_BYTES = 4_096


class RunningNode(msgspec.Struct, frozen=True, rename="camel"):
    """`host` and `port` answer for the API of `node`, for who is in the same network namespace."""

    node: str
    host: str
    port: int
    network: int


@contextlib.contextmanager
def announced(node: str, host: str, port: int) -> Iterator[str]:
    """Lets commands on this machine find the node. Yields "", or why they can't: no directory takes the file."""
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
    """By port, then by name."""
    network = _network()
    found = [node for directory in _directories() for path in _files(directory) if (node := _read(path))]
    return sorted({node for node in found if node.network == network}, key=lambda node: (node.port, node.node))


def _directories() -> list[Path]:
    """Root looks in no other user's: what stands there is told by others."""
    user = os.geteuid()
    if user == 0:
        return [SYSTEM]
    return [SYSTEM, Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}") / "orion"]


def _put(directory: Path, content: bytes) -> tuple[int, Path]:
    """The locked descriptor and the file, which has its name only once both are whole."""
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
    """Names are never used twice, so one whose process is gone stays gone."""
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
    """None when nobody holds it, or it can't be read."""
    try:
        with path.open("rb") as file:
            if not _held(file.fileno()):
                return None
            return msgspec.json.decode(file.read(_MAX_BYTES), type=RunningNode)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _held(descriptor: int) -> bool:
    """Whether the process that wrote it lives. Shared, so that two who look do not take each other for it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _dialled(host: str) -> str:
    """Who listens everywhere answers on loopback too."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound


def _network() -> int:
    """Which network namespace this process is in: an address means something in its own only."""
    try:
        return Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return 0
