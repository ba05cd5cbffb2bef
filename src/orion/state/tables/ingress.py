"""Ports that are open on every node: which job has which.

A job has the ports of its version, of the one that it would go back to, and of those that its slots want; of one
that is removed none is kept. A port that a version kept for later asks for may be another job's by then.
"""

from collections.abc import Iterator

import msgspec

from orion.model.errors import Conflict, OrionError, Refused
from orion.model.ids import JobName, task_id
from orion.model.job import Job, TaskSpec
from orion.model.levels import since
from orion.model.limits import MAX_INGRESS_PORTS
from orion.state.core.frames import Rows
from orion.state.core.indexes import KeysBy
from orion.state.core.table import KeyedTable, TableSet
from orion.state.job_record import JobRecord
from orion.state.records import Tables, port_key, port_text, static_port_keys

MAX_PORT_KEY = port_key(65_535, "udp")


class IngressRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`key` is a port_key."""

    key: int
    job: JobName


@since(2, words="ports that are published on every node")
class IngressFrame(Rows, frozen=True, array_like=True, tag=18):
    rows: list[IngressRow]


class Ingress(KeyedTable[int, IngressRow]):
    rows_frame = IngressFrame

    def __init__(self, state: TableSet) -> None:
        self._by_job = KeysBy[int, IngressRow](lambda row: (row.job,))
        super().__init__(state, self._by_job)

    @staticmethod
    def key(row: IngressRow) -> int:
        return row.key

    @staticmethod
    def can_be(row: IngressRow) -> bool:
        return port_key(1, "tcp") <= row.key <= MAX_PORT_KEY

    def of_job(self, job: JobName) -> list[int]:
        return sorted(self._by_job.of(job))


def ingress_keys(task: TaskSpec) -> tuple[int, ...]:
    return tuple(port_key(each.port, each.protocol) for each in task.ingress)


def refuse_ports(state: Tables, job: Job) -> OrionError | None:
    """Returns why a job can't have the ports that it asks for on nodes; None when it can. A port that is open on
    every node is no other task's on any of them.
    """
    table, own = state.of(Ingress), ingress_keys(job.task)
    new = [key for key in own if table.get(key) is None]
    if new and len(table) + len(new) > MAX_INGRESS_PORTS:
        return Refused(
            f"a cluster has at most {MAX_INGRESS_PORTS:,} ports on every node, of which {len(table):,} are taken:"
            f" {job.name} can't have {len(new):,} more"
        )
    static = static_port_keys(job.task)
    for key in (*own, *static):
        row = table.get(key)
        if row is not None and row.job != job.name:
            return Conflict(
                f"{port_text(key)} is {row.job}'s on every node, so {job.name} can't have it: choose another, or"
                f" remove {row.job} first"
            )
    both = sorted(set(own).intersection(static))
    if both:
        return Refused(f"{job.name} asks for {port_text(both[0])} on every node, and as a host port: one will do")
    return next(_held(state, job, own), None) if own else None


def _held(state: Tables, job: Job, keys: tuple[int, ...]) -> Iterator[Conflict]:
    for record in state.records.values():
        for key in keys:
            if (identity := record.ports.get(key)) is not None:
                held = state.allocations[identity]
                way = "choose another"
                if held.job == job.name:
                    way = f"scale {job.name} to 0 first, and back afterwards, or choose another"
                yield Conflict(
                    f"{port_text(key)} is open for {task_id(held.job, held.index)} on {held.node}, so {job.name}"
                    f" can't have it on every node: {way}"
                )


def keep(state: Tables, job: JobName) -> None:
    """Gives the job the ports that it needs, and none besides."""
    table = state.of(Ingress)
    held = table.of_job(job)
    record = state.jobs.get(job)
    needed = {key for task in _tasks(record) for key in ingress_keys(task)} if record is not None else set[int]()
    for key in held:
        if key not in needed:
            table.drop(key)
    for key in sorted(needed):
        if table.get(key) is None:
            table.put(IngressRow(key, job))


def _tasks(record: JobRecord) -> Iterator[TaskSpec]:
    if record.latest.stopping:
        return
    yield record.latest.task
    rollout = record.rollout
    if rollout is None or not any(task.ingress for task in rollout.specs.values()):
        return
    for version in {rollout.healthy, *(rollout.slots or ())[: record.job.count]}:
        if version in rollout.specs:
            yield rollout.specs[version]


TABLES = (Ingress,)
COMMANDS = ()
