"""Snapshots of storage systems' volumes by name, and the commands by which people ask for them and remove them."""

from collections.abc import Iterator

from msgspec.structs import replace

from orion.model.errors import Conflict, NotFound, OrionError, Refused, shown
from orion.model.levels import since
from orion.model.volume_snapshots import MAX_SNAPSHOTS, SNAPSHOT, VolumeSnapshot
from orion.model.volumes import is_volume_name
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_NUMBER, MAX_WORD, first, key_fault, longer, outside
from orion.state.core.frames import Rows
from orion.state.core.indexes import KeysBy, SortedKeys
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import Tables
from orion.state.tables.answers import Answers
from orion.state.tables.volume_secrets import VolumeSecrets, snapshot_key
from orion.state.tables.volumes import Volumes, unknown_volume


@since(2)
class VolumeSnapshotsFrame(Rows, frozen=True, array_like=True, tag=25):
    """By name."""

    rows: list[VolumeSnapshot]


class VolumeSnapshots(KeyedTable[str, VolumeSnapshot]):
    rows_frame = VolumeSnapshotsFrame

    def __init__(self, state: TableSet) -> None:
        self._names = SortedKeys()
        self._unsettled = KeysBy[str, VolumeSnapshot](lambda row: () if row.settled else ("",))
        super().__init__(state, self._names, self._unsettled)

    @staticmethod
    def key(row: VolumeSnapshot) -> str:
        return row.name

    @staticmethod
    def can_be(row: VolumeSnapshot) -> bool:
        return is_volume_name(row.name) and (bool(row.data) or not row.ready)

    def ordered(self) -> list[str]:
        return self._names.keys

    def names_after(self, after: str) -> Iterator[str]:
        return self._names.prefixed("", after)

    def unsettled(self) -> list[VolumeSnapshot]:
        """Those that are to be made or deleted."""
        return [self.rows[name] for name in sorted(self._unsettled.of(""))]


@since(2)
class CreateVolumeSnapshot(Command, frozen=True, array_like=True, tag=78):
    """Nothing where there is one of this name, of that volume. Refused (Conflict) when it is of another one, or the
    volume is not made yet or is being removed. The leader's duty has it taken.
    """

    name: str
    volume: str
    idempotency_key: str
    since: int


@since(2)
class RemoveVolumeSnapshot(Command, frozen=True, array_like=True, tag=79):
    """It is deleted in its storage system, then forgotten; with `force` it is forgotten at once. NotFound when
    there is none, or another one than that of `created_index`; 0 is whichever.
    """

    name: str
    created_index: int
    idempotency_key: str
    since: int
    force: bool = False


def unknown_snapshot(name: str) -> NotFound:
    return NotFound(f"there is no snapshot {name[:80]}; orion volume snapshots lists them")


def _create_fault(create: CreateVolumeSnapshot) -> str:
    return first(
        (
            longer("name", len(create.name), MAX_WORD),
            longer("volume", len(create.volume), MAX_WORD),
            key_fault(create.idempotency_key),
        )
    )


@command(
    CreateVolumeSnapshot,
    fault=_create_fault,
    once=once_about(Answers, "create volume snapshot", lambda create: create.name),
)
def create_volume_snapshot(state: Tables, step: Step, create: CreateVolumeSnapshot) -> str | OrionError:
    name, table = create.name, state.of(VolumeSnapshots)
    if not is_volume_name(name):
        return Refused(f"{shown(name)} is no snapshot's name: write letters, digits, '.', '_' and '-'")
    row = state.of(Volumes).get(create.volume)
    if row is None:
        return unknown_volume(create.volume)
    if row.system is None:
        return Conflict(f"volume {row.name} is in no storage system: 'orion volume backup' saves what is in it")
    if (former := table.get(name)) is not None:
        same = (former.driver, former.source) == (row.driver, row.data) and not former.removing
        what = "which is being removed" if former.removing else f"of volume {former.volume}"
        return name if same else Conflict(f"there is a snapshot {name} already, {what}: choose another name")
    if not row.data or row.system.removing:
        return Conflict(f"volume {row.name} is being {'removed' if row.system.removing else 'made'}")
    if len(table) >= MAX_SNAPSHOTS:
        return Refused(f"there are {MAX_SNAPSHOTS:,} snapshots, the most there can be: orion volume snapshot-rm")
    made = VolumeSnapshot(name, row.name, row.driver, row.data, step.index, step.at_ms, secrets=row.system.secrets)
    table.put(made)
    secrets = state.of(VolumeSecrets)
    secrets.set(snapshot_key(name), step.index, secrets.of(row.name, row.created_index))
    return name


def _remove_fault(remove: RemoveVolumeSnapshot) -> str:
    return first(
        (
            longer("name", len(remove.name), MAX_WORD),
            outside("created_index", remove.created_index, MAX_NUMBER),
            key_fault(remove.idempotency_key),
        )
    )


@command(
    RemoveVolumeSnapshot,
    fault=_remove_fault,
    once=once_about(Answers, "remove volume snapshot", lambda remove: remove.name),
)
def remove_volume_snapshot(state: Tables, step: Step, remove: RemoveVolumeSnapshot) -> str | OrionError:
    name, table = remove.name, state.of(VolumeSnapshots)
    row = table.get(name)
    if row is None or remove.created_index not in (0, row.created_index):
        return unknown_snapshot(name)
    for volume in state.of(Volumes).unsettled():
        part = volume.system
        same = part is not None and volume.driver == row.driver and part.source_snapshot == row.data
        if row.data and same and not volume.data and not remove.force:
            return Conflict(
                f"volume {volume.name} is being made of snapshot {name}: wait until it is, or remove it"
            )
    if remove.force or not row.asked:
        what = "was forgotten; its plugin may have it still" if remove.force else "was removed"
        forget_snapshot(state, name)
        step.tell("VolumeSnapshotRemoved", row.volume, f"snapshot {name} of volume {row.volume} {what}")
    elif not row.removing:
        table.put(replace(row, removing=True, why="", refused=False))
    return name


def forget_snapshot(state: Tables, name: str) -> None:
    state.of(VolumeSnapshots).drop(name)
    state.of(VolumeSecrets).forget(f"{SNAPSHOT}{name}")


TABLES = (VolumeSnapshots,)
COMMANDS = (create_volume_snapshot, remove_volume_snapshot)
