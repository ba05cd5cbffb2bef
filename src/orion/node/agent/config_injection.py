"""The configs that a task gets, read when its container is made."""

from collections.abc import Awaitable, Callable

import msgspec

from orion.model.configs import Config
from orion.model.container import File
from orion.model.job import ConfigRef, TaskSpec
from orion.model.limits import MAX_STRING_BYTES

# Linearizable: what was put before the task was created is seen, wherever the task runs.
ConfigReader = Callable[[tuple[str, ...]], Awaitable[tuple[Config | None, ...]]]


class NotThere(Exception):
    """A config is missing, or is not what the task can be given; `str` says which and why."""


class Mounted(msgspec.Struct, frozen=True):
    """`spec` with its variables, and the files to put into the container before its first start."""

    spec: TaskSpec
    files: tuple[File, ...] = ()


async def mounted(spec: TaskSpec, read: ConfigReader) -> Mounted:
    """Raises NotThere, and what `read` raises."""
    if not spec.configs:
        return Mounted(spec)
    keys = tuple(dict.fromkeys(mount.key for mount in spec.configs))
    found = dict(zip(keys, await read(keys), strict=True))
    env, files = dict(spec.env), []
    for mount in spec.configs:
        config = found[mount.key]
        if config is None:
            raise NotThere(f"config {mount.key} does not exist: the task starts once it does")
        if mount.env:
            env[mount.env] = _variable(mount, config.value)
        else:
            files.append(File(mount.path, config.value, mount.mode))
    return Mounted(msgspec.structs.replace(spec, env=tuple(sorted(env.items()))), tuple(files))


def _variable(mount: ConfigRef, value: bytes) -> str:
    what = f"config {mount.key} can't be the variable {mount.env}"
    if len(mount.env) + 1 + len(value) > MAX_STRING_BYTES:
        raise NotThere(f"{what}: it is longer than Linux allows")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise NotThere(f"{what}: it is not UTF-8; give it as a file, or change it") from None
    if "\0" in text:
        raise NotThere(f"{what}: it holds a zero byte; give it as a file, or change it")
    return text
