"""Volumes by name: which there are, which node has the data of each, and who uses them.

One that a task names is made when the task is placed: its home is that node from then on. A job that is removed
leaves its volumes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.claims import excludes, only_reads
from orion.model.errors import Conflict, NotFound, OrionError, Refused
from orion.model.ids import AllocationId, JobName, task_id
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import since
from orion.model.storage import is_settled
from orion.model.update import UpdateOrder
from orion.model.volumes import MAX_VOLUMES, Volume, VolumeKind, VolumeMount, is_volume_name
from orion.state.core.frames import Rows
from orion.state.core.indexes import KeysBy, SortedKeys
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.job_record import JobRecord
from orion.state.records import NodeRecord, Tables

Lookup = Callable[[JobName], JobRecord | None]


@since(2)
class VolumesFrame(Rows, frozen=True, array_like=True, tag=19):
    """By name."""

    rows: list[Volume]


class Volumes(KeyedTable[str, Volume]):
    rows_frame = VolumesFrame

    def __init__(self, state: TableSet) -> None:
        self._names = SortedKeys()
        self._by_driver = KeysBy[str, Volume](lambda row: ("", row.driver) if row.kind is VolumeKind.CSI else ())
        self._unsettled = KeysBy[str, Volume](_unsettled)
        super().__init__(state, self._names, self._by_driver, self._unsettled)

    @staticmethod
    def key(row: Volume) -> str:
        return row.name

    @staticmethod
    def can_be(row: Volume) -> bool:
        placed = row.kind is VolumeKind.CSI or bool(row.home) or not (row.data or row.moving_to)
        return is_volume_name(row.name) and placed and (row.kind is VolumeKind.CSI) == (row.system is not None)

    def ordered(self) -> list[str]:
        return self._names.keys

    def of_systems(self, driver: str = "") -> list[Volume]:
        """Those of storage systems, or of one driver."""
        return [self.rows[name] for name in sorted(self._by_driver.of(driver))]

    def unsettled(self) -> list[Volume]:
        """Those of storage systems that are to be made, grown or deleted."""
        return [self.rows[name] for name in sorted(self._unsettled.of(""))]

    def names_after(self, after: str) -> Iterator[str]:
        return self._names.prefixed("", after)


def _unsettled(row: Volume) -> tuple[str, ...]:
    return () if row.system is None or is_settled(row.system, row.data) else ("",)


def unknown_volume(name: str) -> NotFound:
    return NotFound(f"there is no volume {name[:80]}; orion volume ls lists them")


# --- who uses it -------------------------------------------------------------------------------------------


class Users:
    """Who asks for which volume, now or in a version that is kept."""

    def __init__(self, records: Iterable[JobRecord]) -> None:
        self._named: dict[str, set[JobName]] = {}
        self._slots: dict[str, list[tuple[JobName, int]]] = {}
        for record in records:
            mounts = {mount for spec in record.kept_specs for mount in spec.volumes if mount.name}
            for mount in mounts:
                if mount.per_slot:
                    slots = max(record.latest.count, len(record.slots))
                    self._slots.setdefault(mount.name, []).append((record.job.name, slots))
                else:
                    self._named.setdefault(mount.name, set()).add(record.job.name)

    def of(self, volume: str) -> list[JobName]:
        """Sorted."""
        found = set(self._named.get(volume, ()))
        base, _, slot = volume.rpartition("-")
        if base in self._slots and slot.isascii() and slot.isdigit():
            found.update(job for job, slots in self._slots[base] if int(slot) < slots)
        return sorted(found)


def is_held(
    volume: str,
    row: NodeRecord | None,
    allocations: Mapping[AllocationId, Allocation],
    jobs: Lookup,
    leaving: Collection[AllocationId] = (),
) -> bool:
    """Returns whether a task on the node has the volume. `leaving`: tasks that are about to end."""
    return bool(holders(volume, row, allocations, jobs, leaving))


def holders(
    volume: str,
    row: NodeRecord | None,
    allocations: Mapping[AllocationId, Allocation],
    jobs: Lookup,
    leaving: Collection[AllocationId] = (),
) -> list[Allocation]:
    """The allocations on a node that have the volume and have not ended."""
    found: list[Allocation] = []
    for name in row.holdings.by_job if row is not None else ():
        record = jobs(name)
        for identity in row.holdings.of_job(name) if row is not None and record is not None else ():
            held = allocations[identity]
            if held.terminal or identity in leaving or record is None:
                continue
            if volume in record.spec(held.job_version).volume_names(held.index):
                found.append(held)
    return found


def has_home(volume: Volume, *, writes: bool) -> bool:
    """Returns whether a task that has it is to be where its other tasks are. `writes`: it is no mere reader."""
    return volume.system is None or excludes(volume.system.access, read_only=not writes, other_read_only=False)


def is_free(
    volume: Volume | None,
    row: NodeRecord | None,
    allocations: Mapping[AllocationId, Allocation],
    jobs: Lookup,
    leaving: Collection[AllocationId] = (),
) -> bool:
    """Returns whether any node may be the home of a volume: it has no data there, and no task on the node that was
    to have it. `row`: that node.
    """
    if volume is None or not volume.home:
        return True
    return (volume.kind is VolumeKind.CSI or not volume.data) and not is_held(
        volume.name, row, allocations, jobs, leaving
    )


# --- jobs --------------------------------------------------------------------------------------------------


def refuse_volumes(state: Tables, job: Job) -> OrionError | None:
    """Returns why a job can't have the volumes that it asks for; None when it can."""
    spec = job.task
    if not spec.has_volumes:
        return None
    named = [each for each in spec.volumes if each.name]
    if job.kind is JobKind.SYSTEM and (of_one := [each for each in named if not _goes_anywhere(state, each)]):
        return Refused(
            f"{job.name} has a task on each node, and volume {of_one[0].name} is on one of them: give it a path of"
            " its nodes, as in /srv/data:/data, or another kind"
        )
    if spec.writes_volumes and job.update is not None and job.update.order is UpdateOrder.START_FIRST:
        writable = next((e.name for e in named if not (e.read_only or _goes_anywhere(state, e))), "")
        if writable:
            return Refused(
                f"{job.name} writes to volume {writable}, so that its new task can't start beside the former one:"
                " write update.order stop-first or auto, or mount the volume read-only"
            )
    table = state.of(Volumes)
    for each in named:
        row = table.get(each.name) if not (each.per_slot or each.read_only) else None
        if row is not None and row.system is not None and only_reads(row.system.access):
            return Refused(
                f"volume {row.name} is {row.system.access.value}: {job.name} has to mount it read-only, as in"
                f" {row.name}:{each.target}:ro"
            )
    if (leaving := _being_removed(table, named, job.count)) is not None:
        return Conflict(
            f"{job.name} asks for volume {leaving}, which is being removed: wait until it is gone, or name another"
        )
    new = sum(job.count if each.per_slot else each.name not in table.rows for each in named)
    if new and len(table) + new > MAX_VOLUMES:
        new = sum(_absent(table, each, job.count) for each in named)
        if new and len(table) + new > MAX_VOLUMES:
            return Refused(
                f"{job.name} needs {new:,} more volumes; there are {len(table):,}, and can be {MAX_VOLUMES:,}:"
                " 'orion volume prune' removes unused ones"
            )
    return None


