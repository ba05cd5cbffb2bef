"""Records of the replicated state's tables, and the indexes beside them.

**Invariant:** only `mutations` and the apply_* modules write here. Everything marked *derived* follows from the
tables, is not in a snapshot, and is rebuilt by a restore; `check` compares the two.

Order: dicts keep the order in which the log inserted, which a restore repeats; whatever else is iterated where
order shows is sorted first.
"""

from collections.abc import Sequence

from orion.model.allocation import Allocation
from orion.model.hosts import port_number
from orion.model.ids import AllocationId, JobName, NodeId, RaftId
from orion.model.job import TaskSpec
from orion.model.levels import FIRST
from orion.model.node import Node
from orion.model.resources import Resources
from orion.state.core.table import TableSet
from orion.state.job_queue import JobQueue
from orion.state.job_record import JobRecord
from orion.state.wait_index import WaitIndex

MAX_COUNT = 1_000_000  # tasks of one job
MAX_REMOVED = 1_000  # raft ids remembered after their node was removed
MAX_ENDED_PER_SLOT = 5  # allocations remembered after their end
MAX_REFUSED_PORTS = 32  # of one node, oldest out first
MAX_REASON = 2_000  # characters of an allocation's reason

Ports = dict[int, AllocationId]  # port_key -> who holds it


def port_key(port: int, protocol: str) -> int:
    """Host ports of tcp and udp are different things."""
    return port << 1 | (protocol == "udp")


def port_text(key: int) -> str:
    """Port 8080, port 53/udp."""
    return f"port {key >> 1}/udp" if key & 1 else f"port {key >> 1}"


def static_port_keys(task: TaskSpec) -> tuple[int, ...]:
    """The host ports that a task asks for by number."""
    return tuple(port_key(binding.host_port, binding.protocol) for binding in task.ports if binding.host_port)


def own_port_keys(node: Node) -> list[int]:
    """The host ports that a node itself listens on: for its peers, its API and gossip."""
    streams = [port_number(address.rpartition(":")[2]) for address in (node.peer_address, node.api_address)]
    keys = [port_key(port, "tcp") for port in (*streams, node.gossip_port) if port]
    return [*keys, port_key(node.gossip_port, "udp")] if node.gossip_port else keys


class Holdings:
    """The ids of all remembered allocations of one node, ended ones too, by job: how many tasks of a job a node
    has is asked for every node that a task of it might go to.

    Of most jobs a node has one task: an id, and a list only where there are more.
    """

    __slots__ = ("by_job",)

    def __init__(self) -> None:
        self.by_job: dict[JobName, AllocationId | list[AllocationId]] = {}

    def add(self, job: JobName, identity: AllocationId) -> None:
        held = self.by_job.setdefault(job, identity)
        if held is identity:  # the first
            return
        if isinstance(held, list):
            held.append(identity)
        else:
            self.by_job[job] = [held, identity]

    def remove(self, job: JobName, identity: AllocationId) -> None:
        held = self.by_job[job]
        if isinstance(held, list) and len(held) > 1:
            held.remove(identity)
        else:
            del self.by_job[job]

    def of_job(self, job: JobName) -> Sequence[AllocationId]:
        held = self.by_job.get(job)
        if held is None:
            return ()
        return held if isinstance(held, list) else (held,)

    def ids(self) -> list[AllocationId]:
        """Sorted."""
        return sorted(identity for job in self.by_job for identity in self.of_job(job))

    def __bool__(self) -> bool:
        return bool(self.by_job)


# A task that asks for neither cpu nor memory loads a node all the same, so it counts as a hundredth of both. Else
# they would all gather on the nodes that happen to run nothing that asks.
LIGHT_LOAD = 0.02
# `NodeRecord.tasks` is two counts in one integer, so that a placement writes one: the active allocations, and above
# these 32 bits those of them that are light.
_ACTIVE_BITS = 32
_ACTIVE = (1 << _ACTIVE_BITS) - 1
_LIGHT_TASK = (1 << _ACTIVE_BITS) + 1
_TASK_LOAD = LIGHT_LOAD / (1 << _ACTIVE_BITS)  # of one that is not light: less than a byte is on most machines


