"""Small images made from what Debian has, because tests and the demo must run where no registry can be reached.

- `orion-test/busybox`: the applets of busybox-static. CMD sh.
- `orion-test/web`: nginx on port 80 whose every page says which container serves it, and busybox for a shell.
- `orion-test/front-door`: Caddy, Debian's Python and this orion, as examples/front-door/Dockerfile makes it.
- `orion-test/csi-dir`: Debian's Python and this orion's storage plugin, as examples/csi-dir/Dockerfile makes it.

    python3 -m support.images busybox web   make these where they are missing
    python3 -m support.images nginx         nginx:latest: what is there, else pulled, else `web` under that name
    python3 -m support.images --forget      remove what these commands made

The engine is the one of DOCKER_HOST.
"""

import functools
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

from support import api

BUSYBOX = "orion-test/busybox:latest"
WEB = "orion-test/web:latest"
NGINX = "nginx:latest"
FRONT_DOOR = "orion-test/front-door:latest"
CSI_DIR = "orion-test/csi-dir:latest"
PACKAGES = "busybox-static nginx-light caddy python3"
# Says that an image was made here, and by which edition of this file; a new edition makes it anew.
MARK = "dev.orion.test-image"
EDITION = "1"
PULL_SILENCE_S = 20.0


class ImageProblem(RuntimeError):
    pass


def busybox(host: str) -> str:
    return _make(host, BUSYBOX, _busybox_files, {"CMD": ["sh"]})


def web(host: str) -> str:
    return _make(host, WEB, _web_files, {"CMD": ["nginx", "-g", "daemon off;"], "EXPOSE": 80})


def front_door(host: str) -> str:
    """Made anew for each engine: it holds the sources as they are."""
    changes = [
        "ENV PATH=/usr/bin:/bin",
        "ENV PYTHONPATH=/opt/orion",
        "ENV XDG_DATA_HOME=/data",
        f"LABEL {MARK}={EDITION}",
    ]
    import_image(host, FRONT_DOOR, _front_door_files(), changes)
    return FRONT_DOOR


def csi_dir(host: str) -> str:
    """Made anew for each engine: it holds the sources as they are."""
    changes = ["ENV PATH=/usr/bin:/bin", "ENV PYTHONPATH=/opt/orion", f"LABEL {MARK}={EDITION}"]
    import_image(host, CSI_DIR, _csi_dir_files(), changes)
    return CSI_DIR


def nginx(host: str) -> str:
    """An image that `docker run nginx` finds, the real one if it can be had."""
    if _labels(host, NGINX) is None and not _pull(host, "nginx", "latest"):
        web(host)
        api.ask(host, "POST", f"/images/{WEB}/tag?repo=nginx&tag=latest")
    return NGINX


def forget(host: str) -> None:
    """Remove the images made here, under whatever names."""
    chosen = quote(json.dumps({"label": [MARK]}))
    for image in api.ask_json(host, "GET", f"/images/json?filters={chosen}"):
        for name in image["RepoTags"] or [image["Id"]]:
            api.ask(host, "DELETE", f"/images/{name}")


def import_image(host: str, name: str, files: bytes, changes: list[str]) -> None:
    """`files` is a tar of the whole file system; `changes` are lines of a Dockerfile."""
    repository, _, tag = name.rpartition(":")
    query = urlencode([("fromSrc", "-"), ("repo", repository), ("tag", tag), *(("changes", c) for c in changes)])
    answer = api.ask(host, "POST", f"/images/create?{query}", files, content_type="application/x-tar")
    if b'"error"' in answer:
        raise ImageProblem(f"{name} could not be imported: {answer.decode(errors='replace')}")


def _make(host: str, name: str, files: Callable[[], bytes], config: dict[str, object]) -> str:
    labels = _labels(host, name)
    if labels is None or labels.get(MARK) != EDITION:
        changes = [f"{key} {json.dumps(value)}" for key, value in config.items()]
        path = "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        import_image(host, name, files(), [*changes, path, f"LABEL {MARK}={EDITION}"])
    return name


def _labels(host: str, name: str) -> dict[str, str] | None:
    """None when there is no such image."""
    try:
        return api.ask_json(host, "GET", f"/images/{name}/json")["Config"]["Labels"] or {}
    except api.Refused:
        return None


def _pull(host: str, repository: str, tag: str) -> bool:
    query = urlencode({"fromImage": repository, "tag": tag})
    try:
        answer = api.ask(host, "POST", f"/images/create?{query}", timeout_s=PULL_SILENCE_S)
    except (api.Refused, OSError):
        return False
    return b'"error"' not in answer


# --- file systems ------------------------------------------------------------------------------------------


