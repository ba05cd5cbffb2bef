"""Commands by which people ask for volumes of storage systems, and for more room in them."""

from msgspec.structs import replace

from orion.model.csi import MAX_BYTES
from orion.model.errors import Conflict, NotFound, OrionError, Refused, shown
from orion.model.levels import since
from orion.model.resources import size_text
from orion.model.secret_values import SecretPairs
from orion.model.storage import Pairs, SystemPart, part_fault
from orion.model.volumes import Volume, VolumeKind
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_WORD, first, key_fault, longer, outside
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.tables.answers import Answers
from orion.state.tables.volume_changes import copied_by, labels_fault, too_many, wrong_name
from orion.state.tables.volume_secrets import VolumeSecrets
from orion.state.tables.volume_snapshots import VolumeSnapshots, unknown_snapshot
from orion.state.tables.volumes import Volumes, unknown_volume

MAX_KNOWN = 5  # plugins in an error


@since(2, words="volumes of storage systems")
class CreateStorageVolume(Command, frozen=True, array_like=True, tag=70):
    """A volume that the plugin `driver` is to make, or has as `part.given`. Nothing where it is there as it is
    asked for; refused (Conflict) when it is another one. `part` has what people ask for, and nothing that a plugin
    says.
    """

    name: str
    driver: str
    labels: Pairs
    part: SystemPart
    secrets: SecretPairs
    idempotency_key: str
    since: int


@since(2)
class ExpandVolume(Command, frozen=True, array_like=True, tag=71):
    """A volume is to have so many bytes at least. Refused (Conflict) when that is less than it has, or more than
    its limit, or it is not made yet. The size that it has calls off a growth.
    """

    name: str
    size_bytes: int
    idempotency_key: str
    since: int


def _create_fault(create: CreateStorageVolume) -> str:
    part = create.part
    asked = replace(
        SystemPart(),
        access=part.access,
        size_bytes=part.size_bytes,
        limit_bytes=part.limit_bytes,
        block=part.block,
        fs_type=part.fs_type,
        mount_flags=part.mount_flags,
        parameters=part.parameters,
        secrets=part.secrets,
        given=part.given,
        source=part.source,
    )
    return first(
        (
            longer("name", len(create.name), MAX_WORD),
            longer("driver", len(create.driver), MAX_WORD),
            labels_fault(create.labels),
            longer("source", len(part.source), MAX_WORD),
            part_fault(part),
            "" if asked == part else "a part of a volume says what only its plugin does",
            create.secrets.fault(),
            "" if len(create.secrets.pairs) == part.secrets else "there are other secrets than are said",
            key_fault(create.idempotency_key),
        )
    )


@command(
    CreateStorageVolume,
    fault=_create_fault,
    once=once_about(Answers, "create volume", lambda create: create.name),
)
def create_storage_volume(state: Tables, step: Step, create: CreateStorageVolume) -> str | OrionError:
    name, table = create.name, state.of(Volumes)
    if (wrong := wrong_name(name)) is not None:
        return wrong
    if (row := table.get(name)) is not None:
        return _again(state, step, row, create)
    if (full := too_many(table)) is not None:
        return full
    if (unknown := _unknown_driver(state, create.driver)) is not None:
        return unknown
    part = _with_source(state, create)
    if isinstance(part, OrionError):
        return part
    table.put(
        Volume(
            name,
            VolumeKind.CSI,
            created_index=step.index,
            created_at_ms=step.at_ms,
            labels=tuple(sorted(create.labels)),
            driver=create.driver,
            system=part,
        )
    )
    state.of(VolumeSecrets).set(name, step.index, create.secrets)
    step.tell("VolumeCreated", name, f"volume {name} is to be made by {create.driver}")
    return name


def _again(state: Tables, step: Step, row: Volume, create: CreateStorageVolume) -> str | OrionError:
    """The answer where there is a volume of that name. One that its plugin refuses is asked for anew."""
    name, had = row.name, row.system
    if had is None:
        return Conflict(f"a volume {name} is there already, on a node: choose another name: orion volume ls")
    if had.removing:
        return Conflict(f"volume {name} is being removed: wait until it is gone, or choose another name")
    secrets = SecretPairs(tuple(sorted(create.secrets.pairs)))
    there = _terms(row.driver, row.labels, had)
    asked = _terms(create.driver, tuple(sorted(create.labels)), create.part)
    if not create.part.size_bytes and had.source:
        asked["size"] = there["size"]  # as large as what it began with
    if state.of(VolumeSecrets).of(name, row.created_index) != secrets:
        asked["secrets"] = ()
    if differs := [word for word, value in asked.items() if value != there[word]]:
        return Conflict(
            f"a volume {name} is there already, with other terms ({', '.join(differs)}): choose another name, or"
            " remove it first"
        )
    if had.refused:
        state.of(Volumes).put(replace(row, system=replace(had, refused=False, asked_at=step.index)))
    return name


