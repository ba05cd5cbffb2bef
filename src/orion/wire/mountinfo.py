"""The kernel's table of mounts, /proc/self/mountinfo, as proc(5) describes it."""

import re
from typing import NamedTuple

_ESCAPE = re.compile(rb"\\([0-7]{3})")  # blank, tab, line feed, backslash and # in a path
_REMOVED = "//deleted"  # what the kernel appends to the root of a mount whose directory was removed


class Mount(NamedTuple):
    """One mount. `root`: the path inside its file system that is seen at `point`; `removed`: it is there no more.
    `device`: of the file system, as 8:1.
    """

    id: int
    parent: int
    device: str
    root: str
    point: str
    options: frozenset[str]
    fs_type: str
    source: str
    removed: bool = False

    @property
    def readonly(self) -> bool:
        return "ro" in self.options


def parse(table: bytes) -> list[Mount]:
    """Returns the mounts in the order of the table: of two at one point the later one covers the other. A line that
    is not as proc(5) has it is left out. Paths that are not UTF-8 come with surrogates, as from `os.fsdecode`.
    """
    return [mount for line in table.splitlines() if (mount := _mount(line)) is not None]


def below(mounts: list[Mount], directory: str) -> list[Mount]:
    """Returns the mounts at points below `directory`, not one at itself."""
    prefix = directory.rstrip("/") + "/"
    return [mount for mount in mounts if mount.point.startswith(prefix)]


def at(mounts: list[Mount], point: str) -> list[Mount]:
    """Returns the mounts at this very point, the one that is seen last."""
    return [mount for mount in mounts if mount.point == point]


def _mount(line: bytes) -> Mount | None:
    """Fields: id, parent, device, root, point, options, any number of optional ones, "-", type, source, options."""
    front, found, behind = line.partition(b" - ")
    fields, rest = front.split(b" "), behind.split(b" ")
    if not found or len(fields) < 6 or len(rest) < 2 or not (fields[0].isdigit() and fields[1].isdigit()):
        return None
    device, root, point, options, fs_type, source = map(_text, (*fields[2:6], *rest[:2]))
    whole = root.removesuffix(_REMOVED)
    return Mount(
        int(fields[0]),
        int(fields[1]),
        device,
        whole,
        point,
        frozenset(options.split(",")),
        fs_type,
        source,
        removed=whole != root,
    )


def _text(field: bytes) -> str:
    plain = _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), field)
    return plain.decode("utf-8", "surrogateescape")
