"""Config commands: put, delete, each with a version to compare with."""

from bisect import bisect_left, insort
from collections.abc import Callable

from orion.model.configs import MAX_VALUE_BYTES, Config, ConfigStat, key_error
from orion.model.errors import Conflict, NotFound, OrionError, Refused, TooLarge
from orion.state.commands import DeleteConfig, PutConfig
from orion.state.core.step import Answered, Result, Step
from orion.state.idempotency import once
from orion.state.records import MAX_CONFIGS, MAX_CONFIGS_BYTES
from orion.state.tables import State


def put_config(state: State, step: Step, command: PutConfig) -> Result:
    return _once(state, step, "put", command, lambda: _put(state, step, command))


def delete_config(state: State, step: Step, command: DeleteConfig) -> Result:
    return _once(state, step, "delete", command, lambda: _delete(state, command))


def _once(
    state: State, step: Step, verb: str, command: PutConfig | DeleteConfig, change: Callable[[], Answered]
) -> Answered:
    # Of this key and verb only: an idempotency key is the caller's own, and may be used again elsewhere.
    mark = f"{verb} {command.idempotency_key} {command.key}"
    return once(state.config_answers, step.index, mark, command.since, command.key, change)


def _put(state: State, step: Step, command: PutConfig) -> ConfigStat | OrionError:
    key, size = command.key, len(command.value)
    former = state.configs.get(key)
    wrong = _version_error(key, former, command.if_version) or _size_error(state, key, size, former)
    if wrong is not None:
        return wrong
    created_at_ms = former.stat.created_at_ms if former else step.at_ms
    stat = ConfigStat(key, step.index, size, created_at_ms, step.at_ms)
    state.configs[key] = Config(stat, command.value)
    if former is None:
        insort(state.config_keys, key)
        state.config_bytes += len(key) + size
    else:
        state.config_bytes += size - former.stat.size_bytes
    return stat


def _size_error(state: State, key: str, size: int, former: Config | None) -> OrionError | None:
    if (wrong := key_error(key)) is not None:
        return Refused(wrong)
    if size > MAX_VALUE_BYTES:
        return TooLarge(f"the value is {size:,} bytes; a config has at most {MAX_VALUE_BYTES:,}")
    if former is None and len(state.configs) >= MAX_CONFIGS:
        return Refused(f"there are {MAX_CONFIGS:,} configs, the most there can be: delete some first")
    grown = size - former.stat.size_bytes if former else len(key) + size
    if grown > 0 and state.config_bytes + grown > MAX_CONFIGS_BYTES:
        return Refused(
            f"all configs together can have {MAX_CONFIGS_BYTES:,} bytes, and have {state.config_bytes:,}; "
            f"this adds {grown:,}: delete some first"
        )
    return None


def _delete(state: State, command: DeleteConfig) -> ConfigStat | OrionError:
    key = command.key
    former = state.configs.get(key)
    if former is None:
        return NotFound(f"there is no config {key}; orion config ls lists them")
    if (wrong := _version_error(key, former, command.if_version)) is not None:
        return wrong
    del state.configs[key]
    del state.config_keys[bisect_left(state.config_keys, key)]
    state.config_bytes -= len(key) + former.stat.size_bytes
    return former.stat


def _version_error(key: str, former: Config | None, if_version: int | None) -> Conflict | None:
    version = former.stat.version if former else 0
    if if_version is None or if_version == version:
        return None
    if not version:
        return Conflict(f"{key} does not exist, so it is not at version {if_version}")
    if not if_version:
        return Conflict(f"{key} exists already, at version {version}")
    return Conflict(f"{key} is at version {version}, not {if_version}: read it again before you change it")
