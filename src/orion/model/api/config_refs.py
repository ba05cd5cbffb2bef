"""Configs that a task gets, in JSON: what is taken, and as what a container can be given."""

import re
from collections.abc import Iterable
from typing import Annotated

import msgspec

from orion.model.api.fields import Reading, schema
from orion.model.configs import KEY_PATTERN, MAX_KEY_BYTES, key_error
from orion.model.errors import shown
from orion.model.job import ConfigRef
from orion.model.limits import MAX_MOUNTS, MAX_OWNER

DEFAULT_MODE = 0o644
MAX_VERSION = 2**53  # which every JSON reader takes
VARIABLE = r"[A-Za-z_][A-Za-z0-9_.-]*"
_MODE = r"0?[0-7]{3}"
_PATH = r"(?:/[^/\x00-\x1f\x7f]+)+"
MAX_PATH = 1024
# Mounted over the container's own files when it starts, so that what was put there is not seen.
_HIDDEN = ("/proc", "/sys", "/dev")
_DOCKERS = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
_FILE_PATH = (
    r"^$|^(?!/(proc|sys|dev)(/|$))(?!/etc/(hosts|hostname|resolv\.conf)$)(?!.*/\.{1,2}(/|$))"
    r"(/[^/\x00-\x1f\x7f]+)+$"
)


class ConfigRefRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A config that a task gets: as a variable, or as a file."""

    key: Annotated[
        str, schema("The config's key, as in app/database/url.", pattern=KEY_PATTERN, maxLength=MAX_KEY_BYTES)
    ]
    env: Annotated[str, schema("The variable that has its value.", pattern=rf"^({VARIABLE})?$")] = ""
    path: Annotated[
        str,
        schema("The file that has it, or where a folder's are.", pattern=_FILE_PATH, maxLength=MAX_PATH),
    ] = ""
    mode: Annotated[
        str,
        schema("The file's permissions (empty: 0644). A folder's have their own.", pattern="^(0?[0-7]{3})?$"),
    ] = ""
    version: Annotated[
        int,
        schema(
            "The version that it has to be, which must be kept; 0: of a job the one that is there when it is put.",
            minimum=0,
            maximum=MAX_VERSION,
        ),
    ] = 0
    uid: Annotated[int, schema("The number of the file's owner.", minimum=0, maximum=MAX_OWNER)] = 0
    gid: Annotated[int, schema("The number of its group.", minimum=0, maximum=MAX_OWNER)] = 0


_EMPTY = {"maxLength": 0}
_ROOT = {"maximum": 0}
ONE_USE = schema(
    oneOf=[
        {
            "required": ["env"],
            "properties": {"env": {"minLength": 1}, "path": _EMPTY, "mode": _EMPTY, "uid": _ROOT, "gid": _ROOT},
        },
        {"required": ["path"], "properties": {"path": {"minLength": 1}, "env": _EMPTY}},
    ]
)


def read_configs(configs: list[ConfigRefRequest], reading: Reading) -> tuple[ConfigRef, ...]:
    if len(configs) > MAX_MOUNTS:
        reading.wrong(f"{reading.name} has {len(configs)}; a task can have {MAX_MOUNTS}")
        return ()
    known = len(reading.errors)
    names = set(reading.request.env)
    for at, asked in enumerate(configs):
        _refuse_wrong(asked, at, names, reading)
        names.add(asked.env)
    _refuse_clashes([asked.path for asked in configs], reading)
    return tuple(map(_read, configs)) if len(reading.errors) == known else ()


def _refuse_wrong(asked: ConfigRefRequest, at: int, names: set[str], reading: Reading) -> None:
    if (wrong := key_error(asked.key)) is not None:
        reading.wrong(wrong, at, "key")
    for part, number, most in (
        ("version", asked.version, MAX_VERSION),
        ("uid", asked.uid, MAX_OWNER),
        ("gid", asked.gid, MAX_OWNER),
    ):
        if not 0 <= number <= most:
            reading.wrong(f"{part} is {number:,}: give 0 to {most:,}", at, part)
    if bool(asked.env) == bool(asked.path):
        words = f"config {shown(asked.key)} needs one of env and path: a variable's name, or a file's path"
        reading.wrong(words, at)
        return
    for part, found in _file_errors(asked) if asked.path else _variable_errors(asked, names):
        if found:
            reading.wrong(found, at, part)


_Errors = Iterable[tuple[str, str | None]]  # by the field that they are about


def _file_errors(asked: ConfigRefRequest) -> _Errors:
    return (("path", path_error(asked.path)), ("mode", mode_error(asked.mode)))


def _variable_errors(asked: ConfigRefRequest, names: set[str]) -> _Errors:
    twice = f"variable {asked.env[:80]} is given twice" if asked.env in names else None
    return (
        ("mode", "a variable has no mode: only files have" if asked.mode else None),
        ("uid", "a variable has no owner: only files have" if asked.uid else None),
        ("gid", "a variable has no group: only files have" if asked.gid else None),
        ("env", variable_error(asked.env) or twice),
    )


def _read(asked: ConfigRefRequest) -> ConfigRef:
    mode = int(asked.mode, 8) if asked.mode else DEFAULT_MODE
    mode = mode if asked.path else 0
    return ConfigRef(asked.key, asked.env, asked.path, mode, asked.version, asked.uid, asked.gid)


def show_configs(refs: tuple[ConfigRef, ...]) -> list[ConfigRefRequest]:
    return [_shown(ref) for ref in refs]


def _shown(ref: ConfigRef) -> ConfigRefRequest:
    mode = f"{ref.mode:04o}" if ref.path else ""
    return ConfigRefRequest(ref.key, ref.env, ref.path, mode, ref.version, ref.uid, ref.gid)


def variable_error(name: str) -> str | None:
    """Says what is wrong with the name of a variable, or None."""
    if re.fullmatch(VARIABLE, name):
        return None
    return f"{shown(name)} is not a variable's name: use letters, digits, '_', '.' and '-', no digit first"


def path_error(path: str, most: int = MAX_PATH, hidden: tuple[str, ...] = _HIDDEN) -> str | None:
    """Says what is wrong with the path of a file in a container, or None. `hidden`: directories in which it can't
    be.
    """
    if len(path) > most or not re.fullmatch(_PATH, path) or {".", ".."} & set(path.split("/")):
        return f"{shown(path)} is not a file's path: write it from the root and plainly, as in /etc/app.conf"
    if path in _DOCKERS or any(path == top or path.startswith(f"{top}/") for top in hidden):
        return f"{path} is the container engine's own: choose another path"
    return None


def mode_error(mode: str) -> str | None:
    if mode and not re.fullmatch(_MODE, mode):
        return f"{mode[:20]!r} is not a file's mode: write three octal digits, as in 600 or 0644"
    return None


def _refuse_clashes(paths: list[str], reading: Reading) -> None:
    """A file is given once, and is no folder. `paths` are in the order of the request, "" for what is no file."""
    for at, path in enumerate(paths):
        if not path:
            continue
        if path in paths[:at]:
            reading.wrong(f"file {path} is given twice", at, "path")
        elif any(other.startswith(f"{path}/") for other in paths):
            reading.wrong(f"{path} can't be a file and hold another one", at, "path")
