"""A directory tree as a tar stream and back, with a digest of all that is in it at the end.

The tar begins with `data/`, and its last entry is `digest`: of each entry's path, kind, mode, owner, time and
content, in the order of a sorted walk. Whoever unpacks it reads what has come to the disk, and compares.
"""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from orion.model.errors import EngineError

ROOT, DIGEST = "data", "digest"
_CHUNK = 1024 * 1024
_XATTR = "SCHILY.xattr."  # as GNU tar and star write extended attributes into pax headers
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


def pack(root: Path, out: IO[bytes]) -> None:
    """Writes the tar of what is below `root`. Sockets are left out: nobody listens on a copy."""
    digest = hashlib.sha256()
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar:
        for path, name, about in _walk(root):
            info = _info(path, name, about)
            _note(digest, info, _xattrs(path))
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, _Noted(file, digest))
            else:
                tar.addfile(info)
            tar.members = []  # type: ignore[attr-defined]  # there may be millions
        text = digest.hexdigest().encode()
        last = tarfile.TarInfo(DIGEST)
        last.size = len(text)
        tar.addfile(last, io.BytesIO(text))


def unpack(source: IO[bytes], root: Path) -> None:
    """Makes `root` of such a tar, not yet durable. Raises EngineError for one that is not whole, or leads out of
    `root`.
    """
    said = ""
    folders: list[tuple[Path, tarfile.TarInfo]] = []
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=_CHUNK) as tar:
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # there may be millions
                if info.name == DIGEST and info.isreg():
                    file = tar.extractfile(info)
                    said = file.read(64).decode("ascii", "replace") if file is not None else ""
                    break
                path = _place(root, info.name)
                if info.isdir():
                    folders.append((path, info))
                _make(tar, info, path)
    except tarfile.TarError as error:
        raise EngineError(f"the data of a volume did not come whole: {error}") from error
    while source.read(_CHUNK):
        pass  # what a tar ends with: who sends it waits until it is taken
    for path, info in reversed(folders):  # what was made in it has changed its time
        os.utime(path, ns=(_mtime_ns(info),) * 2)
    if not said:
        raise EngineError("the data of a volume did not come whole: its digest is not there")
    if digest_of(root) != said:
        raise EngineError("the data of a volume that came is not what was sent: its digest is another")


def digest_of(root: Path) -> str:
    digest = hashlib.sha256()
    for path, name, about in _walk(root):
        info = _info(path, name, about)
        _note(digest, info, _xattrs(path))
        if info.isreg():
            with path.open("rb") as file:
                while piece := file.read(_CHUNK):
                    digest.update(piece)
    return digest.hexdigest()


class _Noted:
    """A file whose content goes into a digest as it is read."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file = file
        self._digest = digest

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._digest.update(piece)
        return piece


def _walk(root: Path) -> Iterator[tuple[Path, str, os.stat_result]]:
    left = [(root, ROOT)]
    while left:
        path, name = left.pop()
        about = path.lstat()
        if stat.S_IFMT(about.st_mode) not in _KINDS:
            continue
        yield path, name, about
        if stat.S_ISDIR(about.st_mode):
            inside = sorted((each.name for each in path.iterdir()), reverse=True)
            left += [(path / each, f"{name}/{each}") for each in inside]


def _info(path: Path, name: str, about: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = _KINDS[stat.S_IFMT(about.st_mode)]
    info.mode = stat.S_IMODE(about.st_mode)
    info.uid, info.gid = about.st_uid, about.st_gid
    info.mtime = about.st_mtime_ns // 1_000_000_000
    info.pax_headers = {f"{_XATTR}{key}": value for key, value in _xattrs(path).items()}
    if info.isreg():
        info.size = about.st_size
    elif info.issym():
        info.linkname = str(path.readlink())
    elif info.ischr() or info.isblk():
        info.devmajor, info.devminor = os.major(about.st_rdev), os.minor(about.st_rdev)
    return info


def _note(digest: Any, info: tarfile.TarInfo, xattrs: dict[str, str]) -> None:
    mtime = 0 if info.issym() else int(info.mtime)
    parts = (
        info.name,
        info.type,
        info.mode,
        info.uid,
        info.gid,
        info.size,
        mtime,
        info.linkname,
        sorted(xattrs.items()),
    )
    digest.update(repr(parts).encode("utf-8", "surrogateescape"))


def _xattrs(path: Path) -> dict[str, str]:
    """Those of programs and users; access lists and capabilities are among the system's, and go along too."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # a file system without any
        return {}
    held = {}
    for name in names:
        try:
            held[name] = os.getxattr(path, name, follow_symlinks=False).decode("utf-8", "surrogateescape")
        except OSError:  # it has gone meanwhile
            continue
    return held


def _place(root: Path, name: str) -> Path:
    """Returns where an entry goes. Raises EngineError for one that leads out."""
    parts = name.split("/")
    if parts[0] != ROOT or not {"", ".", ".."}.isdisjoint(parts[1:]):
        raise EngineError(f"the data of a volume holds {name[:200]!r}, which leads out of it")
    path = root.joinpath(*parts[1:])
    if parts[1:] and not path.parent.resolve().is_relative_to(root.resolve()):
        raise EngineError(f"the data of a volume holds {name[:200]!r}, which leads out of it")
    return path


def _make(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    if info.isdir():
        path.mkdir(exist_ok=True)
    elif info.issym():
        path.symlink_to(info.linkname)
    elif info.isfifo():
        os.mkfifo(path)
    elif info.ischr() or info.isblk():
        kind = stat.S_IFCHR if info.ischr() else stat.S_IFBLK
        os.mknod(path, kind | 0o600, os.makedev(info.devmajor, info.devminor))
    elif info.isreg():
        _write(tar, info, path)
    else:
        raise EngineError(f"the data of a volume holds {info.name[:200]!r}, which is of a kind that none has")
    os.chown(path, info.uid, info.gid, follow_symlinks=False)
    for key, value in info.pax_headers.items():
        if key.startswith(_XATTR):
            os.setxattr(
                path, key.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"), follow_symlinks=False
            )
    if not info.issym():
        path.chmod(info.mode)
        os.utime(path, ns=(_mtime_ns(info),) * 2)


def _mtime_ns(info: tarfile.TarInfo) -> int:
    return int(info.mtime) * 1_000_000_000


def _write(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(info)
    with path.open("xb") as file:
        while source is not None and (piece := source.read(_CHUNK)):
            file.write(piece)
