"""A hook: the configs that a task gets, read when its container is made."""

from collections.abc import Awaitable, Callable

import msgspec

from orion.model.api.config_refs import MAX_PATH, path_error
from orion.model.configs import Config
from orion.model.container import File
from orion.model.errors import TooLarge
from orion.model.folders import MAX_PATH_BYTES, FolderError, read_folder
from orion.model.job import ConfigRef
from orion.model.limits import MAX_STRING_BYTES
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest

# Linearizable: what was put before the task was created is seen, wherever the task runs.
ConfigReader = Callable[[tuple[str, ...]], Awaitable[tuple[Config | None, ...]]]


class ConfigInjection:
    """Gives a task its configs, as variables and files, until its container has run for the first time."""

    name = "configs"

    def __init__(self, read: ConfigReader) -> None:
        self._read = read

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        spec = start.spec
        if not spec.configs or start.ran:
            return prepared
        keys = tuple(dict.fromkeys(map(_asked, spec.configs)))
        try:
            found = dict(zip(keys, await self._read(keys), strict=True))
        except TooLarge as error:
            raise NotYet(error.detail) from None
        env, files = dict(prepared.spec.env), list(prepared.files)
        for mount in spec.configs:
            config = found[_asked(mount)]
            if config is None and mount.version:
                raise NotYet(f"config {mount.key} is not kept at version {mount.version}: deploy the job again")
            if config is None:
                raise NotYet(f"config {mount.key} does not exist: the task starts once it does")
            if mount.env:
                env[mount.env] = _variable(mount, config)
            else:
                files += _files(mount, config)
        given = msgspec.structs.replace(prepared.spec, env=tuple(sorted(env.items())))
        return msgspec.structs.replace(prepared, spec=given, files=tuple(files))


def _asked(ref: ConfigRef) -> str:
    """Returns the key that is asked for, with its version where that is said."""
    return f"{ref.key}@{ref.version}" if ref.version else ref.key


def _files(mount: ConfigRef, config: Config) -> list[File]:
    """A folder's are read anew: whoever sent it may not have looked, and they are to stay below the path."""
    owner, at_s = (mount.uid, mount.gid), config.stat.changed_at_ms // 1000
    if not config.stat.folder:
        return [File(mount.path, config.value, mount.mode, *owner, at_s)]
    files = []
    try:
        entries = read_folder(config.value)
    except FolderError as error:
        raise NotYet(f"config {mount.key} is not a folder that can be given: {error}") from None
    for entry in entries:
        path = f"{mount.path}/{entry.path}"
        if (wrong := path_error(path, MAX_PATH + MAX_PATH_BYTES)) is not None:
            raise NotYet(f"config {mount.key} can't be given at {mount.path}: {wrong}")
        files.append(File(path, entry.content, entry.mode, *owner, at_s, entry.kind, entry.target))
    return files


def _variable(mount: ConfigRef, config: Config) -> str:
    value, what = config.value, f"config {mount.key} can't be the variable {mount.env}"
    if config.stat.folder:
        raise NotYet(f"{what}: it is a folder")
    if len(mount.env) + 1 + len(value) > MAX_STRING_BYTES:
        raise NotYet(f"{what}: it is longer than Linux allows; give it as a file")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise NotYet(f"{what}: it is not UTF-8; give it as a file, or change it") from None
    if "\0" in text:
        raise NotYet(f"{what}: it holds a zero byte; give it as a file, or change it")
    return text
