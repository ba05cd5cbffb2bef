"""Where volumes are, the plan in hand included: a task goes to the node that has its volumes, and nowhere else."""

import msgspec
from msgspec.structs import replace

from orion.model.ids import AllocationId, NodeId
from orion.model.job import TaskSpec
from orion.model.node import Node, NodeStatus
from orion.model.volumes import MAX_VOLUMES, Volume, VolumeGap, VolumeWait
from orion.scheduler.pools import Pool
from orion.state.records import NodeRecord
from orion.state.tables.claims import Claims
from orion.state.tables.volumes import Volumes, has_home, is_free
from orion.state.view import View


class Spot(msgspec.Struct, frozen=True):
    """The node of a task's volumes; None while any will do that has the plugins of `systems`, which are volumes of
    storage systems. `volume` is at the node. With `wait` none will do now.
    """

    row: NodeRecord | None = None
    volume: str = ""
    wait: VolumeWait | None = None
    systems: tuple[Volume, ...] = ()
    view: View | None = None

    def narrowed(self, pool: Pool) -> Pool:
        """Returns the nodes of the pool on which the task may be."""
        if self.wait is not None:
            return pool.of([])
        if self.row is not None:
            pool = pool.of([self.row] if pool.has(self.row) else [])
        if self.systems and self.view is not None:
            claims = self.view.of(Claims)
            pool = pool.of([row for row in pool.nodes if all(can_have(claims, row.node, v) for v in self.systems)])
        return pool

    def because(self, gap: VolumeGap) -> VolumeWait:
        assert self.row is not None
        return VolumeWait(self.volume, self.row.node.id, gap)

    @property
    def no_plugin(self) -> VolumeWait | None:
        """That no node has what `systems` need."""
        if not self.systems:
            return None
        return VolumeWait(self.systems[0].name, NodeId(""), VolumeGap.PLUGIN, other=self.systems[0].driver)


class VolumeHomes:
    """Tasks that the plan in hand ends hold their volumes until they have ended, as for who applies the plan."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._given: dict[str, NodeId] = {}

    def spot(self, spec: TaskSpec, index: int, without: AllocationId | None = None) -> Spot:
        """Where a slot's task is to be. `without`: as if this one had ended."""
        table, home, volume, new = self._view.of(Volumes), NodeId(""), "", 0
        systems: list[Volume] = []
        for name in spec.volume_names(index):
            row = table.get(name)
            if row is not None and row.system is not None:
                if not row.data or row.system.removing:
                    gap = VolumeGap.REMOVING if row.system.removing else VolumeGap.MAKING
                    return Spot(wait=VolumeWait(name, NodeId(""), gap))
                systems.append(row)
            if row is not None and row.moving_to:
                wait = VolumeWait(name, row.home, VolumeGap.MOVING, other_node=row.moving_to)
                return Spot(wait=wait)
            at = self._home(name, without, writes=spec.writes_volume(name, index))
            new += row is None and name not in self._given
            if at and home and at != home:
                return Spot(wait=VolumeWait(name, at, VolumeGap.APART, other=volume, other_node=home))
            if at:
                home, volume = at, name
        if new and len(table) + self._new + new > MAX_VOLUMES:
            return Spot(wait=VolumeWait("", NodeId(""), VolumeGap.MOST))
        spot = self._at(home, volume) if home else Spot()
        return replace(spot, systems=tuple(systems), view=self._view) if systems else spot

    @property
    def _new(self) -> int:
        rows = self._view.of(Volumes).rows
        return sum(name not in rows for name in self._given)

    def _home(self, name: str, without: AllocationId | None, *, writes: bool) -> NodeId:
        view, row = self._view, self._view.of(Volumes).get(name)
        if row is not None and not has_home(row, writes=writes):
            return NodeId("")
        if name in self._given:
            return self._given[name]
        if row is None:
            return NodeId("")
        leaving = () if without is None else (without,)
        free = is_free(row, view.node_record(row.home), view.allocations, view.job_record, leaving)
        return NodeId("") if free else row.home

    def _at(self, home: NodeId, volume: str) -> Spot:
        row = self._view.node_record(home)
        if row is None:
            return Spot(wait=VolumeWait(volume, home, VolumeGap.GONE))
        if not row.schedulable:
            gap, since_ms = _why_unready(row.node)
            return Spot(wait=VolumeWait(volume, home, gap, since_ms))
        return Spot(row, volume)

    def give(self, spec: TaskSpec, index: int, node: NodeId) -> None:
        """The plan places a slot's task there."""
        for name in spec.volume_names(index):
            self._given[name] = node


def narrowed(view: View, spec: TaskSpec, index: int, pool: Pool) -> Pool:
    """Returns the nodes of the pool on which a slot's task may be for its volumes."""
    return VolumeHomes(view).spot(spec, index).narrowed(pool) if spec.has_volumes else pool


def can_have(claims: Claims, node: Node, volume: Volume) -> bool:
    """Returns whether a storage system's volume can come to a node: the plugin is there, and takes one more."""
    plugin = node.plugin(volume.driver)
    if volume.system is None or plugin is None or not volume.system.reached_by(plugin):
        return False
    if not plugin.max_volumes or (volume.name, node.id) in claims.rows:
        return True
    return claims.count_on(node.id, volume.driver) < plugin.max_volumes


def _why_unready(node: Node) -> tuple[VolumeGap, int]:
    if node.status is NodeStatus.DOWN:
        return VolumeGap.DOWN, node.changed_at_ms
    if node.status is NodeStatus.LEFT:
        return VolumeGap.AWAY, node.changed_at_ms
    return VolumeGap.DRAINING if node.draining else VolumeGap.ENGINE, 0