class NodeRecord:
    """A node and what is given away of it. All but `node` is derived.

    `ports` is one dict for all nodes of the same engine. `work_index` is the log index at which `holdings`,
    whether one of them is wanted, or what the node said of one, changed last. `load` is there so that it need not
    be worked out for every node: it is the less the less is given away (-2 when no cpu and no memory is) and, of
    equal shares, the fewer active allocations there are.
    """

    __slots__ = (
        "cpu_free",
        "cpu_share",
        "disk_free",
        "holdings",
        "load",
        "memory_free",
        "memory_share",
        "node",
        "number",
        "ports",
        "schedulable",
        "tasks",
        "work_index",
    )

    def __init__(self, node: Node, ports: Ports, holdings: Holdings) -> None:
        self.number = node.number
        self.ports = ports
        self.holdings = holdings
        self.tasks = 0
        self.work_index = 0
        self.cpu_free = node.capacity.cpu_millis
        self.memory_free = node.capacity.memory_bytes
        self.disk_free = node.capacity.disk_bytes
        self._set_facts(node)

    def set_node(self, node: Node) -> None:
        """Take new facts; what is given away stays given away, even if the node shrank below it."""
        grown = node.capacity - self.node.capacity
        self.cpu_free += grown.cpu_millis
        self.memory_free += grown.memory_bytes
        self.disk_free += grown.disk_bytes
        self._set_facts(node)

    def _set_facts(self, node: Node) -> None:
        self.node = node
        self.schedulable = node.schedulable
        # The fraction of the node that one thousandth of a core, or one byte, is: scores need no division.
        self.cpu_share = 1 / node.capacity.cpu_millis if node.capacity.cpu_millis > 0 else 0.0
        self.memory_share = 1 / node.capacity.memory_bytes if node.capacity.memory_bytes > 0 else 0.0
        self._set_load()

    @property
    def active(self) -> int:
        """How many allocations have not ended."""
        return self.tasks & _ACTIVE

    @property
    def light(self) -> int:
        """How many active allocations ask for neither cpu nor memory."""
        return self.tasks >> _ACTIVE_BITS

    def _set_load(self) -> None:
        # Made anew from integers each time: a sum of floats would drift.
        self.load = self.tasks * _TASK_LOAD - self.cpu_free * self.cpu_share - self.memory_free * self.memory_share

    def has_room(self, resources: Resources) -> bool:
        return resources.fits(Resources(self.cpu_free, self.memory_free, self.disk_free))

    def hold(self, resources: Resources) -> None:
        """One more active allocation. Called twice for each placement, so kept flat."""
        cpu, memory = resources.cpu_millis, resources.memory_bytes
        self.cpu_free = cpu_free = self.cpu_free - cpu
        self.memory_free = memory_free = self.memory_free - memory
        self.disk_free -= resources.disk_bytes
        self.tasks = tasks = self.tasks + (1 if cpu or memory else _LIGHT_TASK)
        self.load = tasks * _TASK_LOAD - cpu_free * self.cpu_share - memory_free * self.memory_share

    def release(self, resources: Resources) -> None:
        """One active allocation less."""
        self.cpu_free += resources.cpu_millis
        self.memory_free += resources.memory_bytes
        self.disk_free += resources.disk_bytes
        self.tasks -= 1 if resources.cpu_millis or resources.memory_bytes else _LIGHT_TASK
        self._set_load()

    def draft(self, resources: Resources) -> "NodeRecord":
        """A copy with one more active allocation, for a planner. Ports and holdings are shared, to be read.

        Called once for each placement, so kept flat.
        """
        copy = NodeRecord.__new__(NodeRecord)
        cpu, memory = resources.cpu_millis, resources.memory_bytes
        copy.cpu_free = cpu_free = self.cpu_free - cpu
        copy.memory_free = memory_free = self.memory_free - memory
        copy.disk_free = self.disk_free - resources.disk_bytes
        copy.tasks = tasks = self.tasks + (1 if cpu or memory else _LIGHT_TASK)
        copy.cpu_share = cpu_share = self.cpu_share
        copy.memory_share = memory_share = self.memory_share
        copy.load = tasks * _TASK_LOAD - cpu_free * cpu_share - memory_free * memory_share
        copy.node = self.node
        copy.number = self.number
        copy.ports = self.ports
        copy.holdings = self.holdings
        copy.work_index = self.work_index
        copy.schedulable = self.schedulable
        return copy


class Tables(TableSet):
    """Everything the cluster agrees on, as of log index `index`: the declared tables, and here what nodes, jobs and
    allocations have, which all that schedules and places reads straight from its attributes.

    `removed` is bounded, oldest out first.

    Derived: `records`, `numbers`, `draining`, `allocations`, `by_node`, `engines`, `open_jobs`, `refused_jobs`,
    `stuck`, `waits_beside`, `waits_after`, `next_serial` and the epochs. `capacity_epoch` grows when scheduling
    anew may give another answer (something was freed, a node changed, a slot opened again, an allocation got stuck,
    a job changed that others wait for), so that refused jobs are worth another try;
    `facts_epoch` when any node's facts or status changed. Both are compared only for equality.
    """

    __slots__ = (
        "allocations",
        "by_node",
        "capacity_epoch",
        "cluster",
        "draining",
        "engines",
        "facts_epoch",
        "jobs",
        "level",
        "next_allocation",
        "next_number",
        "next_serial",
        "nodes",
        "numbers",
        "open_jobs",
        "records",
        "recovery",
        "refused_jobs",
        "removed",
        "salt",
        "small_ints",
        "stuck",
        "waits_after",
        "waits_beside",
    )

    def __init__(self) -> None:
        super().__init__()
        self.cluster = 0
        self.recovery = 0  # model/recovery.py
        self.level = FIRST  # model/levels.py
        self.salt = 0
        self.next_number = 1
        self.next_allocation = 0
        self.nodes: dict[NodeId, Node] = {}
        self.jobs: dict[JobName, JobRecord] = {}
        self.removed: dict[RaftId, None] = {}

        self.records: dict[NodeId, NodeRecord] = {}
        self.numbers: dict[int, NodeRecord] = {}
        self.draining: dict[NodeId, NodeRecord] = {}
        self.allocations: dict[AllocationId, Allocation] = {}
        self.by_node: dict[NodeId, Holdings] = {}
        self.engines: dict[str, Ports] = {}
        self.open_jobs = JobQueue()  # with a slot to fill, and not refused
        self.refused_jobs = JobQueue()
        self.stuck: dict[AllocationId, None] = {}
        self.waits_beside: dict[JobName, JobName] = {}  # refused -> the job beside which it is to run
        self.waits_after = WaitIndex()
        self.next_serial = 0
        self.capacity_epoch = 0
        self.facts_epoch = 0
        # One int object for each slot index in use, instead of one for each allocation.
        self.small_ints: list[int] = []

    def ports_of(self, engine: str) -> Ports:
        """The host ports held on an engine; nodes that name none share with nobody."""
        return self.engines.setdefault(engine, {}) if engine else {}
