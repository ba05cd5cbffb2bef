"""Commands by which the leader's duty writes down what came of calls about volumes and snapshots.

Each names its subject by key and index, so that one about a former volume of its name is void.
"""

from msgspec.structs import replace

from orion.model.claims import MAX_WHY
from orion.model.csi import MAX_BYTES, MAX_ID_BYTES
from orion.model.errors import Conflict, OrionError
from orion.model.levels import since
from orion.model.resources import bytes_text
from orion.model.storage import MAX_TOPOLOGIES, Pairs, SystemPart, pairs_fault
from orion.model.volume_snapshots import SNAPSHOT, VolumeSnapshot
from orion.model.volumes import Volume
from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_MS, MAX_NUMBER, MAX_WORD, first, longer, outside
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.tables.claims import Claims
from orion.state.tables.volume_changes import forget_stored
from orion.state.tables.volume_snapshots import VolumeSnapshots, forget_snapshot
from orion.state.tables.volumes import Volumes


@since(2)
class MarkStored(Command, frozen=True, array_like=True, tag=72):
    """A call to make a volume or a snapshot is about to be made (`asked`), or why the last one failed; with
    `refused` the same call fails again. Nothing that was asked for is ever taken as not asked for.
    """

    key: str
    created_index: int
    asked: bool
    why: str = ""
    refused: bool = False


@since(2)
class SetStoredVolume(Command, frozen=True, array_like=True, tag=73):
    """The plugin has made a volume, as `data`. Refused (Conflict) when it is there as another one."""

    name: str
    created_index: int
    data: str
    has_bytes: int
    context: Pairs
    topologies: tuple[Pairs, ...]


@since(2)
class SetStoredSize(Command, frozen=True, array_like=True, tag=74):
    """The plugin has grown a volume to `size_bytes`; with `why` it never will, and the volume stays as it is. Void
    when it is to have another size by now.
    """

    name: str
    created_index: int
    size_bytes: int
    has_bytes: int
    node_grows: bool
    why: str = ""


@since(2)
class SetStoredSnapshot(Command, frozen=True, array_like=True, tag=75):
    """The plugin has taken a snapshot, as `data`. Until it is `ready` no volume can begin with it."""

    name: str
    created_index: int
    data: str
    size_bytes: int
    taken_ms: int
    ready: bool


@since(2)
class EndStored(Command, frozen=True, array_like=True, tag=76):
    """A volume or a snapshot that is being removed is not in its storage system any more."""

    key: str
    created_index: int


def _subject_faults(key: str, created_index: int) -> tuple[str, ...]:
    return longer("key", len(key), MAX_WORD), outside("created_index", created_index, MAX_NUMBER)


def _gone(key: str) -> Conflict:
    return Conflict(f"{key[:80]} is not there any more as it was")


def _volume(state: Tables, name: str, created_index: int) -> tuple[Volume, SystemPart] | None:
    row = state.of(Volumes).get(name)
    if row is None or row.created_index != created_index or row.system is None:
        return None
    return row, row.system


def _snapshot(state: Tables, name: str, created_index: int) -> VolumeSnapshot | None:
    row = state.of(VolumeSnapshots).get(name)
    return row if row is not None and row.created_index == created_index else None


# --- what is said of a call ----------------------------------------------------------------------------------


def _mark_fault(mark: MarkStored) -> str:
    return first((*_subject_faults(mark.key, mark.created_index), longer("why", len(mark.why), MAX_WHY)))


@command(MarkStored, fault=_mark_fault)
def mark_stored(state: Tables, _: Step, mark: MarkStored) -> OrionError | None:
    if mark.key.startswith(SNAPSHOT):
        snapshot = _snapshot(state, mark.key.removeprefix(SNAPSHOT), mark.created_index)
        if snapshot is None:
            return _gone(mark.key)
        asked = snapshot.asked or mark.asked
        changed = replace(snapshot, asked=asked, why=mark.why, refused=mark.refused)
        state.of(VolumeSnapshots).put(changed)
        return None
    found = _volume(state, mark.key, mark.created_index)
    if found is None:
        return _gone(mark.key)
    row, part = found
    marked = replace(part, asked=part.asked or mark.asked, why=mark.why, refused=mark.refused)
    state.of(Volumes).put(replace(row, system=marked))
    return None


def _set_fault(change: SetStoredVolume) -> str:
    return first(
        (
            *_subject_faults(change.name, change.created_index),
            outside("bytes of its id", len(change.data.encode()), MAX_ID_BYTES, 1),
            outside("has_bytes", change.has_bytes, MAX_BYTES),
            outside("topologies", len(change.topologies), MAX_TOPOLOGIES),
            pairs_fault("the context of a volume", change.context),
            *(pairs_fault("a place of a volume", each) for each in change.topologies),
        )
    )


