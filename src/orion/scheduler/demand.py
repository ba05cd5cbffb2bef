"""What one task asks of a node, and an overlay of what this plan has given away so far."""

from collections.abc import Iterator, Sequence

from orion.model.job import DYNAMIC_PORTS, TaskSpec
from orion.state.records import NodeRecord, port_key


class Demand:
    """`static_keys`: the host ports asked for by number, as port_key."""

    __slots__ = ("bindings", "constraints", "cpu", "disk", "memory", "shape", "static_keys")

    def __init__(self, task: TaskSpec) -> None:
        self.cpu = task.resources.cpu_millis
        self.memory = task.resources.memory_bytes
        self.disk = task.resources.disk_bytes
        self.bindings = task.ports
        self.constraints = task.constraints
        self.static_keys = tuple(port_key(b.host_port, b.protocol) for b in task.ports if b.host_port)
        # Tasks of equal shape fit on equal nodes.
        self.shape = (task.resources, task.ports, task.constraints)


class Overlay:
    """State as it will be once the plan made so far is applied. The view's records stay as they are: a node is
    copied when something is first given away of it.
    """

    __slots__ = ("_claims", "_drafts")

    def __init__(self) -> None:
        self._drafts: dict[int, NodeRecord] = {}
        self._claims: dict[int, set[int]] = {}  # id() of an engine's ports -> keys claimed there

    def current(self, rows: Sequence[NodeRecord]) -> Sequence[NodeRecord]:
        """The same nodes, as they stand in the plan."""
        if not self._drafts:
            return rows
        get = self._drafts.get
        return [get(row.number, row) for row in rows]

    def fitting(self, rows: Sequence[NodeRecord], demand: Demand) -> list[NodeRecord]:
        """Those on which one more such task fits, as they stand in the plan."""
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
        """The first of these host ports that is not free on the node's engine."""
        claims = self._claims.get(id(row.ports), ())
        return next((key for key in keys if key in row.ports or key in claims), None)

    def give(self, row: NodeRecord, demand: Demand) -> NodeRecord:
        """Give one task's resources away; the node as it stands then."""
        draft = self._drafts.get(row.number)
        if draft is None:
            draft = self._drafts[row.number] = row.draft()
        draft.cpu_free -= demand.cpu
        draft.memory_free -= demand.memory
        draft.disk_free -= demand.disk
        draft.active += 1
        return draft

    def find_ports(self, row: NodeRecord, demand: Demand, seed: int) -> tuple[int, ...] | None:
        """Host ports for one task in the order of its bindings, or None. Those left to choose are the first free
        ones from a place that `seed` says, so that a port just freed is seldom the next one given.
        """
        if demand.static_keys and self.taken_key(row, demand.static_keys) is not None:
            return None
        chosen: list[int] = []
        keys = set(demand.static_keys)
        for binding in demand.bindings:
            port = binding.host_port
            if not port:
                free = (
                    p
                    for p in _dynamic_ports(seed)
                    if (key := port_key(p, binding.protocol)) not in keys and self.taken_key(row, (key,)) is None
                )
                port = next(free, 0)
                if not port:
                    return None
                keys.add(port_key(port, binding.protocol))
            chosen.append(port)
        return tuple(chosen)

    def claim(self, row: NodeRecord, demand: Demand, ports: tuple[int, ...]) -> None:
        claims = self._claims.setdefault(id(row.ports), set())
        claims.update(port_key(p, b.protocol) for p, b in zip(ports, demand.bindings, strict=True))


def _dynamic_ports(seed: int) -> Iterator[int]:
    start = seed % len(DYNAMIC_PORTS)
    yield from DYNAMIC_PORTS[start:]
    yield from DYNAMIC_PORTS[:start]
