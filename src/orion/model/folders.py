"""Folders as values: a tar in one form, so that the same folder is always the same bytes.

What comes as a tar is of strangers. It is read here and not by tarfile: that one takes much more than a folder
needs (sparse files, devices, links to anywhere), recurses once for each header, and some headers never end in it.
Formats: POSIX.1-1988 (ustar), pax's extended headers, and GNU's long names.
"""

import enum
import re
from collections.abc import Iterable, Iterator

import msgspec

from orion.model.errors import shown

BLOCK_BYTES = 512
MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 255  # Linux's NAME_MAX
MAX_ENTRIES = 2_048  # more than fit into 1 MiB, unless paths name many folders that the tar leaves out
FOLDER_MODE = 0o755  # of folders that a tar leaves out

_MODES = 0o777
_NAME_BYTES, _PREFIX_BYTES = 100, 155
_NO_TEXT = r"[\x00-\x1f\x7f\ud800-\udfff]"


class FolderError(ValueError):
    """The tar is none, or holds what no folder can have."""


class EntryKind(enum.Enum):
    FILE = "0"
    LINK = "2"  # symbolic
    FOLDER = "5"


class Entry(msgspec.Struct, frozen=True):
    """`path` is below the folder, plain: no dots, no slash at its ends. `content` of a file, `target` of a link."""

    path: str
    kind: EntryKind = EntryKind.FILE
    mode: int = 0o644
    content: bytes = b""
    target: str = ""


_KINDS = {kind.value.encode(): kind for kind in EntryKind} | {b"\0": EntryKind.FILE}
_REFUSED = {
    b"1": "a hard link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a file with holes",
}


class _Header(msgspec.Struct, frozen=True):
    path: str
    flag: bytes
    mode: int
    target: str
    data: bytes


# --- read --------------------------------------------------------------------------------------------------


def read_folder(tar: bytes) -> tuple[Entry, ...]:
    """Returns all that is in it, folders before what they hold, those too that the tar leaves out. Raises
    FolderError with the reason.
    """
    entries: dict[str, Entry] = {}
    for header in _headers(tar):
        entry = _entry(header)
        if entry is None:
            continue
        if entry.path in entries:
            raise FolderError(f"{shown(entry.path)} is in it twice")
        entries[entry.path] = entry
    return checked(entries.values())


