"""Brings nodes' claims to volumes of storage systems in and out: what the leader does next for each volume.

One thing at a time for a volume, so that one call of its controller is in flight. A volume of one writer goes to
another node once its former node says that nothing of it is left there; or is down, and has been for so long that
by its own clock it has ended the tasks with it (`stop_after_ms`) whatever it could hear.
"""

import enum
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import msgspec

from orion.model.claims import SLACK_MS, Claim, ClaimPhase, excludes
from orion.model.csi import AccessMode
from orion.model.ids import NodeId

Key = tuple[str, NodeId]


class Need(msgspec.Struct, frozen=True):
    """Tasks on a node need a volume. `stop_after_ms`: the longest of theirs."""

    created_index: int
    mode: AccessMode
    read_only: bool = False
    stop_after_ms: int = 0


class ActKind(enum.Enum):
    """`PUBLISH` and `UNPUBLISH` are asked of the volume's controller, `CLEAR` of the node: whether nothing of the
    volume is left there. `WAIT`: nothing can be done before `Act.at_ms`, -1 for as long as others hold the volume.
    """

    BEGIN = "begin"
    MOVE = "move"
    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    CLEAR = "clear"
    WAIT = "wait"


class Act(msgspec.Struct, frozen=True):
    """Something to be done for a claim of a node. `to`: of MOVE."""

    kind: ActKind
    volume: str
    node: NodeId
    to: ClaimPhase | None = None
    at_ms: int = -1


_BESIDE = frozenset({ActKind.WAIT, ActKind.CLEAR})
_KEEP, _LET_GO = "keep", "let go"
# (needed, phase) -> what comes next; a phase is one to move to.
_TABLE: dict[tuple[bool, ClaimPhase], ActKind | ClaimPhase | str] = {
    (True, ClaimPhase.PUBLISHING): ActKind.PUBLISH,
    (True, ClaimPhase.PUBLISHED): _KEEP,
    (True, ClaimPhase.RELEASING): ClaimPhase.PUBLISHED,
    (True, ClaimPhase.UNPUBLISHING): ActKind.UNPUBLISH,  # what was begun is ended first
    (False, ClaimPhase.PUBLISHING): ClaimPhase.UNPUBLISHING,  # the controller may have done it
    (False, ClaimPhase.PUBLISHED): ClaimPhase.RELEASING,
    (False, ClaimPhase.RELEASING): _LET_GO,
    (False, ClaimPhase.UNPUBLISHING): ActKind.UNPUBLISH,
}


class Outlook(msgspec.Struct, frozen=True):
    """A node as the caller knows it. `down_since_ms`: since when it has known that it is down, by the clock of
    `now_ms`; None while it is there. `removed`: somebody said that it never returns.
    """

    down_since_ms: int | None = None
    removed: bool = False


def decide(
    claims: Iterable[Claim],
    needs: Mapping[Key, Need],
    *,
    outlook: Callable[[NodeId], Outlook],
    rests_until_ms: Callable[[Key], int],
    now_ms: int,
) -> Iterator[Act]:
    """Yields for each volume at most one act that changes something, and questions and waits beside. A claim that
    rests, because its last call failed, keeps no other from its turn.
    """
    held: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        held[claim.volume].append(claim)
    asked: dict[str, list[NodeId]] = defaultdict(list)
    for volume, node in needs:
        asked[volume].append(node)
    for volume in sorted(held.keys() | asked.keys()):
        mine = sorted(held[volume], key=lambda claim: claim.node)
        acts = [_of_claim(each, needs.get(each.key), outlook(each.node), now_ms) for each in mine]
        acts += _beginnings(volume, mine, sorted(asked[volume]), needs)
        yield from _one((act for act in acts if act is not None), rests_until_ms, now_ms)


def _one(acts: Iterable[Act], rests_until_ms: Callable[[Key], int], now_ms: int) -> Iterator[Act]:
    done = False
    for act in acts:
        if act.kind in _BESIDE:
            yield act
        elif (until_ms := rests_until_ms((act.volume, act.node))) > now_ms:
            yield Act(ActKind.WAIT, act.volume, act.node, at_ms=until_ms)
        elif not done:
            done = True
            yield act


def _of_claim(claim: Claim, need: Need | None, node: Outlook, now_ms: int) -> Act | None:
    fits = need is not None and need.created_index == claim.created_index and need.read_only >= claim.read_only
    what = _TABLE[fits, claim.phase]
    if isinstance(what, ActKind):
        return Act(what, claim.volume, claim.node)
    if isinstance(what, ClaimPhase):
        return Act(ActKind.MOVE, claim.volume, claim.node, what)
    if what is _KEEP:
        return None
    if node.down_since_ms is None:
        return Act(ActKind.CLEAR, claim.volume, claim.node)
    if not claim.stop_after_ms and not node.removed:
        return Act(ActKind.WAIT, claim.volume, claim.node)  # its tasks go on without the cluster: it has to say so
    due_ms = node.down_since_ms + claim.stop_after_ms + SLACK_MS
    if now_ms < due_ms:
        return Act(ActKind.WAIT, claim.volume, claim.node, at_ms=due_ms)
    return Act(ActKind.MOVE, claim.volume, claim.node, ClaimPhase.UNPUBLISHING)


def _beginnings(
    volume: str, held: Collection[Claim], nodes: Iterable[NodeId], needs: Mapping[Key, Need]
) -> Iterator[Act]:
    having = {each.node for each in held}
    for node in nodes:
        if node in having:
            continue
        need = needs[volume, node]
        free = not any(
            each.created_index != need.created_index
            or excludes(need.mode, read_only=need.read_only, other_read_only=each.read_only)
            for each in held
        )
        yield Act(ActKind.BEGIN if free else ActKind.WAIT, volume, node)