def _being_removed(table: Volumes, mounts: list[VolumeMount], count: int) -> str | None:
    leaving = {row.name for row in table.unsettled() if row.system is not None and row.system.removing}
    if not leaving:
        return None
    for each in mounts:
        slots = range(min(count, MAX_VOLUMES) if each.per_slot else 1)
        if found := next((name for index in slots if (name := each.volume_of(index)) in leaving), None):
            return found
    return None


def _goes_anywhere(state: Tables, mount: VolumeMount) -> bool:
    """Returns whether it is a storage system's, which many nodes may have at a time as this mount needs it."""
    row = state.of(Volumes).get(mount.name) if not mount.per_slot else None
    return row is not None and row.system is not None and not has_home(row, writes=not mount.read_only)


def _absent(table: Volumes, mount: VolumeMount, count: int) -> int:
    if not mount.per_slot:
        return mount.name not in table.rows
    known = sum(mount.volume_of(index) in table.rows for index in range(min(count, MAX_VOLUMES)))
    return count - known


# --- placements --------------------------------------------------------------------------------------------


class VolumeGiver:
    """Gives the tasks of a plan's group their volumes, and volumes their homes."""

    def __init__(self, state: Tables, step: Step, job: JobName, spec: TaskSpec) -> None:
        self._state = state
        self._step = step
        self._job = job
        self._spec = spec

    def admits(self, node: NodeRecord, index: int) -> bool:
        """Returns whether all volumes of a slot's task are on the node, or may be."""
        state, table = self._state, self._state.of(Volumes)
        new = 0
        for name in self._spec.volume_names(index):
            row = table.get(name)
            new += row is None
            if row is None:
                continue
            if row.moving_to or (row.system is not None and not self._can_have(node, row)):
                return False
            if not has_home(row, writes=self._spec.writes_volume(name, index)):
                continue
            if row.home == node.node.id:
                continue
            if not is_free(row, state.records.get(row.home), state.allocations, state.jobs.get):
                return False
        return len(table) + new <= MAX_VOLUMES

    @staticmethod
    def _can_have(node: NodeRecord, row: Volume) -> bool:
        part = row.system
        if part is None or part.removing or not row.data:
            return False
        return part.reached_by(node.node.plugin(row.driver))

    def give(self, node: NodeRecord, index: int) -> None:
        table, step, home = self._state.of(Volumes), self._step, node.node.id
        for name in self._spec.volume_names(index):
            row = table.get(name)
            if row is None:
                slot = next(m for m in self._spec.volumes if m.name and m.volume_of(index) == name)
                of_slot = (slot.name, index) if slot.per_slot else ("", -1)
                row = Volume(name, home=home, created_index=step.index, created_at_ms=step.at_ms)
                row = replace(row, base=of_slot[0], slot=of_slot[1])
                text = f"volume {name} is made on {home} for {task_id(self._job, index)}"
                step.tell("VolumeCreated", name, text)
            elif has_home(row, writes=self._spec.writes_volume(name, index)):
                row = replace(row, home=home)
            table.put(replace(row, used_at_ms=step.at_ms))


def volume_giver(state: Tables, step: Step, job: JobName, spec: TaskSpec) -> VolumeGiver | None:
    """None: its tasks have no volumes."""
    return VolumeGiver(state, step, job, spec) if spec.has_volumes else None


TABLES = (Volumes,)
COMMANDS = ()