def checked(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Returns them in order, with the folders that are missing. Raises FolderError."""
    found = {entry.path: entry for entry in entries}
    for entry in list(found.values()):
        _require_plain(entry.path)
        if entry.kind is EntryKind.LINK and (wrong := _link_error(entry)):
            raise FolderError(f"{shown(entry.path)} is a link to {shown(entry.target)}, {wrong}")
        for parent in _parents(entry.path):
            above = found.get(parent)
            if above is not None and above.kind is not EntryKind.FOLDER:
                raise FolderError(f"{shown(entry.path)} is below {shown(parent)}, which is no folder")
            if above is not None:  # those above it are looked at with it
                break
            found[parent] = Entry(parent, EntryKind.FOLDER, FOLDER_MODE)
        if len(found) > MAX_ENTRIES:
            raise FolderError(f"it holds more than {MAX_ENTRIES:,} files and folders")
    return tuple(sorted(found.values(), key=lambda entry: entry.path.split("/")))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _entry(header: _Header) -> Entry | None:
    """Returns None for the folder itself."""
    kind = _KINDS.get(header.flag)
    if kind is None:
        what = _REFUSED.get(header.flag, "of a kind that no folder has")
        raise FolderError(f"{shown(header.path)} is {what}: only files, folders and links are taken")
    if header.path.startswith("/"):
        raise FolderError(f"{shown(header.path)} begins with /: names are below the folder")
    parts = [part for part in header.path.split("/") if part not in {"", "."}]
    if not parts:
        return None
    if kind is EntryKind.FILE and header.path.endswith("/"):  # as very old tars have folders
        kind = EntryKind.FOLDER
    content = header.data if kind is EntryKind.FILE else b""
    target = header.target if kind is EntryKind.LINK else ""
    mode = header.mode & _MODES if kind is not EntryKind.LINK else _MODES
    return Entry("/".join(parts), kind, mode, content, target)


def _require_plain(path: str) -> None:
    parts = path.split("/")
    if {"", ".", ".."} & set(parts):
        raise FolderError(f"{shown(path)} leads out of the folder, or is not plain: no '..' and no empty part")
    if _is_no_text(path):
        raise FolderError(f"{shown(path)} is not UTF-8, or has a control character")
    if len(path.encode()) > MAX_PATH_BYTES or max(len(part.encode()) for part in parts) > MAX_PART_BYTES:
        raise FolderError(f"{shown(path)} is too long: at most {MAX_PATH_BYTES:,} bytes, {MAX_PART_BYTES} a part")


def _is_no_text(name: str) -> bool:
    return re.search(_NO_TEXT, name) is not None


def _link_error(link: Entry) -> str:
    """A link stays inside when it goes up first and down then: what it goes up through are folders, and what it
    comes down through are links at most that stay inside, too.
    """
    if not link.target or _is_no_text(link.target) or len(link.target.encode()) > MAX_PATH_BYTES:
        return "which is no name"
    parts = [part for part in link.target.split("/") if part not in {"", "."}]
    up = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    if link.target.startswith("/") or up > link.path.count("/"):
        return "which leads out of the folder"
    return "which goes down and up again: write it plainly" if ".." in parts[up:] else ""


def _headers(tar: bytes) -> Iterator[_Header]:
    at = 0
    longer: dict[str, str] = {}
    while True:
        block = tar[at : at + BLOCK_BYTES]
        if len(block) < BLOCK_BYTES:
            raise FolderError("the tar ends too early, or is none" if at else "this is no tar")
        if not any(block):
            return
        digits = block[148:156].strip(b" \0")  # of the sum of all bytes, these taken as blanks
        wanted = b"%o" % (sum(block[:148]) + 8 * ord(" ") + sum(block[156:]))
        if digits.lstrip(b"0") != wanted:
            raise FolderError(f"the header at byte {at:,} is damaged, or this is no tar, or a compressed one")
        flag, size = block[156:157], _number(block[124:136])
        at += BLOCK_BYTES
        data = tar[at : at + size]
        if len(data) < size:
            raise FolderError("the tar ends too early")
        at += -(-size // BLOCK_BYTES) * BLOCK_BYTES
        if flag == b"x":
            longer |= _pax(data)
        elif flag in {b"L", b"K"}:
            longer["path" if flag == b"L" else "linkpath"] = _text(data.rstrip(b"\0"))
        elif flag != b"g":  # which says things of all files that matter not here
            path, target = longer.get("path") or _path(block), longer.get("linkpath") or _field(block[157:257])
            yield _Header(path, flag, _number(block[100:108]), target, data)
            longer = {}


def _path(block: bytes) -> str:
    name, prefix = _field(block[:100]), _field(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _field(data: bytes) -> str:
    return _text(data.partition(b"\0")[0])


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FolderError(f"the name {data[:80]!r} is not UTF-8") from None


def _number(data: bytes) -> int:
    digits = data.strip(b" \0")
    if not re.fullmatch(rb"[0-7]*", digits):
        raise FolderError("a number in a header is damaged, or larger than a folder's can be")
    return int(digits or b"0", 8)


def _pax(data: bytes) -> dict[str, str]:
    """Returns the long names. Raises FolderError for what would change a file's bytes."""
    names = {}
    while data:
        length, space, _ = data[:8].partition(b" ")
        if not (space and length.isdigit() and len(length) + 3 <= int(length) <= len(data)):
            raise FolderError("an extended header is damaged")
        record, data = data[len(length) + 1 : int(length)], data[int(length) :]
        key, _, value = record.removesuffix(b"\n").partition(b"=")
        if key == b"size" or key.startswith(b"GNU.sparse"):
            raise FolderError("it holds a file with holes, or one that is too large")
        if key in {b"path", b"linkpath"}:
            names[key.decode()] = _text(value)
    return names


# --- write -------------------------------------------------------------------------------------------------


def write_folder(entries: Iterable[Entry]) -> bytes:
    """Returns the tar of them, which depends on nothing but them. Raises FolderError."""
    tar = bytearray()
    for entry in checked(entries):
        path = entry.path + ("/" if entry.kind is EntryKind.FOLDER else "")
        prefix, name = _split(path.encode())
        target = entry.target.encode()
        records = {"path": path} if name is None else {}
        if len(target) > _NAME_BYTES:
            records["linkpath"], target = entry.target, b""
        if records:
            data = b"".join(_record(key, value) for key, value in records.items())
            tar += _header(b"", b"pax", b"x", 0o644, len(data), b"") + _padded(data)
        flag = entry.kind.value.encode()
        tar += _header(prefix, name or b"long", flag, entry.mode, len(entry.content), target)
        tar += _padded(entry.content)
    return bytes(tar) + bytes(2 * BLOCK_BYTES)


def _split(path: bytes) -> tuple[bytes, bytes | None]:
    """Returns the prefix and the name of a header, None for a name that fits in none."""
    if len(path) <= _NAME_BYTES:
        return b"", path
    at = path.rfind(b"/", 0, _PREFIX_BYTES + 1)
    name = path[at + 1 :]
    return (path[:at], name) if at > 0 and 0 < len(name) <= _NAME_BYTES else (b"", None)


def _record(key: str, value: str) -> bytes:
    """Its length counts its own digits."""
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _header(prefix: bytes, name: bytes, flag: bytes, mode: int, size: int, target: bytes) -> bytes:
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0,  # owner
            b"%07o\0" % 0,  # group
            b"%011o\0" % size,
            b"%011o\0" % 0,  # changed at
            b" " * 8,  # the sum
            flag,
            target.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64 + 16),  # names of owner and group, device
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK_BYTES)