@command(SetStoredVolume, fault=_set_fault)
def set_stored_volume(state: Tables, step: Step, change: SetStoredVolume) -> OrionError | None:
    found = _volume(state, change.name, change.created_index)
    if found is None:
        return _gone(change.name)
    row, part = found
    if row.data:
        return None if row.data == change.data else Conflict(f"volume {row.name} is made already, as another one")
    made = replace(
        part,
        has_bytes=change.has_bytes,
        context=tuple(sorted(change.context)),
        topologies=change.topologies,
        asked=True,
        why="",
        refused=False,
    )
    state.of(Volumes).put(replace(row, data=change.data, system=made))
    state.capacity_epoch += 1  # tasks may wait for it
    step.tell("VolumeMade", row.name, f"volume {row.name} was made by {row.driver}")
    return None


def _size_fault(change: SetStoredSize) -> str:
    return first(
        (
            *_subject_faults(change.name, change.created_index),
            outside("size_bytes", change.size_bytes, MAX_BYTES, 1),
            outside("has_bytes", change.has_bytes, MAX_BYTES),
            longer("why", len(change.why), MAX_WHY),
        )
    )


@command(SetStoredSize, fault=_size_fault)
def set_stored_size(state: Tables, step: Step, change: SetStoredSize) -> OrionError | None:
    found = _volume(state, change.name, change.created_index)
    if found is None:
        return _gone(change.name)
    row, part = found
    if part.grow_to != change.size_bytes:
        return None
    if change.why:
        state.of(Volumes).put(replace(row, system=replace(part, grow_to=0, why=change.why)))
        step.tell("VolumeStays", row.name, f"volume {row.name} can't grow to {bytes_text(change.size_bytes)}")
        return None
    grown = replace(
        part,
        size_bytes=change.size_bytes,
        has_bytes=change.has_bytes,
        grow_to=0,
        node_grows=part.node_grows or change.node_grows,
        why="",
    )
    state.of(Volumes).put(replace(row, system=grown))
    for claim in state.of(Claims).of_volume(row.name):  # its node has to grow its part
        if (record := state.records.get(claim.node)) is not None:
            record.work_index = step.index
    step.tell("VolumeGrown", row.name, f"volume {row.name} has {bytes_text(change.size_bytes)} now")
    return None


def _snapshot_fault(change: SetStoredSnapshot) -> str:
    return first(
        (
            *_subject_faults(change.name, change.created_index),
            outside("bytes of its id", len(change.data.encode()), MAX_ID_BYTES, 1),
            outside("size_bytes", change.size_bytes, MAX_BYTES),
            outside("taken_ms", change.taken_ms, MAX_MS),
        )
    )


@command(SetStoredSnapshot, fault=_snapshot_fault)
def set_stored_snapshot(state: Tables, step: Step, change: SetStoredSnapshot) -> OrionError | None:
    row = _snapshot(state, change.name, change.created_index)
    if row is None:
        return _gone(change.name)
    if row.data and row.data != change.data:
        return Conflict(f"snapshot {row.name} is taken already, as another one")
    taken = replace(
        row,
        data=change.data,
        size_bytes=change.size_bytes,
        taken_ms=change.taken_ms,
        ready=row.ready or change.ready,
        asked=True,
        why="",
        refused=False,
    )
    state.of(VolumeSnapshots).put(taken)
    if taken.ready and not row.ready:
        step.tell("VolumeSnapshotTaken", row.volume, f"snapshot {row.name} of volume {row.volume} was taken")
    return None


# --- the end -------------------------------------------------------------------------------------------------


def _end_fault(end: EndStored) -> str:
    return first(_subject_faults(end.key, end.created_index))


@command(EndStored, fault=_end_fault)
def end_stored(state: Tables, step: Step, end: EndStored) -> OrionError | None:
    if end.key.startswith(SNAPSHOT):
        snapshot = _snapshot(state, end.key.removeprefix(SNAPSHOT), end.created_index)
        if snapshot is None or not snapshot.removing:
            return _gone(end.key)
        forget_snapshot(state, snapshot.name)
        step.tell(
            "VolumeSnapshotRemoved",
            snapshot.volume,
            f"snapshot {snapshot.name} of volume {snapshot.volume} was removed",
        )
        return None
    found = _volume(state, end.key, end.created_index)
    if found is None or not found[1].removing:
        return _gone(end.key)
    if claims := state.of(Claims).of_volume(end.key):
        return Conflict(f"volume {end.key} is on {claims[0].node} still")
    forget_stored(state, end.key)
    step.tell("VolumeRemoved", end.key, f"volume {end.key} was removed from {found[0].driver}")
    return None


TABLES = ()
COMMANDS = (mark_stored, set_stored_volume, set_stored_size, set_stored_snapshot, end_stored)
