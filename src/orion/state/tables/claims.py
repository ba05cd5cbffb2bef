"""Which node has a claim to which volume of a storage system. `apply` lets no two begin that exclude each other."""

from collections.abc import Iterator

from msgspec.structs import replace

from orion.model.claims import (
    MAX_CLAIMS,
    MAX_CONTEXT_PAIRS,
    MAX_STOP_AFTER_MS,
    MAX_WHY,
    NEXT,
    Claim,
    ClaimPhase,
    access_of,
    excludes,
    only_reads,
)
from orion.model.csi import MAX_CONTEXT_BYTES
from orion.model.errors import Conflict, NotFound, OrionError, Refused
from orion.model.ids import NodeId
from orion.model.levels import since
from orion.model.storage import MAX_KNOWN_AS_BYTES
from orion.model.volumes import VolumeKind
from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_NUMBER, MAX_WORD, first, longer, node_fault, outside
from orion.state.core.frames import Rows
from orion.state.core.indexes import KeysBy
from orion.state.core.step import Step
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import Tables
from orion.state.tables.volumes import Volumes

Key = tuple[str, NodeId]


@since(2)
class ClaimsFrame(Rows, frozen=True, array_like=True, tag=22):
    rows: list[Claim]


class Claims(KeyedTable[Key, Claim]):
    rows_frame = ClaimsFrame

    def __init__(self, state: TableSet) -> None:
        self._by_volume = KeysBy[Key, Claim](lambda row: (row.volume,))
        self._by_node = KeysBy[Key, Claim](lambda row: (row.node,))
        super().__init__(state, self._by_volume, self._by_node)
        self._state = state

    @staticmethod
    def key(row: Claim) -> Key:
        return row.key

    def of_volume(self, volume: str) -> list[Claim]:
        return [self.rows[key] for key in sorted(self._by_volume.of(volume))]

    def count_on(self, node: NodeId, driver: str) -> int:
        """The volumes of one plugin that a node has a claim to."""
        volumes = self._state.of(Volumes).rows
        return sum(volumes[key[0]].driver == driver for key in self._by_node.of(node) if key[0] in volumes)

    def of_node(self, node: NodeId) -> list[Claim]:
        return [self.rows[key] for key in sorted(self._by_node.of(node))]


@since(2)
class BeginClaim(Command, frozen=True, array_like=True, tag=60):
    """A node is to have a volume. Refused (Conflict) while another one's claim keeps it from that. NotFound when
    there is no such volume or node. Nothing happens when the node has a claim already.
    """

    volume: str
    created_index: int
    node: NodeId
    read_only: bool
    stop_after_ms: int
    known_as: str


@since(2)
class MoveClaim(Command, frozen=True, array_like=True, tag=61):
    """A claim's next phase, None for its end. `as_of` names the step that this one follows: Conflict when another
    one was taken meanwhile, or this one can't follow that phase. With `context`, what the controller gave.
    """

    volume: str
    node: NodeId
    as_of: int
    to: ClaimPhase | None
    context: tuple[tuple[str, str], ...] = ()


@since(2)
class NoteClaim(Command, frozen=True, array_like=True, tag=62):
    """Why a claim does not get on, for people. Nothing else changes: `as_of` stays, too."""

    volume: str
    node: NodeId
    as_of: int
    why: str


def _begin_fault(begin: BeginClaim) -> str:
    return first(
        (
            longer("volume", len(begin.volume), MAX_WORD),
            outside("created_index", begin.created_index, MAX_NUMBER),
            node_fault(begin.node),
            outside("stop_after_ms", begin.stop_after_ms, MAX_STOP_AFTER_MS),
            longer("known_as", len(begin.known_as.encode()), MAX_KNOWN_AS_BYTES),
        )
    )


