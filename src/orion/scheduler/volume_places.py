"""Places for the tasks of one job that have volumes, one after the other: each may give a volume its home."""

from msgspec.structs import replace

from orion.model.placement import PlacementFailure
from orion.model.volumes import VolumeGap
from orion.scheduler.choose import Choice
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.explain import explain
from orion.scheduler.past import pool_by_past
from orion.scheduler.pools import Pool
from orion.scheduler.volume_homes import Spot, VolumeHomes
from orion.state.job_record import JobRecord
from orion.state.records import NodeRecord
from orion.state.view import View


class VolumePlaces:
    """`failure`: why the first task without a place has none."""

    def __init__(
        self, view: View, record: JobRecord, demand: Demand, pool: Pool, overlay: Overlay, homes: VolumeHomes
    ) -> None:
        self._view = view
        self._record = record
        self._demand = demand
        self._pool = pool
        self._overlay = overlay
        self._homes = homes
        self._full: set[int] = set()  # nodes that take no more of them, by number; 0: all
        self.failure: PlacementFailure | None = None

    def choice(self, index: int, waiting: int) -> Choice | None:
        """Returns the place of a slot's task, which has its volumes from then on. `waiting`: how many of the job
        have none yet. None: there is no place.
        """
        spec = self._demand.task
        spot = self._homes.spot(spec, index)
        if spot.wait is not None:
            self._fail(PlacementFailure(volume=spot.wait))
            return None
        if (spot.row.number if spot.row else 0) in self._full:
            return None
        for pool in self._pools(spot, index, waiting):
            choice = Choice(self._view, self._record, [index], self._demand, pool, self._overlay)
            if choice.done:
                node = self._view.node_by_number(choice.nodes[0])
                assert node is not None, "a node of the view was chosen"
                self._homes.give(spec, index, node.id)
                return choice
        self._full.add(spot.row.number if spot.row else 0)
        self._fail(self._why(spot))
        return None

    def _pools(self, spot: Spot, index: int, waiting: int) -> list[Pool]:
        """Returns those to try, the best first."""
        pool = spot.narrowed(self._pool)
        if spot.row is not None:
            return [pool]
        past = pool_by_past(self._view, self._record, index, pool)
        found = [past] if past is not None else []
        shared = any(each.name and not each.per_slot for each in self._demand.task.volumes)
        if shared and waiting > 1:  # where all of them have room: they can't be parted later
            found.append(
                pool.of([row for row in self._overlay.current(pool.nodes) if self._has_room(row, waiting)])
            )
        return [*found, pool]

    def _has_room(self, row: NodeRecord, tasks: int) -> bool:
        demand = self._demand
        return (
            row.cpu_free >= demand.cpu * tasks
            and row.memory_free >= demand.memory * tasks
            and row.disk_free >= demand.disk * tasks
        )

    def _why(self, spot: Spot) -> PlacementFailure:
        demand = self._demand
        rules = Choice(self._view, self._record, [0], demand, self._pool.of([]), self._overlay).rules
        if spot.no_plugin is not None and not spot.narrowed(self._pool).nodes and self._pool.nodes:
            return PlacementFailure(volume=spot.no_plugin)
        if spot.row is None:
            return explain(self._pool, self._overlay, demand, rules)
        if not self._pool.has(spot.row):
            return PlacementFailure(volume=spot.because(VolumeGap.RULES))
        failure = explain(self._pool.of([spot.row]), self._overlay, demand, rules)
        return replace(failure, volume=spot.because(VolumeGap.ROOM))

    def _fail(self, failure: PlacementFailure) -> None:
        self.failure = self.failure or failure