class _Tree:
    """A tar in memory, with everything owned by root and one modification time."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")  # noqa: SIM115 - closed in `tar`
        for path, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700), ("run", 0o755)):
            self._add(path, tarfile.DIRTYPE, mode=mode)
        self.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        self.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")

    def text(self, path: str, words: str) -> None:
        self._add(path, tarfile.REGTYPE, words.encode())

    def file(self, path: str, source: Path) -> None:
        self._add(path, tarfile.REGTYPE, source.read_bytes(), mode=source.stat().st_mode & 0o777)

    def program(self, path: str, words: str) -> None:
        self._add(path, tarfile.REGTYPE, words.encode(), mode=0o755)

    def folder(self, path: str, source: Path) -> None:
        for each in sorted(source.rglob("*")):
            inside = each.relative_to(source)
            if each.is_file() and not _LEFT_OUT & set(inside.parts):
                self.file(f"{path}/{inside}", each)

    def directory(self, path: str) -> None:
        self._add(path, tarfile.DIRTYPE, mode=0o755)

    def link(self, path: str, target: str) -> None:
        self._add(path, tarfile.SYMTYPE, target=target)

    def tar(self) -> bytes:
        self._tar.close()
        return self._bytes.getvalue()

    def _add(self, path: str, kind: bytes, data: bytes = b"", *, mode: int = 0o644, target: str = "") -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), target
        self._tar.addfile(entry, io.BytesIO(data))


def _add_busybox(tree: _Tree) -> None:
    binary = _needed("busybox")
    tree.file("bin/busybox", binary)
    applets = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True, timeout=10)
    for applet in applets.stdout.split():
        if applet != "busybox":
            tree.link(f"bin/{applet}", "busybox")


def _busybox_files() -> bytes:
    tree = _Tree()
    _add_busybox(tree)
    return tree.tar()


_NGINX_CONFIG = """\
user root;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 512; }
http {
    access_log /dev/stdout;
    default_type text/html;
    server {
        listen 80;
        location / {
            return 200 "<!doctype html><title>Orion</title><h1>It works.</h1><p>Served by $hostname</p>\\n";
        }
    }
}
"""


def _web_files() -> bytes:
    tree = _Tree()
    _add_busybox(tree)
    binary = _needed("nginx")
    tree.file("usr/sbin/nginx", binary)
    for library in _libraries(binary):
        tree.file(str(library).lstrip("/"), library)
    tree.text("etc/nginx/nginx.conf", _NGINX_CONFIG)
    for directory in ("var/log/nginx", "var/lib/nginx", "usr/share/nginx"):
        tree.directory(directory)
    return tree.tar()


# Of Python's library, what no program of ours loads.
_LEFT_OUT = {"__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "tkinter", "turtledemo", "pydoc_data"}


@functools.cache
def _front_door_files() -> bytes:
    tree = _Tree()
    _add_orion(tree, ("caddy",), ("orion", "click", "msgspec", "typing_extensions"))
    tree.directory("data")
    return tree.tar()


@functools.cache
def _csi_dir_files() -> bytes:
    tree = _Tree()
    libraries = ("grpclib", "google", "h2", "hpack", "hyperframe", "multidict")
    programs = ("cp", "sync", "mkfs.ext4", "e2fsck", "resize2fs")
    python = _add_orion(tree, programs, ("orion", "msgspec", "typing_extensions", *libraries))
    tree.program("usr/bin/orion-csi-dir", f'#!/bin/sh\nexec {python} -m orion.csi_dir.main "$@"\n')
    return tree.tar()


def _add_orion(tree: _Tree, programs: tuple[str, ...], modules: tuple[str, ...]) -> str:
    """Adds Debian's Python with these modules. Returns its program's name."""
    _add_busybox(tree)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    libraries: set[Path] = set()
    for program in (*programs, python):
        binary = Path("/usr/bin", program) if program == python else _needed(program)
        if not binary.exists():
            raise ImageProblem(f"{binary} is needed to make a test image: its modules are of this Python")
        tree.file(f"usr/bin/{program}", binary)
        libraries.update(_libraries(binary))
    tree.folder(f"usr/lib/{python}", Path("/usr/lib", python))
    for extension in Path("/usr/lib", python, "lib-dynload").glob("_ctypes.*.so"):
        libraries.update(_libraries(extension))
    for module in modules:
        found = importlib.util.find_spec(module)
        if found is None:
            raise ImageProblem(f"{module} is not a package of this environment")
        for place in map(Path, found.submodule_search_locations or ()):
            tree.folder(f"opt/orion/{module}", place)
            for extension in place.rglob("*.so"):
                libraries.update(_libraries(extension))
        if found.submodule_search_locations is None and found.origin is not None:
            tree.file(f"opt/orion/{Path(found.origin).name}", Path(found.origin))
    for library in sorted(libraries):
        tree.file(str(library).lstrip("/"), library)
    tree.program("usr/bin/orion", f'#!/bin/sh\nexec {python} -m orion "$@"\n')
    return python


def _libraries(binary: Path) -> list[Path]:
    """By the paths the loader will look at inside, as ldd shows them: `name => path (…)` and `loader (…)`."""
    shown = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True, timeout=10)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", shown.stdout)]


@functools.cache
def _needed(program: str) -> Path:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise ImageProblem(
            f"{program} is needed to make a test image. Debian and Ubuntu have it: "
            f"apt-get install --no-install-recommends {PACKAGES}"
        )
    return Path(found)


_MAKERS = {"busybox": busybox, "web": web, "nginx": nginx, "front-door": front_door, "csi-dir": csi_dir}


def main(arguments: list[str]) -> int:
    host = os.environ.get("DOCKER_HOST", api.DEFAULT_HOST)
    try:
        if arguments == ["--forget"]:
            forget(host)
        elif arguments and all(a in _MAKERS for a in arguments):
            for name in arguments:
                print(_MAKERS[name](host))
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (ImageProblem, api.Refused, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
