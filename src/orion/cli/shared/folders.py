"""Folders of this machine as values of configs, and back."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orion.model.folders import Entry


def packed(folder: Path) -> bytes:
    """Returns all that is in it as a value. Raises ClickException for what can't travel, and for more than a value
    may have, of which no more is read than that.
    """
    from orion.model.configs import MAX_VALUE_BYTES
    from orion.model.folders import FolderError, write_folder

    try:
        value = write_folder(_entries(folder, "", [MAX_VALUE_BYTES]))
    except FolderError as error:
        raise click.ClickException(f"{folder} can't be a config: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder} can't be read: {error.strerror}") from None
    if len(value) > MAX_VALUE_BYTES:
        raise _too_large(folder)
    return value


def _entries(folder: Path, below: str, left: list[int]) -> Iterator["Entry"]:
    """`left`: bytes that all may still have."""
    from orion.model.folders import BLOCK_BYTES, MAX_PATH_BYTES, Entry, EntryKind, FolderError

    with os.scandir(folder) as listed:
        for each in listed:
            path = f"{below}{each.name}"
            if len(path) > MAX_PATH_BYTES:
                raise FolderError(f"{path[:80]}… is too long: at most {MAX_PATH_BYTES:,} bytes")
            about = each.stat(follow_symlinks=False)
            mode = stat.S_IMODE(about.st_mode) & 0o777
            left[0] -= BLOCK_BYTES + (about.st_size if stat.S_ISREG(about.st_mode) else 0)
            if left[0] < 0:
                raise _too_large(folder)
            if stat.S_ISLNK(about.st_mode):
                yield Entry(path, EntryKind.LINK, 0o777, target=str(Path(each.path).readlink()))
            elif stat.S_ISDIR(about.st_mode):
                yield Entry(path, EntryKind.FOLDER, mode)
                yield from _entries(Path(each.path), f"{path}/", left)
            elif stat.S_ISREG(about.st_mode):
                with Path(each.path).open("rb") as file:
                    yield Entry(path, EntryKind.FILE, mode, file.read(about.st_size))
            else:
                raise FolderError(f"{path} is neither a file nor a folder nor a link")


def _too_large(folder: Path) -> click.ClickException:
    from orion.model.configs import MAX_VALUE_BYTES

    return click.ClickException(
        f"{folder} is larger than {MAX_VALUE_BYTES:,} bytes as a tar, the most that a config has: use a volume"
    )


def unpack(value: bytes, folder: Path) -> None:
    """Writes what is in the value below `folder`, which has to be empty or not there. Raises ClickException."""
    from orion.model.folders import EntryKind, FolderError, read_folder

    try:
        entries = read_folder(value)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise click.ClickException(f"{folder} is not empty: name a new folder")
        for entry in entries:
            path = folder / entry.path
            if entry.kind is EntryKind.FOLDER:
                path.mkdir()
            elif entry.kind is EntryKind.LINK:
                path.symlink_to(entry.target)
            else:
                path.write_bytes(entry.content)
        for entry in reversed(entries):  # a folder's mode may forbid to write in it
            if entry.kind is not EntryKind.LINK:
                (folder / entry.path).chmod(entry.mode)
    except FolderError as error:
        raise click.ClickException(f"this is not a folder: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder} can't be written: {error.strerror}") from None
