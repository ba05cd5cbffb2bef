"""Where volumes are, the plan in hand included: a task goes to the node that has its volumes, and nowhere else."""

from collections.abc import Collection

import msgspec

from orion.model.ids import AllocationId, NodeId
from orion.model.job import TaskSpec
from orion.model.node import Node, NodeStatus
from orion.model.volumes import MAX_VOLUMES, VolumeGap, VolumeKind, VolumeWait
from orion.scheduler.pools import Pool
from orion.state.records import NodeRecord
from orion.state.tables.volumes import Volumes, is_free
from orion.state.view import View


class Spot(msgspec.Struct, frozen=True):
    """The node of a task's volumes; None while any will do. `volume` is there. With `wait` none will do now."""

    row: NodeRecord | None = None
    volume: str = ""
    wait: VolumeWait | None = None

    def narrowed(self, pool: Pool) -> Pool:
        """Returns the nodes of the pool on which the task may be."""
        if self.wait is not None:
            return pool.of([])
        if self.row is None:
            return pool
        return pool.of([self.row] if pool.has(self.row) else [])

    def because(self, gap: VolumeGap) -> VolumeWait:
        assert self.row is not None
        return VolumeWait(self.volume, self.row.node.id, gap)


class VolumeHomes:
    def __init__(self, view: View, leaving: Collection[AllocationId] = ()) -> None:
        """`leaving`: allocations that the plan in hand ends; it may grow."""
        self._view = view
        self._leaving = leaving
        self._given: dict[str, NodeId] = {}

    def spot(self, spec: TaskSpec, index: int, without: AllocationId | None = None) -> Spot:
        """Where a slot's task is to be. `without`: as if this one had ended."""
        table, home, volume, new = self._view.of(Volumes), NodeId(""), "", 0
        for name in spec.volume_names(index):
            row = table.get(name)
            if row is not None and row.kind is not VolumeKind.HOST:
                continue
            if row is not None and row.moving_to:
                wait = VolumeWait(name, row.home, VolumeGap.MOVING, other_node=row.moving_to)
                return Spot(wait=wait)
            at = self._home(name, without)
            new += row is None and name not in self._given
            if at and home and at != home:
                return Spot(wait=VolumeWait(name, at, VolumeGap.APART, other=volume, other_node=home))
            if at:
                home, volume = at, name
        if new and len(table) + self._new + new > MAX_VOLUMES:
            return Spot(wait=VolumeWait("", NodeId(""), VolumeGap.MOST))
        return self._at(home, volume) if home else Spot()

    @property
    def _new(self) -> int:
        rows = self._view.of(Volumes).rows
        return sum(name not in rows for name in self._given)

    def _home(self, name: str, without: AllocationId | None) -> NodeId:
        if name in self._given:
            return self._given[name]
        view, row = self._view, self._view.of(Volumes).get(name)
        if row is None:
            return NodeId("")
        leaving = self._leaving if without is None else {*self._leaving, without}
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


def _why_unready(node: Node) -> tuple[VolumeGap, int]:
    if node.status is NodeStatus.DOWN:
        return VolumeGap.DOWN, node.changed_at_ms
    if node.status is NodeStatus.LEFT:
        return VolumeGap.AWAY, node.changed_at_ms
    return VolumeGap.DRAINING if node.draining else VolumeGap.ENGINE, 0
