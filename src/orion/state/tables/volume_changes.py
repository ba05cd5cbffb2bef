"""Commands that make volumes, say that a node has made the data of one, and remove them."""

from msgspec.structs import replace

from orion.model.errors import Conflict, OrionError, Refused, shown
from orion.model.ids import NodeId
from orion.model.levels import since
from orion.model.storage import Pairs, SystemPart
from orion.model.volumes import MAX_LABELS, MAX_TEXT, MAX_VOLUMES, Volume, is_volume_name
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_NUMBER, MAX_WORD, first, key_fault, longer, node_fault, outside
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.tables.answers import Answers
from orion.state.tables.claims import Claims
from orion.state.tables.volume_secrets import VolumeSecrets
from orion.state.tables.volume_snapshots import VolumeSnapshots
from orion.state.tables.volumes import Users, Volumes, unknown_volume

MAX_NAMED = 3  # names in an error


@since(2)
class CreateVolume(Command, frozen=True, array_like=True, tag=52):
    """Nothing where it is there, with these labels. Refused (Conflict) when it has others. It has a home once its
    first task is placed.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    idempotency_key: str
    since: int


@since(2)
class RemoveVolume(Command, frozen=True, array_like=True, tag=53):
    """Refused (Conflict) while a job asks for it, in any version that is kept, or it is being moved. NotFound when
    there is none, or another one than that of `created_index`; 0 is whichever.

    A storage system's is deleted there first, by the leader's duty, unless nobody was ever asked for it. `force`:
    it is forgotten at once.
    """

    name: str
    created_index: int
    idempotency_key: str
    since: int
    force: bool = False


@since(2)
class SetVolumeData(Command, frozen=True, array_like=True, tag=54):
    """Its home has made a volume's data, by this name of it. Refused (Conflict) when it has other data already, or
    another home.
    """

    node: NodeId
    name: str
    created_index: int
    data: str


def labels_fault(labels: Pairs) -> str:
    long = (longer("label", max(map(len, pair)), MAX_TEXT) for pair in labels)
    return first((outside("labels", len(labels), MAX_LABELS), *long))


def wrong_name(name: str) -> Refused | None:
    if is_volume_name(name):
        return None
    return Refused(f"{shown(name)} is no volume's name: write letters, digits, '.', '_' and '-', as in data")


def too_many(table: Volumes) -> Refused | None:
    if len(table) < MAX_VOLUMES:
        return None
    return Refused(f"there are {MAX_VOLUMES:,} volumes, the most there can be: orion volume prune")


def _create_fault(create: CreateVolume) -> str:
    return first(
        (
            longer("name", len(create.name), MAX_WORD),
            labels_fault(create.labels),
            key_fault(create.idempotency_key),
        )
    )


@command(CreateVolume, fault=_create_fault, once=once_about(Answers, "create volume", lambda create: create.name))
def create_volume(state: Tables, step: Step, create: CreateVolume) -> str | OrionError:
    name, table = create.name, state.of(Volumes)
    if (wrong := wrong_name(name)) is not None:
        return wrong
    if (row := table.get(name)) is not None:
        if row.labels == tuple(sorted(create.labels)):
            return name
        return Conflict(
            f"a volume {name} is there already, with other labels; choose another name: orion volume ls"
        )
    if (full := too_many(table)) is not None:
        return full
    table.put(Volume(name, created_index=step.index, created_at_ms=step.at_ms, labels=tuple(sorted(create.labels))))
    step.tell("VolumeCreated", name, f"volume {name} created")
    return name


def _remove_fault(remove: RemoveVolume) -> str:
    return first(
        (
            longer("name", len(remove.name), MAX_WORD),
            outside("created_index", remove.created_index, MAX_NUMBER),
            key_fault(remove.idempotency_key),
        )
    )


@command(RemoveVolume, fault=_remove_fault, once=once_about(Answers, "remove volume", lambda remove: remove.name))
def remove_volume(state: Tables, step: Step, remove: RemoveVolume) -> str | OrionError:
    name, table = remove.name, state.of(Volumes)
    row = table.get(name)
    if row is None or remove.created_index not in (0, row.created_index):
        return unknown_volume(name)
    if users := Users(state.jobs.values()).of(name):
        more = f" and {len(users) - MAX_NAMED:,} more" if len(users) > MAX_NAMED else ""
        return Conflict(
            f"volume {name} is used by {', '.join(users[:MAX_NAMED])}{more}, now or in a version that is kept:"
            " remove or redeploy who uses it first"
        )
    if row.system is not None:
        return _remove_stored(state, step, row, row.system, force=remove.force)
    if row.moving_to:
        return Conflict(f"volume {name} is being moved from {row.home} to {row.moving_to}: wait until it is there")
    table.drop(name)
    state.capacity_epoch += 1  # another one may have its place, or its name
    step.tell("VolumeRemoved", name, f"volume {name} was removed{f' from {row.home}' if row.home else ''}")
    return name


def _remove_stored(state: Tables, step: Step, row: Volume, part: SystemPart, *, force: bool) -> str | OrionError:
    """Nothing is lost of what the plugin may have made: it stays a row until it is deleted there."""
    name = row.name
    claims = state.of(Claims).of_volume(name)
    if claims and force:
        return Conflict(
            f"volume {name} is on {claims[0].node} still, and can't be forgotten before that node has let go of it,"
            f" or is removed ('orion nodes rm {claims[0].node}')"
        )
    if (copy := copied_by(state, row)) and not force:
        return Conflict(f"volume {name} is being copied by {copy}: wait until that is made, or remove it")
    if force or not (claims or (part.asked and not part.given)):
        forget_stored(state, name)
        what = "was forgotten; its plugin may have it still" if force or part.given else "was removed"
        step.tell("VolumeRemoved", name, f"volume {name} {what}")
        return name
    if not part.removing:
        state.of(Volumes).put(replace(row, system=replace(part, removing=True, grow_to=0, why="", refused=False)))
    return name


def forget_stored(state: Tables, name: str) -> None:
    """Drops the row of a storage system's volume, with its secrets."""
    state.of(Volumes).drop(name)
    state.of(VolumeSecrets).forget(name)
    state.capacity_epoch += 1  # another one may have its place, or its name


