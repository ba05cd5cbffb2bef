"""`orion cp`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from orion.cli.shared.options import asks, command

if TYPE_CHECKING:
    import tarfile

    from orion.client import Client

PIECE_BYTES = 64 * 1024
BLOCK_BYTES = 512  # of a tar
STREAM = "-"

_EXAMPLES = """\b
Examples:
  orion cp web:/etc/nginx/nginx.conf .
  orion cp site/ web/1:/usr/share/nginx
  orion cp web:/var/log - | tar t
"""


@command(epilog=_EXAMPLES)
@click.argument("source", metavar="TASK:PATH|PATH|-")
@click.argument("path", metavar="TASK:PATH|PATH|-")
@asks
def cp(client: "Client", source: str, path: str) -> int:
    """Copy files out of a task's container, or into it.

    Folders go with all that is in them, and modes are kept. A "-" is a tar on standard output, or input.
    """
    there, here = _in_task(source), _in_task(path)
    if (there is None) is (here is None):
        raise click.UsageError(
            "one of the two must be in a task, as in web:/etc/hosts, and the other on this machine"
        )
    if there is not None:
        return _out(client, *there, path)
    assert here is not None
    return _in(client, source, *here)


def _in_task(text: str) -> tuple[str, str] | None:
    """`web/1:/etc/hosts` -> (web/1, /etc/hosts). A path of this machine has a slash or a dot before a colon."""
    task, colon, path = text.partition(":")
    if not colon or not task or task.startswith(("/", ".")):
        return None
    return task, path if path.startswith("/") else f"/{path}"


# --- out of a container -------------------------------------------------------------------------------------


def _out(client: "Client", task: str, path: str, target: str) -> int:
    pieces = client.get_files(task, path)
    if target == STREAM:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    import tarfile

    here = Path(target)
    folder, name = (here, "") if here.is_dir() else (here.parent, here.name)
    if not folder.is_dir():
        raise click.UsageError(f"there is no folder {folder} on this machine")
    reader: Any = _Reader(pieces)
    with tarfile.open(fileobj=reader, mode="r|") as tar:
        return _unpack(tar, folder, name)


def _unpack(tar: "tarfile.TarFile", folder: Path, name: str) -> int:
    """`name` is what the first of its files and folders is called here; as there, if it is ""."""
    import tarfile

    from orion.cli.app import say

    code, first = 0, ""
    for info in tar:
        first = first or info.name.partition("/")[0]
        changes: dict[str, Any] = {"name": _renamed(info.name, first, name)}
        if info.islnk():
            changes["linkname"] = _renamed(info.linkname, first, name)
        try:
            tar.extract(info.replace(**changes, deep=False), folder, filter="data")
        except tarfile.FilterError as error:  # a link that leads elsewhere on this machine, a device
            say(f"{info.name} is left out: {error}")
            code = 1
    return code


def _renamed(path: str, first: str, name: str) -> str:
    root, slash, rest = path.partition("/")
    return f"{name}{slash}{rest}" if name and root == first else path


class _Reader:
    """A file of what comes in pieces, as far as tarfile reads one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        found = bytearray(self._left)
        while len(found) < size and (piece := next(self._pieces, b"")):
            found += piece
        self._left = bytes(found[size:])
        return bytes(found[:size])


# --- into a container ---------------------------------------------------------------------------------------


def _in(client: "Client", source: str, task: str, path: str) -> int:
    if source == STREAM:
        client.put_files(task, path, iter(lambda: sys.stdin.buffer.read(PIECE_BYTES), b""))
        return 0
    file = Path(source)
    if not (file.is_symlink() or file.exists()):
        raise click.UsageError(f"there is no {source} on this machine")
    folder, name = path, file.resolve().name
    if not _is_folder(client, task, path):
        if path.endswith("/"):
            raise click.UsageError(f"there is no folder {path} in {task}: name one that is there")
        folder, _, name = path.rpartition("/")
    client.put_files(task, folder or "/", _tar_of(file, name))
    return 0


def _is_folder(client: "Client", task: str, path: str) -> bool:
    """A path with /. behind it is one of a folder alone."""
    import contextlib

    from orion.model.errors import EngineError, NotFound

    client.task(task)  # raises when there is none of that name
    pieces: Any = client.get_files(task, f"{path.rstrip('/')}/.")
    with contextlib.closing(pieces):
        try:
            next(pieces, b"")
        except (NotFound, EngineError):
            return False
    return True


def _tar_of(source: Path, name: str) -> Iterator[bytes]:
    """Yields a tar as it is made. Its files have the owners and modes that they have here."""
    import io
    import tarfile

    with tarfile.TarFile(fileobj=io.BytesIO(), mode="w") as tar:  # it remembers which files are one
        for path, shown in _files(source, name):
            info: tarfile.TarInfo | None = tar.gettarinfo(path, shown)
            if info is None:  # a socket
                continue
            yield info.tobuf(tarfile.PAX_FORMAT)
            if info.isreg():
                with path.open("rb") as file:
                    yield from _body(file, info.size)
    yield bytes(2 * BLOCK_BYTES)


def _files(source: Path, name: str) -> Iterator[tuple[Path, str]]:
    yield source, name
    if source.is_dir() and not source.is_symlink():
        for entry in sorted(source.iterdir()):
            yield from _files(entry, f"{name}/{entry.name}")


def _body(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Exactly `size` bytes, as the header says, though the file may have become shorter, and then a whole block."""
    left = size
    while left:
        data = file.read(min(PIECE_BYTES, left)) or bytes(min(PIECE_BYTES, left))
        left -= len(data)
        yield data
    if rest := size % BLOCK_BYTES:
        yield bytes(BLOCK_BYTES - rest)