@command(BeginClaim, fault=_begin_fault)
def begin_claim(state: Tables, step: Step, begin: BeginClaim) -> OrionError | None:
    volume, table = state.of(Volumes).get(begin.volume), state.of(Claims)
    if volume is None or volume.created_index != begin.created_index or volume.kind is not VolumeKind.CSI:
        return NotFound(f"there is no volume {begin.volume[:80]} of a storage system; orion volume ls lists them")
    if begin.node not in state.records:
        return NotFound(f"there is no node named {begin.node}; orion nodes lists them")
    mode = access_of(volume)
    if only_reads(mode) and not begin.read_only:
        return Refused(f"volume {volume.name} is {mode.value}: mount it read-only")
    for other in table.of_volume(begin.volume):
        if other.node == begin.node:
            return None
        if excludes(mode, read_only=begin.read_only, other_read_only=other.read_only):
            return Conflict(f"volume {volume.name} is {other.node}'s still ({other.phase.value})")
    if len(table) >= MAX_CLAIMS:
        return Refused(f"there are {MAX_CLAIMS:,} claims of volumes, the most there can be")
    table.put(
        Claim(
            begin.volume,
            begin.node,
            begin.created_index,
            ClaimPhase.PUBLISHING,
            as_of=step.index,
            since_ms=step.at_ms,
            read_only=begin.read_only,
            stop_after_ms=begin.stop_after_ms,
            known_as=begin.known_as,
        )
    )
    _tell_node(state, step, begin.node)
    return None


def _tell_node(state: Tables, step: Step, node: NodeId) -> None:
    """Its agent learns of its claims with its work."""
    if (record := state.records.get(node)) is not None:
        record.work_index = step.index


def _context_faults(context: tuple[tuple[str, str], ...]) -> Iterator[str]:
    yield outside("pairs of the context", len(context), MAX_CONTEXT_PAIRS)
    yield outside(
        "bytes of the context", sum(len(text.encode()) for pair in context for text in pair), MAX_CONTEXT_BYTES
    )


def _move_fault(move: MoveClaim) -> str:
    return first(
        (
            longer("volume", len(move.volume), MAX_WORD),
            node_fault(move.node),
            outside("as_of", move.as_of, MAX_NUMBER),
            *_context_faults(move.context),
            "" if not move.context or move.to is ClaimPhase.PUBLISHED else "only what is published has a context",
        )
    )


@command(MoveClaim, fault=_move_fault)
def move_claim(state: Tables, step: Step, move: MoveClaim) -> OrionError | None:
    table = state.of(Claims)
    row = table.get((move.volume, move.node))
    if row is None:
        return NotFound(f"{move.node} has no claim to volume {move.volume[:80]}")
    if row.as_of != move.as_of or move.to not in NEXT[row.phase]:
        return Conflict(f"the claim of {move.node} to volume {row.volume} is {row.phase.value} as of {row.as_of}")
    _tell_node(state, step, move.node)
    if move.to is None:
        table.drop(row.key)
        state.capacity_epoch += 1  # its node may take another one
        return None
    # What was needed again before its node had let go of it is published as before.
    context = tuple(sorted(move.context)) if row.phase is ClaimPhase.PUBLISHING else row.context
    table.put(replace(row, phase=move.to, as_of=step.index, since_ms=step.at_ms, context=context, why=""))
    return None


def _note_fault(note: NoteClaim) -> str:
    return first(
        (
            longer("volume", len(note.volume), MAX_WORD),
            node_fault(note.node),
            outside("as_of", note.as_of, MAX_NUMBER),
            longer("why", len(note.why), MAX_WHY),
        )
    )


@command(NoteClaim, fault=_note_fault)
def note_claim(state: Tables, _: Step, note: NoteClaim) -> OrionError | None:
    table = state.of(Claims)
    row = table.get((note.volume, note.node))
    if row is None or row.as_of != note.as_of:
        return Conflict(f"the claim of {note.node} to volume {note.volume[:80]} has gone on")
    table.put(replace(row, why=note.why))
    return None


TABLES = (Claims,)
COMMANDS = (begin_claim, move_claim, note_claim)
