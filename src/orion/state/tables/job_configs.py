"""The configs that versions of jobs were asked for with, as they were then: what is put under a key later reaches a
job with its next version, and a rollback brings back what was there before.

Each row is one config at one version, with the jobs of which some version has it. A row goes with the last of them.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from orion.model.configs import MAX_TASK_BYTES, Config
from orion.model.errors import Refused
from orion.model.ids import JobName
from orion.model.job import ConfigRef, TaskSpec
from orion.model.levels import since
from orion.model.limits import MAX_STRING_BYTES
from orion.state.core.frames import Rows
from orion.state.core.indexes import KeysBy, Total
from orion.state.core.table import KeyedTable, Table, TableSet
from orion.state.records import Tables
from orion.state.tables.configs import Configs

MAX_KEPT_BYTES = 64 * 1024 * 1024  # of all rows

_Table = TypeVar("_Table", bound=Table)


class KeptConfig(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`jobs` are sorted."""

    config: Config
    jobs: tuple[JobName, ...]


@since(2, words="configs of versions of jobs")
class KeptConfigsFrame(Rows, frozen=True, array_like=True, tag=15):
    rows: list[KeptConfig]


class KeptConfigs(KeyedTable[str, KeptConfig]):
    rows_frame = KeptConfigsFrame

    def __init__(self, state: TableSet) -> None:
        self._by_job = KeysBy[str, KeptConfig](lambda row: row.jobs)
        self._bytes = Total(_weight)
        super().__init__(state, self._by_job, self._bytes)

    @staticmethod
    def key(row: KeptConfig) -> str:
        return key_of(row.config.stat.key, row.config.stat.version)

    @staticmethod
    def size_bytes(row: KeptConfig) -> int:
        return row.config.stat.size_bytes + sum(map(len, row.jobs))

    @staticmethod
    def can_be(row: KeptConfig) -> bool:
        return row.config.stat.size_bytes == len(row.config.value) and len(row.jobs) > 0

    @property
    def bytes(self) -> int:
        return self._bytes.total

    def of_job(self, job: JobName) -> list[str]:
        return sorted(self._by_job.of(job))


def _weight(row: KeptConfig) -> int:
    return len(row.config.stat.key) + row.config.stat.size_bytes


def key_of(key: str, version: int) -> str:
    return f"{key}@{version}"


class _Tabled(Protocol):
    """A state, or a view of one."""

    def of(self, table: type[_Table]) -> _Table: ...


def find(state: _Tabled, key: str, version: int) -> Config | None:
    """Returns a config at a version, if it is kept, or still is what its key has."""
    kept = state.of(KeptConfigs).get(key_of(key, version))
    if kept is not None:
        return kept.config
    now = state.of(Configs).get(key)
    return now if now is not None and now.stat.version == version else None


def pinned(state: _Tabled, task: TaskSpec) -> TaskSpec:
    """Returns the task with its configs at the versions that they have now. What does not exist yet has none: each
    container gets what is there when it is made.
    """
    if not task.configs:
        return task
    configs = state.of(Configs)
    return replace(task, configs=tuple(_pinned(ref, configs.get(ref.key)) for ref in task.configs))


def _pinned(ref: ConfigRef, now: Config | None) -> ConfigRef:
    return ref if ref.version or now is None else replace(ref, version=now.stat.version)


def refusal(state: _Tabled, job: JobName, task: TaskSpec) -> Refused | None:
    """Returns why a job can't have the configs of a task; None when it can."""
    added = 0
    sizes: dict[str, int] = {}
    for ref in _refs(task):
        config = find(state, ref.key, ref.version)
        if config is None:
            return Refused(
                f"config {ref.key} is not kept at version {ref.version}, as {job} asks for it: leave the version"
                " out for what is there now"
            )
        size = sizes[key_of(ref.key, ref.version)] = config.stat.size_bytes
        if ref.env and config.stat.folder:
            return Refused(f"config {ref.key} is a folder, which can't be variable {ref.env[:80]} of {job}")
        if ref.env and len(ref.env) + 1 + size > MAX_STRING_BYTES:
            return Refused(
                f"config {ref.key} has {size:,} bytes, more than Linux allows in variable {ref.env[:80]} of {job}:"
                " give it as a file"
            )
        if state.of(KeptConfigs).get(key_of(ref.key, ref.version)) is None:
            added += len(ref.key) + config.stat.size_bytes
    if (together := sum(sizes.values())) > MAX_TASK_BYTES:
        return Refused(
            f"the configs of {job} have {together:,} bytes together; a task gets at most {MAX_TASK_BYTES:,}"
        )
    held = state.of(KeptConfigs).bytes
    if added and held + added > MAX_KEPT_BYTES:
        return Refused(
            f"configs that versions of jobs have can have {MAX_KEPT_BYTES:,} bytes together, and have {held:,};"
            f" {job} adds {added:,}: remove jobs that have large ones"
        )
    return None


def _refs(task: TaskSpec) -> Iterator[ConfigRef]:
    return (ref for ref in task.configs if ref.version)


def keep(state: Tables, job: JobName) -> None:
    """Keeps what the versions of the job need, and nothing else of it; nothing of a job that is gone."""
    table = state.of(KeptConfigs)
    needed = {key_of(ref.key, ref.version): ref for task in specs_of(state, job) for ref in _refs(task)}
    for key in table.of_job(job):
        if key not in needed:
            _disown(table, key, job)
    for key, ref in sorted(needed.items()):
        row = table.get(key)
        if row is not None:
            if job not in row.jobs:
                table.put(replace(row, jobs=tuple(sorted({*row.jobs, job}))))
        elif (config := find(state, ref.key, ref.version)) is not None:
            table.put(KeptConfig(config, (job,)))


def _disown(table: KeptConfigs, key: str, job: JobName) -> None:
    row = table.rows[key]
    jobs = tuple(each for each in row.jobs if each != job)
    if jobs:
        table.put(replace(row, jobs=jobs))
    else:
        table.drop(key)


def specs_of(state: Tables, job: JobName) -> Iterable[TaskSpec]:
    """Returns all of a job that are kept: of the present version, of former ones, and of its successor."""
    record = state.jobs.get(job)
    return record.kept_specs if record is not None else ()


TABLES = (KeptConfigs,)
COMMANDS = ()
