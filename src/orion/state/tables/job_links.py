"""Jobs by what they say of names: other names of their own (`aliases`), and other jobs whose tasks may reach theirs
(`allow_from`). A job that says neither has no row.
"""

from collections.abc import Iterable

import msgspec

from orion.model.errors import Conflict
from orion.model.ids import JobName
from orion.model.job import Job
from orion.model.levels import since
from orion.model.network import NetworkAlias
from orion.state.core.frames import Rows
from orion.state.core.indexes import KeysBy
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import Tables
from orion.state.tables.job_configs import specs_of


class JobLinksRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`aliases` are those of the job's present version, and `allowed` are named by any that is kept, each once and
    sorted.
    """

    job: JobName
    aliases: tuple[NetworkAlias, ...]
    allowed: tuple[JobName, ...]


@since(2, words="other names of a job")
class JobLinksFrame(Rows, frozen=True, array_like=True, tag=21):
    rows: list[JobLinksRow]


class JobLinks(KeyedTable[JobName, JobLinksRow]):
    rows_frame = JobLinksFrame

    def __init__(self, state: TableSet) -> None:
        self._by_alias = KeysBy[JobName, JobLinksRow](lambda row: {each.name for each in row.aliases})
        super().__init__(state, self._by_alias)

    @staticmethod
    def key(row: JobLinksRow) -> JobName:
        return row.job

    def called(self, alias: str) -> list[JobName]:
        """The jobs that have this alias, on whichever network, sorted."""
        return sorted(self._by_alias.of(alias))

    def guarded(self) -> Iterable[JobLinksRow]:
        """Those that name who may reach them."""
        return (row for row in self.rows.values() if row.allowed)


def refuse_aliases(state: Tables, job: Job) -> Conflict | None:
    """Refuses an alias that is another job's name, which would be found by it."""
    taken = next(
        (each.name for each in job.task.aliases if each.name != job.name and each.name in state.jobs), None
    )
    if taken is None:
        return None
    return Conflict(f"{taken} is a job's name, so {job.name} can't have it as an alias: choose another")


def keep(state: Tables, job: JobName) -> None:
    table, record = state.of(JobLinks), state.jobs.get(job)
    aliases = record.job.task.aliases if record is not None else ()
    allowed = {each for spec in specs_of(state, job) for each in spec.allow_from}
    if aliases or allowed:
        table.put(JobLinksRow(job, aliases, tuple(sorted(allowed))))
    elif table.get(job) is not None:
        table.drop(job)


TABLES = (JobLinks,)
COMMANDS = ()
