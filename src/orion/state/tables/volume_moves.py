"""Commands by which the data of a volume goes to another node: begun by people, ended by the leader's duty.

While it moves no task has the volume. What was copied has another name than the data that it is a copy of, so
that a former node's data is never taken for it.
"""

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.errors import Conflict, NotFound, OrionError
from orion.model.ids import NodeId, task_id
from orion.model.levels import since
from orion.model.node import NodeStatus
from orion.model.volumes import Volume, VolumeKind
from orion.state import mutations
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_NUMBER, MAX_TEXT, MAX_WORD, first, key_fault, longer, node_fault, outside
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.tables.answers import Answers
from orion.state.tables.volume_changes import CreateVolume, create_volume
from orion.state.tables.volumes import Volumes, holders, unknown_volume


@since(2)
class BeginVolumeMove(Command, frozen=True, array_like=True, tag=55):
    """Ends the tasks that have the volume, and says where it is to be. Refused (Conflict) while it moves elsewhere,
    and when one of the two nodes is not there. `to` "": its move is called off.

    With `restores` other data is to come to `to`, for a volume that is made where there is none. Refused while a
    task has it.
    """

    name: str
    to: NodeId
    idempotency_key: str
    since: int
    restores: bool = False


@since(2)
class EndVolumeMove(Command, frozen=True, array_like=True, tag=56):
    """It is on `to` now, as the data that `Volume.next_data` names; with a `reason` it could not be copied, and
    stays where it is. About another move than the present one it is void.
    """

    name: str
    created_index: int
    to: NodeId
    move: int
    reason: str = ""


def _begin_fault(begin: BeginVolumeMove) -> str:
    return first(
        (
            longer("name", len(begin.name), MAX_WORD),
            longer("to", len(begin.to), MAX_WORD),
            key_fault(begin.idempotency_key),
        )
    )


def _begin_about(begin: BeginVolumeMove) -> str:
    return f"{begin.name} {begin.to} {begin.restores}"


@command(BeginVolumeMove, fault=_begin_fault, once=once_about(Answers, "move volume", _begin_about))
def begin_volume_move(state: Tables, step: Step, begin: BeginVolumeMove) -> str | OrionError:
    name, to, table = begin.name, begin.to, state.of(Volumes)
    row = table.get(name)
    if begin.restores:
        return _restore(state, step, begin, row)
    if row is None:
        return unknown_volume(name)
    if not to:
        return _call_off(state, step, row)
    if row.moving_to == to:
        return name
    if (wrong := _refusal(state, row, to)) is not None:
        return wrong
    if row.home == to:
        return name
    held = holders(name, state.records.get(row.home), state.allocations, state.jobs.get)
    if not row.data:
        return _go_without_data(state, row, to, held)
    table.put(replace(row, moving_to=to, move=step.index))
    for allocation in held:
        if allocation.wanted:
            mutations.set_unwanted(state, allocation)
    tasks = [task_id(each.job, each.index) for each in held]
    ends = f", once {' and '.join(tasks[:3])}{' and others' * (len(tasks) > 3)} ended" if tasks else ""
    step.tell("VolumeMoving", name, f"volume {name} goes from {row.home} to {to}{ends}")
    return name


def _go_without_data(state: Tables, row: Volume, to: NodeId, held: list[Allocation]) -> str | OrionError:
    if held:
        return Conflict(f"volume {row.name} is being made on {row.home}: move it once its first task runs")
    state.of(Volumes).put(replace(row, home=to))
    state.capacity_epoch += 1
    return row.name


def _restore(state: Tables, step: Step, begin: BeginVolumeMove, row: Volume | None) -> str | OrionError:
    name, to, table = begin.name, begin.to, state.of(Volumes)
    if row is None:
        made = create_volume.change(
            state, step, CreateVolume(step.at_ms, name, (), begin.idempotency_key, begin.since)
        )
        if isinstance(made, OrionError):
            return made
        row = table.rows[name]
    if (wrong := _refusal(state, replace(row, data=""), to)) is not None:
        return wrong
    held = holders(name, state.records.get(row.home), state.allocations, state.jobs.get)
    if held:
        task = task_id(held[0].job, held[0].index)
        return Conflict(f"volume {name} is in use by {task} on {row.home}: stop {held[0].job} first")
    table.put(replace(row, home=row.home or to, moving_to=to, move=step.index, restores=True))
    step.tell("VolumeMoving", name, f"volume {name} is being restored on {to}")
    return name


def _refusal(state: Tables, row: Volume, to: NodeId) -> OrionError | None:
    if row.kind is not VolumeKind.HOST:
        return Conflict(f"volume {row.name} is on no node: its driver has it wherever it is used")
    if row.moving_to:
        return Conflict(
            f"volume {row.name} is being moved from {row.home} to {row.moving_to}: wait until it is there, or call"
            f" that off with 'orion volume move --cancel {row.name}'"
        )
    target = state.nodes.get(to)
    if target is None:
        return NotFound(f"there is no node named {to[:80]}; orion nodes lists them")
    if target.status is not NodeStatus.READY:
        return Conflict(f"{to} is {target.status}: volume {row.name} can't go there now")
    home = state.nodes.get(row.home)
    if row.data and row.home != to and (home is None or home.status is not NodeStatus.READY):
        what = "no node of the cluster any more" if home is None else str(home.status)
        return Conflict(f"volume {row.name} is on {row.home}, which is {what}: its data can't be read now")
    return None


def _call_off(state: Tables, step: Step, row: Volume) -> str:
    if row.moving_to:
        _stay(state, step, row, "it was called off")
    return row.name


def _stay(state: Tables, step: Step, row: Volume, reason: str) -> None:
    state.of(Volumes).put(replace(row, moving_to=NodeId(""), restores=False))
    state.capacity_epoch += 1
    step.tell("VolumeStays", row.name, f"volume {row.name} stays as it is, on {row.home}: {reason}")


def _end_fault(end: EndVolumeMove) -> str:
    return first(
        (
            node_fault(end.to),
            longer("name", len(end.name), MAX_WORD),
            longer("reason", len(end.reason), MAX_TEXT),
            outside("created_index", end.created_index, MAX_NUMBER),
            outside("move", end.move, MAX_NUMBER),
        )
    )


@command(EndVolumeMove, fault=_end_fault)
def end_volume_move(state: Tables, step: Step, end: EndVolumeMove) -> None:
    table = state.of(Volumes)
    row = table.get(end.name)
    if row is None or (row.created_index, row.moving_to, row.move) != (end.created_index, end.to, end.move):
        return
    if end.reason:
        _stay(state, step, row, end.reason)
        return
    table.put(replace(row, home=end.to, data=row.next_data, moving_to=NodeId(""), restores=False))
    state.capacity_epoch += 1
    if row.restores:
        step.tell("VolumeRestored", row.name, f"volume {row.name} was restored on {end.to}")
    else:
        step.tell("VolumeMoved", row.name, f"volume {row.name} is on {end.to} now, no more on {row.home}")


TABLES = ()
COMMANDS = (begin_volume_move, end_volume_move)
