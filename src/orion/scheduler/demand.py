"""The demand of one task on a node, and an overlay with all that the plan in hand has given away."""

from collections.abc import Callable, Sequence

from orion.model.ids import AllocationId, JobName
from orion.model.job import DYNAMIC_PORTS, TaskSpec
from orion.model.node import Node
from orion.state.records import NodeRecord, static_port_keys


class Demand:
    """One task's demand. `static_keys` are the host ports that it asks for by number, as port_key."""

    __slots__ = (
        "bindings",
        "constraints",
        "cpu",
        "disk",
        "memory",
        "resources",
        "rules",
        "shape",
        "static_keys",
        "task",
    )

    def __init__(self, task: TaskSpec) -> None:
        self.task = task
        self.resources = task.resources
        self.cpu = task.resources.cpu_millis
        self.memory = task.resources.memory_bytes
        self.disk = task.resources.disk_bytes
        self.bindings = task.ports
        self.constraints = task.node_labels
        self.static_keys = static_port_keys(task)
        # Tasks of equal shape fit on equal nodes.
        self.rules = task.rules
        self.shape = (task.resources, task.ports, self.constraints, task.rules)


class Overlay:
    """State as it will be once the plan made so far is applied. The view's records stay unchanged: a node's record
    is copied when something of it is first given away.
    """

    __slots__ = ("_claims", "_drafts", "_given", "_own", "leaving")

    def __init__(self, own_ports: Callable[[Node], frozenset[int]] = lambda _: frozenset()) -> None:
        self._own = own_ports
        self._drafts: dict[int, NodeRecord] = {}
        self._claims: dict[int, set[int]] = {}  # id() of an engine's ports -> keys claimed there
        self._given: dict[tuple[JobName, int], dict[int, int]] = {}
        self.leaving: set[AllocationId] = set()  # which the plan ends

    def given(self, job: JobName, version: int) -> dict[int, int]:
        """Returns how many tasks of a job with rules the plan gave to each node, by number; to be written to."""
        return self._given.setdefault((job, version), {})

    def current(self, rows: Sequence[NodeRecord]) -> Sequence[NodeRecord]:
        """Returns the same nodes as they stand in the plan."""
        if not self._drafts:
            return rows
        get = self._drafts.get
        return [get(row.number, row) for row in rows]

    def fitting(self, rows: Sequence[NodeRecord], demand: Demand) -> list[NodeRecord]:
        """Returns the nodes on which one more such task fits, as they stand in the plan."""
        cpu, memory, disk = demand.cpu, demand.memory, demand.disk
        fit = [
            row
            for row in self.current(rows)
            if row.cpu_free >= cpu and row.memory_free >= memory and row.disk_free >= disk
        ]
        if demand.static_keys:
            return [row for row in fit if self.taken_key(row, demand.static_keys) is None]
        return fit

    def taken_key(self, row: NodeRecord, keys: Sequence[int]) -> int | None:
        """Returns the first of these host ports that is not free on the node's engine; None when all are."""
        claims, own = self._claims.get(id(row.ports), ()), self._own(row.node)
        return next((key for key in keys if key in row.ports or key in claims or key in own), None)

    def is_own(self, row: NodeRecord, key: int) -> bool:
        """True when a node on this one's engine listens on the port itself."""
        return key in self._own(row.node)

    def give(self, rows: Sequence[NodeRecord], demand: Demand) -> list[NodeRecord]:
        """Gives one task's resources away on each of these nodes. Returns the nodes as they stand then."""
        drafts, resources = self._drafts, demand.resources
        given: list[NodeRecord] = []
        for row in rows:
            number = row.number
            if number in drafts:
                draft = drafts[number]
                draft.hold(resources)
            else:
                draft = drafts[number] = row.draft(resources)
            given.append(draft)
        return given

    def take_back(self, row: NodeRecord, demand: Demand) -> None:
        """The node will have one such task less."""
        draft = self._drafts.get(row.number)
        if draft is None:
            draft = self._drafts[row.number] = row.draft(demand.resources)
            draft.release(demand.resources)
        draft.release(demand.resources)

    def claim_ports(self, row: NodeRecord, demand: Demand, seed: int) -> tuple[int, ...] | None:
        """Takes host ports for one task. Returns them in the order of its bindings; None when there are not enough.
        Ports that the task does not name are the first free ones from a place that `seed` chooses, so that a port
        just freed is seldom given next. A port that the node's machine has refused is not free.
        """
        if demand.static_keys and self.taken_key(row, demand.static_keys) is not None:
            return None
        claims = self._claims.setdefault(id(row.ports), set())
        keys = set(demand.static_keys)
        ports: list[int] = []
        for binding in demand.bindings:
            port = binding.host_port
            if not port:
                udp = binding.protocol == "udp"
                port = _free_port(seed, udp, row, claims, keys | self._own(row.node))
                if not port:
                    return None
                keys.add(port << 1 | udp)
            ports.append(port)
        claims |= keys
        return tuple(ports)


def _free_port(seed: int, udp: bool, row: NodeRecord, claims: set[int], keys: set[int]) -> int:
    """Returns a free host port; 0 when there is none."""
    held, refused = row.ports, row.node.refused_ports
    port = DYNAMIC_PORTS.start + seed % len(DYNAMIC_PORTS)
    for _ in DYNAMIC_PORTS:
        key = port << 1 | udp
        if key not in held and key not in claims and key not in keys and key not in refused:
            return port
        port = port + 1 if port + 1 < DYNAMIC_PORTS.stop else DYNAMIC_PORTS.start
    return 0