def _terms(driver: str, labels: Pairs, part: SystemPart) -> dict[str, object]:
    """The terms that two requests for one volume have in common, by words for people."""
    return {
        "driver": driver,
        "labels": labels,
        "size": part.size_bytes,
        "limit": part.limit_bytes,
        "access": part.access,
        "block": part.block,
        "file system": part.fs_type,
        "mount flags": part.mount_flags,
        "parameters": tuple(sorted(part.parameters)),
        "secrets": part.secrets,
        "id": part.given,
        "source": part.source,
    }


def _unknown_driver(state: Tables, driver: str) -> OrionError | None:
    known = sorted({each.name for node in state.nodes.values() for each in node.plugins if each.controller})
    if driver in known:
        return None
    if not known:
        there = "no node has one that works: give nodes its socket with --csi-socket"
    else:
        there = f"there are: {', '.join(known[:MAX_KNOWN])}{', and others' * (len(known) > MAX_KNOWN)}"
    return NotFound(f"no node has a storage plugin {shown(driver)} with a controller; {there}")


def _with_source(state: Tables, create: CreateStorageVolume) -> SystemPart | OrionError:
    """The part with the plugin's id of what the volume begins with, and its size where none is asked for."""
    part = replace(create.part, parameters=tuple(sorted(create.part.parameters)))
    if not part.source:
        return part
    kind, _, name = part.source.partition(":")
    if kind == "volume":
        row = state.of(Volumes).get(name)
        if row is None:
            return unknown_volume(name)
        if row.system is None:
            return Conflict(f"volume {name} is in no storage system, so that nothing can begin with it")
        found = (row.driver, row.data if not row.system.removing else "")
        # It may have grown before the new one is made, which can't be smaller.
        size = max(row.system.size_bytes, row.system.has_bytes, row.system.grow_to)
        part = replace(part, source_volume=row.data)
    elif kind == "snapshot":
        taken = state.of(VolumeSnapshots).get(name)
        if taken is None:
            return unknown_snapshot(name)
        found = (taken.driver, taken.data if taken.ready and not taken.removing else "")
        size = taken.size_bytes
        part = replace(part, source_snapshot=taken.data)
    else:
        return Refused(f"{shown(part.source)} is no source: write volume:NAME or snapshot:NAME")
    if found[0] != create.driver:
        return Conflict(f"{kind} {name} is {found[0]}'s: only a volume of {found[0]} can begin with it")
    if not found[1]:
        return Conflict(f"{kind} {name} is not made yet, or is being removed")
    return part if part.size_bytes else replace(part, size_bytes=size)


def _expand_fault(expand: ExpandVolume) -> str:
    return first(
        (
            longer("name", len(expand.name), MAX_WORD),
            outside("size_bytes", expand.size_bytes, MAX_BYTES, 1),
            key_fault(expand.idempotency_key),
        )
    )


@command(
    ExpandVolume,
    fault=_expand_fault,
    once=once_about(Answers, "expand volume", lambda expand: f"{expand.name} {expand.size_bytes}"),
)
def expand_volume(state: Tables, step: Step, expand: ExpandVolume) -> str | OrionError:
    name, size = expand.name, expand.size_bytes
    row = state.of(Volumes).get(name)
    if row is None:
        return unknown_volume(name)
    part = row.system
    if part is None:
        return Conflict(f"volume {name} is a directory of a node: it has no size of its own")
    if part.removing or not row.data:
        return Conflict(f"volume {name} is being {'removed' if part.removing else 'made'}")
    has = max(part.size_bytes, part.has_bytes)
    if size == part.grow_to:
        return name
    if size in (part.size_bytes, part.has_bytes):  # as it is: a growth that does not get on is called off
        state.of(Volumes).put(replace(row, system=replace(part, grow_to=0, why="")))
        return name
    if size < max(has, part.grow_to):
        return Conflict(f"volume {name} has {size_text(max(has, part.grow_to))}: no volume shrinks")
    if part.limit_bytes and size > part.limit_bytes:
        return Conflict(f"volume {name} was made with a limit of {size_text(part.limit_bytes)}")
    if copy := copied_by(state, row):  # which may not be smaller than it
        return Conflict(f"volume {name} is being copied by {copy}: wait until that is made, or remove it")
    state.of(Volumes).put(replace(row, system=replace(part, grow_to=size, why="")))
    step.tell("VolumeGrows", name, f"volume {name} is to grow to {size_text(size)}")
    return name


TABLES = ()
COMMANDS = (create_storage_volume, expand_volume)