def copied_by(state: Tables, row: Volume) -> str:
    """Returns the copy of the volume that is being made, in words; "" for none."""
    if not row.data:
        return ""
    for snapshot in state.of(VolumeSnapshots).unsettled():
        if (snapshot.driver, snapshot.source) == (row.driver, row.data) and not snapshot.data:
            return f"snapshot {snapshot.name}"
    for other in state.of(Volumes).unsettled():
        part = other.system
        if part is not None and other.driver == row.driver and not other.data and part.source_volume == row.data:
            return f"volume {other.name}"
    return ""


def _data_fault(change: SetVolumeData) -> str:
    return first(
        (
            node_fault(change.node),
            longer("name", len(change.name), MAX_WORD),
            outside("created_index", change.created_index, MAX_NUMBER),
            longer("data", len(change.data), MAX_WORD),
            "" if change.data else "data has no name",
        )
    )


@command(SetVolumeData, fault=_data_fault)
def set_volume_data(state: Tables, _: Step, change: SetVolumeData) -> str | OrionError:
    row = state.of(Volumes).get(change.name)
    if row is None or row.created_index != change.created_index:
        return unknown_volume(change.name)
    if row.home != change.node or row.moving_to or row.system is not None:
        return Conflict(f"volume {row.name} is on {row.home or 'no node yet'}, not on {change.node}")
    if row.data and row.data != change.data:
        return Conflict(f"volume {row.name} has data already, which {change.node} did not make now")
    state.of(Volumes).put(replace(row, data=change.data))
    return row.name


TABLES = ()
COMMANDS = (create_volume, remove_volume, set_volume_data)
