"""Which configs a task gets, and how: the rules, and values as what a container can be given."""

import re

from orion.model.api.views import ConfigRefRequest
from orion.model.errors import FieldError, shown
from orion.model.job import ConfigRef

DEFAULT_MODE = 0o644
_MODE = re.compile(r"0?[0-7]{3}")
_PATH = re.compile(r"(?:/[^/\x00-\x1f\x7f]+)+")
_MAX_PATH = 1024
# Mounted over the container's own files when it starts, so that what was put there is not seen.
_HIDDEN = ("/proc", "/sys", "/dev")
_DOCKERS = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})


def path_error(path: str) -> str | None:
    """What is wrong with the path of a file in a container, or None."""
    if len(path) > _MAX_PATH or not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        return f"{shown(path)} is not a file's path: write it from the root and plainly, as in /etc/app.conf"
    if path in _DOCKERS or any(path == top or path.startswith(f"{top}/") for top in _HIDDEN):
        return f"{path} is the container engine's own: choose another path"
    return None


def mode_error(mode: str) -> str | None:
    if mode and not _MODE.fullmatch(mode):
        return f"{mode[:20]!r} is not a file's mode: write three octal digits, as in 600 or 0644"
    return None


def mount_from_request(request: ConfigRefRequest) -> ConfigRef:
    """Of one that has no errors."""
    mode = int(request.mode, 8) if request.mode else DEFAULT_MODE
    return ConfigRef(request.key, request.env, request.path, mode if request.path else 0)


def mount_to_request(mount: ConfigRef) -> ConfigRefRequest:
    return ConfigRefRequest(mount.key, mount.env, mount.path, f"{mount.mode:04o}" if mount.path else "")


def paths_that_clash(paths: list[str]) -> list[FieldError]:
    """Of `configs` in the order of the request; "" where one is no file. A file is given once, and is no folder."""
    errors = []
    for at, path in enumerate(paths):
        if not path:
            continue
        where = f"/configs/{at}/path"
        if path in paths[:at]:
            errors.append(FieldError(where, f"file {path} is given twice"))
        elif any(other.startswith(f"{path}/") for other in paths):
            errors.append(FieldError(where, f"{path} can't be a file and hold another one"))
    return errors
