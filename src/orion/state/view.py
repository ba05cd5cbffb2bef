"""Read-only access to the applied state, without copies: what it shows is the state at `index`, until the next
`apply`. Lists are sorted, so that equal states are shown alike whatever way they came about.
"""

from collections.abc import Mapping
from itertools import islice, takewhile
from typing import TypeVar

from orion.model.allocation import TERMINAL, Allocation
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import Job, TaskSpec
from orion.model.node import Node
from orion.model.placement import RefusalReason
from orion.model.resources import Resources
from orion.state.core.table import Table
from orion.state.job_queue import next_priority, serial_of
from orion.state.job_record import JobRecord
from orion.state.records import NodeRecord, Ports, Tables, own_port_keys
from orion.state.slots import TaskSlot, task_slot

_Table = TypeVar("_Table", bound=Table)


class View:
    """Records and tables that it gives out are for reading only."""

    __slots__ = ("_job_names", "_names_serial", "_nodes", "_nodes_epoch", "_own_epoch", "_own_ports", "_tables")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._nodes: tuple[Node, ...] = ()
        self._nodes_epoch = -1  # never sorted: the tables may hold nodes already, from a snapshot
        self._job_names: list[JobName] = []
        self._names_serial = 0
        self._own_ports: dict[str, frozenset[int]] = {}
        self._own_epoch = -1

    @property
    def index(self) -> int:
        return self._tables.index

    def of(self, table: type[_Table]) -> _Table:
        """A noun's own table, with the reads that its file has."""
        return self._tables.of(table)

    @property
    def cluster(self) -> int:
        """0 until the cluster was started."""
        return self._tables.cluster

    @property
    def recovery(self) -> int:
        """As in model/recovery.py."""
        return self._tables.recovery

    @property
    def level(self) -> int:
        """At which all that is replicated is written: model/levels.py."""
        return self._tables.level

    @property
    def capacity_epoch(self) -> int:
        """Another number than before when scheduling anew may give another answer."""
        return self._tables.capacity_epoch

    @property
    def facts_epoch(self) -> int:
        """Another number than before when some node's facts, status or flags changed."""
        return self._tables.facts_epoch

    # --- nodes --------------------------------------------------------------------------------------------

    def nodes(self) -> tuple[Node, ...]:
        """By id. Asked for after every change of anything, so sorted only when a node has changed."""
        tables = self._tables
        if self._nodes_epoch != tables.facts_epoch:
            self._nodes_epoch = tables.facts_epoch
            self._nodes = tuple(tables.nodes[node] for node in sorted(tables.nodes))
        return self._nodes

    def node(self, node: NodeId) -> Node | None:
        return self._tables.nodes.get(node)

    def node_record(self, node: NodeId) -> NodeRecord | None:
        return self._tables.records.get(node)

    def node_by_number(self, number: int) -> Node | None:
        record = self._tables.numbers.get(number)
        return record.node if record else None

    def node_records(self) -> list[NodeRecord]:
        """By number: the order of first registration."""
        numbers = self._tables.numbers
        return [numbers[number] for number in sorted(numbers)]

    def draining(self) -> list[NodeRecord]:
        """By number."""
        return sorted(self._tables.draining.values(), key=lambda record: record.number)

    def free(self, node: NodeId) -> Resources:
        """Returns what may still be given away; below zero where a node shrank. Nothing for an unknown node."""
        record = self._tables.records.get(node)
        if record is None:
            return Resources()
        return Resources(record.cpu_free, record.memory_free, record.disk_free)

    def ports_held(self, engine: str) -> Ports:
        """port_key -> allocation, of the host ports given away on an engine that names itself."""
        return self._tables.engines.get(engine, {})

    def own_ports(self, node: Node) -> frozenset[int]:
        """The host ports, as port_key, that the nodes on this one's engine listen on themselves. A node that names
        no engine shares it with nobody.
        """
        tables = self._tables
        if self._own_epoch != tables.facts_epoch:
            self._own_epoch = tables.facts_epoch
            found: dict[str, set[int]] = {}
            for each in tables.nodes.values():
                found.setdefault(each.engine or f"of {each.id}", set()).update(own_port_keys(each))
            self._own_ports = {engine: frozenset(keys) for engine, keys in found.items()}
        return self._own_ports.get(node.engine or f"of {node.id}", frozenset())

    def work_index(self, node: NodeId) -> int:
        """The log index at which the node's set of allocations, which of them are wanted, or their states changed
        last.
        """
        record = self._tables.records.get(node)
        return record.work_index if record else 0

    # --- jobs ---------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """By name."""
        return [self._tables.jobs[name].job for name in self.job_names()]

    def job_count(self) -> int:
        return len(self._tables.jobs)

    def task_count(self) -> int:
        return sum(record.latest.count for record in self._tables.jobs.values())

    def job_names(self) -> list[JobName]:
        """Sorted. Asked for after every change of anything, so what has come and gone since is all that costs."""
        jobs, names = self._tables.jobs, self._job_names
        new: list[JobName] = []
        for name in reversed(jobs):  # the newest first
            if jobs[name].serial < self._names_serial:
                break
            new.append(name)
        if len(names) + len(new) != len(jobs):  # one that went, and came again, is new
            came = set(new)
            names = [name for name in names if name in jobs and name not in came]
        if new:
            names = sorted(names + new)
        self._job_names, self._names_serial = names, self._tables.next_serial
        return names

    def job(self, name: JobName) -> Job | None:
        record = self._tables.jobs.get(name)
        return record.job if record else None

    def latest_job(self, name: JobName) -> Job | None:
        """The job that the name stands for: another than `job` while that one ends and this one waits for it."""
        record = self._tables.jobs.get(name)
        return record.latest if record else None

    def latest_jobs(self) -> list[Job]:
        """By name."""
        return [self._tables.jobs[name].latest for name in self.job_names()]

    def job_record(self, name: JobName) -> JobRecord | None:
        return self._tables.jobs.get(name)

    def jobs_since(self, serial: int) -> list[Job]:
        """Those that came when this was the next serial, or later. Costs what it gives, not what there is."""
        jobs = self._tables.jobs
        return [jobs[name].latest for name in takewhile(lambda name: jobs[name].serial >= serial, reversed(jobs))]

    def spec(self, name: JobName, version: int) -> TaskSpec | None:
        """How allocations of this version are to run; None when the job never had it, or there is none."""
        record = self._tables.jobs.get(name)
        if record is None or (record.rollout is None and version != record.job.version):
            return None
        return record.spec(version)

    def refusal(self, name: JobName) -> RefusalReason:
        """Why the rest of a job does not fit, as the scheduler last said; "" when nothing is refused."""
        record = self._tables.jobs.get(name)
        return record.refusal if record else ""

    def open_count(self, name: JobName) -> int:
        """How many tasks of the job wait to be placed."""
        record = self._tables.jobs.get(name)
        return record.open_count if record else 0

    def open_slots(self, name: JobName, limit: int) -> list[int]:
        """The lowest indexes that wait to be placed, at most `limit`."""
        record = self._tables.jobs.get(name)
        return record.open_indexes(limit) if record else []

    def jobs_to_place(self, limit: int | None = None) -> list[JobName]:
        """Jobs with a task that waits to be placed and was not refused, or that has to leave a draining node; those
        of a higher priority first, of equal ones the older. Costs what it gives and what is on draining nodes, not
        how many wait.
        """
        tables = self._tables
        names = [name for _, name in islice(tables.open_jobs.items(), limit)]
        leaving = {allocation.job for record in self.draining() for allocation in self.leaving(record)}
        if leaving:
            names = sorted(leaving.union(names), key=self.queue_key)[:limit]
        return names

    def jobs_refused(
        self, limit: int | None = None, after: int | None = None, before: int | None = None
    ) -> list[JobName]:
        """Jobs with a task that fitted nowhere, in the order of `jobs_to_place`: those with a queue_key above
        `after`, and only those that are older than the serial `before`. Worth a try at another `capacity_epoch`.
        """
        found: list[JobName] = []
        start = None if after is None else after + 1
        while len(found) != limit:
            rows = self._tables.refused_jobs.items(start)
            start = None
            for key, name in rows:
                if before is not None and serial_of(key) >= before:
                    start = next_priority(key)  # what follows of this one is younger still
                    break
                found.append(name)
                if len(found) == limit:
                    break
            if start is None:
                break
        return found

    def serial(self, name: JobName) -> int:
        """Which of two jobs is older. Of this state only: a restored one gives others."""
        return self._tables.jobs[name].serial

    def queue_key(self, name: JobName) -> int:
        """Which of two jobs goes first: the one of the higher priority, of equal ones the older. As `serial`, of
        this state only.
        """
        return self._tables.jobs[name].queue_key

    @property
    def next_serial(self) -> int:
        """More than any job's so far."""
        return self._tables.next_serial

    def task(self, name: JobName, index: int) -> TaskSlot | None:
        """The state of one task of the latest job of the name; None when there is no such slot."""
        record = self._tables.jobs.get(name)
        if record is None or not 0 <= index < record.latest.count:
            return None
        return task_slot(record, index)

    # --- allocations --------------------------------------------------------------------------------------

    def allocation(self, allocation: AllocationId) -> Allocation | None:
        return self._tables.allocations.get(allocation)

    @property
    def allocations(self) -> Mapping[AllocationId, Allocation]:
        return self._tables.allocations

    def allocation_count(self) -> int:
        """All that are remembered, ended ones too."""
        return len(self._tables.allocations)

    def allocations_of_job(self, name: JobName) -> list[Allocation]:
        """By task, newest last."""
        record = self._tables.jobs.get(name)
        if record is None:
            return []
        return [a for index in range(len(record.slots)) for a in record.history(index)]

    def allocations_of_slot(self, name: JobName, index: int) -> tuple[Allocation, ...]:
        """Newest last."""
        record = self._tables.jobs.get(name)
        if record is None or not 0 <= index < len(record.slots):
            return ()
        return record.history(index)

    def allocations_of_node(self, node: NodeId) -> list[Allocation]:
        """By id; ended ones too, as long as they are remembered."""
        holdings = self._tables.by_node.get(node)
        return [self._tables.allocations[identity] for identity in holdings.ids()] if holdings else []

    def active_count(self, record: NodeRecord, job: JobName) -> int:
        """How many allocations of a job on a node have not ended."""
        held = record.holdings.of_job(job)
        if not held:
            return 0
        allocations = self._tables.allocations
        return sum(allocations[identity].status.state not in TERMINAL for identity in held)

    def wanted_on(self, record: NodeRecord) -> list[Allocation]:
        """Active allocations of a node that are not yet told to stop, by id."""
        return [a for a in self.allocations_of_node(record.node.id) if a.wanted and not a.terminal]

    def leaving(self, record: NodeRecord) -> list[Allocation]:
        """As `wanted_on`, of jobs that say nothing of how they are updated: a drain ends those at once."""
        jobs = self._tables.jobs
        return [each for each in self.wanted_on(record) if jobs[each.job].job.update is None]

    @property
    def has_stuck(self) -> bool:
        return bool(self._tables.stuck)

    def stuck(self) -> list[Allocation]:
        """Those that their nodes can't start, by id."""
        return [self._tables.allocations[identity] for identity in sorted(self._tables.stuck)]
