"""Ways between rows: down to the parts of one, up to its owner, and across to its node. Pure."""

from collections.abc import Callable
from typing import Any, NamedTuple

from orion.model.api.watch import Noun
from orion.model.job import JobKind


class Scope(NamedTuple):
    """Only rows that belong to the one of `noun` with this key."""

    noun: Noun
    key: str

    def __str__(self) -> str:
        return f"{self.noun.removesuffix('s')} {self.key}"


class Jump(NamedTuple):
    """Another view. `scope`: only what belongs to that. `at`: the row that the cursor goes to; "": the first."""

    view: str
    scope: Scope | None = None
    at: str = ""


def job_of(task: str) -> str:
    """The job of a task, by its id."""
    return task.rpartition("/")[0]


# (rows of this noun, that belong to one of that noun) -> whether one does.
_BELONGS: dict[tuple[Noun, Noun], Callable[[Any, str], bool]] = {
    (Noun.TASKS, Noun.JOBS): lambda row, key: row.job == key,
    (Noun.TASKS, Noun.NODES): lambda row, key: row.node_id == key,
    (Noun.TASKS, Noun.TASKS): lambda row, key: row.id == key,
    (Noun.ALLOCATIONS, Noun.JOBS): lambda row, key: job_of(row.task) == key,
    (Noun.ALLOCATIONS, Noun.TASKS): lambda row, key: row.task == key,
    (Noun.ALLOCATIONS, Noun.NODES): lambda row, key: row.node_id == key,
    (Noun.DEPLOYMENTS, Noun.JOBS): lambda row, key: row.job == key,
    (Noun.JOBS, Noun.JOBS): lambda row, key: row.run_of == key,
    (Noun.VOLUMES, Noun.JOBS): lambda row, key: key in row.used_by,
    (Noun.VOLUMES, Noun.NODES): lambda row, key: row.node_id == key,
}


def belongs(noun: Noun, scope: Scope) -> Callable[[Any], bool] | None:
    """Returns a test for rows of `noun`; None where nothing of it belongs to what the scope names."""
    test = _BELONGS.get((noun, scope.noun))
    return None if test is None else lambda row: test(row, scope.key)


def down(noun: Noun, row: Any) -> Jump | None:
    """Returns where Enter leads: to the parts of a row."""
    match noun:
        case Noun.JOBS if row.kind == JobKind.CRON:
            return Jump("jobs", Scope(Noun.JOBS, row.name))
        case Noun.JOBS:
            return Jump("tasks", Scope(Noun.JOBS, row.name))
        case Noun.NODES:
            return Jump("tasks", Scope(Noun.NODES, row.name))
        case Noun.TASKS:
            return Jump("allocations", Scope(Noun.TASKS, row.id))
        case Noun.DEPLOYMENTS:
            return Jump("tasks", Scope(Noun.JOBS, row.job))
        case Noun.VOLUMES if row.used_by:
            return Jump("jobs", None, row.used_by[0])
        case _:
            return None


def owner(noun: Noun, row: Any) -> Jump | None:
    """Returns where what a row belongs to is."""
    match noun:
        case Noun.TASKS:
            return Jump("jobs", None, row.job)
        case Noun.ALLOCATIONS:
            return Jump("tasks", None, row.task)
        case Noun.DEPLOYMENTS:
            return Jump("jobs", None, row.job)
        case Noun.JOBS if row.run_of:
            return Jump("cron", None, row.run_of)
        case Noun.VOLUMES if row.used_by:
            return Jump("jobs", None, row.used_by[0])
        case _:
            return None


def node_of(noun: Noun, row: Any) -> Jump | None:
    """Returns where the node of a row is."""
    if noun in (Noun.TASKS, Noun.ALLOCATIONS, Noun.VOLUMES) and row.node_id:
        return Jump("nodes", None, row.node_id)
    return None


def job_name(noun: Noun, row: Any) -> str:
    """Returns the job that a row is or belongs to; "" where there is none."""
    match noun:
        case Noun.JOBS:
            return str(row.name)
        case Noun.TASKS | Noun.DEPLOYMENTS:
            return str(row.job)
        case Noun.ALLOCATIONS:
            return job_of(row.task)
        case _:
            return ""
