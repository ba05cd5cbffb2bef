"""Configs: their rows and how they are read; put and delete, each with a version to compare with."""

from collections.abc import Callable
from itertools import islice
from typing import Annotated

from orion.model.configs import MAX_KEY_BYTES, Config, ConfigStat, key_error, most_value_bytes
from orion.model.errors import Conflict, NotFound, OrionError, Refused, TooLarge
from orion.model.job import Placement
from orion.model.levels import since
from orion.model.network import AddressRange
from orion.model.settings import KEPT_LOGS, NETWORK, PLACEMENT, kept_logs, network, placement
from orion.state.core.command import Command, command, once_about
from orion.state.core.dedup import Answer, DedupTable
from orion.state.core.faults import key_fault, longer
from orion.state.core.frames import Rows
from orion.state.core.indexes import SortedKeys, Total
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import Tables

MAX_CONFIGS = 10_000
MAX_CONFIGS_BYTES = 64 * 1024 * 1024  # of all keys and values together


# By the key of a setting that another table relies on: why it can't have a value now, "" when it can.
REFUSALS: dict[str, Callable[[TableSet, bytes], str]] = {}

# --- rows --------------------------------------------------------------------------------------------------


class ConfigsFrame(Rows, frozen=True, array_like=True, tag=8):
    """By key."""

    rows: list[Config]


class Configs(KeyedTable[str, Config]):
    rows_frame = ConfigsFrame

    def __init__(self, state: TableSet) -> None:
        self._keys = SortedKeys()
        self._bytes = Total(_weight)
        super().__init__(state, self._keys, self._bytes)

    @staticmethod
    def key(row: Config) -> str:
        return row.stat.key

    @staticmethod
    def size_bytes(row: Config) -> int:
        return row.stat.size_bytes

    @staticmethod
    def can_be(row: Config) -> bool:
        return row.stat.size_bytes == len(row.value)

    def ordered(self) -> list[str]:
        return self._keys.keys

    @property
    def bytes(self) -> int:
        """As counted for MAX_CONFIGS_BYTES."""
        return self._bytes.total

    def stats(self, prefix: str, after: str = "", limit: int | None = None) -> list[ConfigStat]:
        """All keys past `after` that begin with `prefix`, by key. Costs what it gives, not what there is."""
        return [self.rows[key].stat for key in islice(self._keys.prefixed(prefix, after), limit)]

    @property
    def kept_logs(self) -> int:
        """For replaced runs of each task, on each node."""
        config = self.get(KEPT_LOGS)
        return kept_logs(config.value if config is not None else None)

    @property
    def placement(self) -> Placement:
        """For tasks that don't say themselves which node they want of those that fit."""
        config = self.get(PLACEMENT)
        return placement(config.value if config is not None else None)

    @property
    def network(self) -> AddressRange | None:
        """The addresses of the cluster's own network."""
        config = self.get(NETWORK)
        return network(config.value if config is not None else None)


def _weight(config: Config) -> int:
    return len(config.stat.key) + config.stat.size_bytes


class ConfigAnswer(Answer, frozen=True, array_like=True, gc=False):
    row: ConfigStat | None = None


class ConfigAnswersFrame(Rows, frozen=True, array_like=True, tag=9):
    """Oldest first."""

    rows: list[tuple[str, ConfigAnswer]]


class ConfigAnswers(DedupTable):
    """A memory of their own, so that a busy lock makes nobody forget who created what."""

    rows_frame = ConfigAnswersFrame
    answer = ConfigAnswer
    header_field = "config_answers_from"


# --- put ---------------------------------------------------------------------------------------------------


class PutConfig(Command, frozen=True, array_like=True, tag=10):
    """Refused (Conflict) unless the key is at `if_version`: None is any, 0 that it does not exist."""

    key: str
    value: bytes
    if_version: int | None
    idempotency_key: str
    since: int
    folder: Annotated[bool, since(2)] = False


class DeleteConfig(Command, frozen=True, array_like=True, tag=11):
    """As PutConfig; NotFound when there is no such key."""

    key: str
    if_version: int | None
    idempotency_key: str
    since: int


def _fault(command: PutConfig | DeleteConfig) -> str:
    return longer("key", len(command.key), 2 * MAX_KEY_BYTES) or key_fault(command.idempotency_key)


def _key(command: PutConfig | DeleteConfig) -> str:
    return command.key


@command(PutConfig, fault=_fault, once=once_about(ConfigAnswers, "put", _key))
def put_config(state: Tables, step: Step, command: PutConfig) -> ConfigStat | OrionError:
    """Answered with the config as it is then."""
    configs = state.of(Configs)
    key, size = command.key, len(command.value)
    former = configs.get(key)
    wrong = _version_error(key, former, command.if_version) or _size_error(state, key, size, former)
    if wrong is not None:
        return wrong
    if (refuse := REFUSALS.get(key)) is not None and (why := refuse(state, command.value)):
        return Conflict(f"{key} can't be that now: {why}")
    created_at_ms = former.stat.created_at_ms if former else step.at_ms
    stat = ConfigStat(key, step.index, size, created_at_ms, step.at_ms, command.folder)
    configs.put(Config(stat, command.value))
    return stat


def _size_error(state: Tables, key: str, size: int, former: Config | None) -> OrionError | None:
    configs, most = state.of(Configs), most_value_bytes(state.level)
    if (wrong := key_error(key)) is not None:
        return Refused(wrong)
    if size > most:
        return TooLarge(f"the value is {size:,} bytes; a config has at most {most:,}")
    if former is None and len(configs) >= MAX_CONFIGS:
        return Refused(f"there are {MAX_CONFIGS:,} configs, the most there can be: delete some first")
    grown = size - former.stat.size_bytes if former else len(key) + size
    if grown > 0 and configs.bytes + grown > MAX_CONFIGS_BYTES:
        return Refused(
            f"all configs together can have {MAX_CONFIGS_BYTES:,} bytes, and have {configs.bytes:,}; "
            f"this adds {grown:,}: delete some first"
        )
    return None


# --- delete ------------------------------------------------------------------------------------------------


@command(DeleteConfig, fault=_fault, once=once_about(ConfigAnswers, "delete", _key))
def delete_config(state: TableSet, _step: Step, command: DeleteConfig) -> ConfigStat | OrionError:
    """Answered with the config as it was."""
    configs, key = state.of(Configs), command.key
    former = configs.get(key)
    if former is None:
        return NotFound(f"there is no config {key}; orion config ls lists them")
    if (wrong := _version_error(key, former, command.if_version)) is not None:
        return wrong
    configs.drop(key)
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


TABLES = (ConfigAnswers, Configs)
COMMANDS = (put_config, delete_config)
