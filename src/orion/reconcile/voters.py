"""Who votes: always an odd number of voters, up to two learners behind them as standbys, the rest workers.

One voter for 1-2 nodes, three for 3-4, five from 5 on. The change goes straight from {a} to {a, b, c} through
joint consensus, never through an even group, so a two-node cluster survives the death of the one that does not
vote.
"""

from collections.abc import Mapping, Sequence

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.raft.messages import ConfChange, ConfState

CAUGHT_UP_ENTRIES = 200  # a learner this close to the leader's last index may be promoted


class Candidate(msgspec.Struct, frozen=True):
    """A registered node as a possible Raft member.

    `dead_ms`: for how long it has been out of reach; 0 when alive. `match`: its log by the leader's account, None
    when it is not replicating. `kept_ms`: it stopped on purpose, and that is not death yet for so much longer.
    `silent_ms`: for how long the leader has not heard it, whatever gossip says (unreached.py: or would not, if it
    were a standby again).
    """

    node: NodeId
    raft_id: RaftId
    number: int
    dead_ms: int = 0
    match: int | None = None
    kept_ms: int = 0
    silent_ms: int = 0


class VoterSettings(msgspec.Struct, frozen=True):
    max_voters: int = 5
    max_standbys: int = 2
    dead_grace_ms: int = 10_000
    silent_ms: int = 500  # a standby that was not heard for so long gets no vote


def wanted_voters(nodes: int, max_voters: int) -> int:
    """How many voters a cluster of so many nodes has: odd, at most `max_voters`."""
    count = min(nodes, max_voters)
    return count if count % 2 else max(1, count - 1)


def next_configuration(
    candidates: Sequence[Candidate],
    conf: ConfState,
    me: RaftId,
    last_index: int,
    settings: VoterSettings,
) -> ConfChange | None:
    """The change the leader should propose now, None when all is well or nothing can be done yet.

    Only called with no change under way. Learners come first, promotion only when enough of them have caught up
    that the number of voters stays odd.
    """
    by_raft: dict[int, Candidate] = {c.raft_id: c for c in candidates}
    voters, learners = set(conf.voters), set(conf.learners)
    wanted = wanted_voters(len(candidates), settings.max_voters)
    target = _target_voters(voters, learners, by_raft, me, last_index, wanted, settings)
    room = settings.max_standbys + max(0, wanted - len(target))
    standbys = _standbys(target, candidates, conf, room, settings)
    if target == voters and standbys == learners:
        return None
    return ConfChange(tuple(sorted(target)), tuple(sorted(standbys)))


def _target_voters(
    voters: set[int],
    learners: set[int],
    by_raft: Mapping[int, Candidate],
    me: RaftId,
    last_index: int,
    wanted: int,
    settings: VoterSettings,
) -> set[int]:
    """The odd group nearest to `wanted` that can be formed now, when it is better than today's."""
    staying = [c for v in voters if (c := by_raft.get(v)) and (v == me or c.dead_ms < settings.dead_grace_ms)]
    promotable = [
        c
        for c in by_raft.values()
        if c.raft_id in learners
        and c.raft_id not in voters
        and not c.dead_ms
        and _may_vote(c, last_index, settings)
    ]
    staying.sort(key=lambda c: (c.raft_id != me, c.dead_ms > 0, c.number))
    ready = [c.raft_id for c in staying + _by_age(promotable)]
    size = min(wanted, len(ready))
    if size == 0:
        return voters
    target: set[int] = set(ready[: size if size % 2 else size - 1])
    must_go = any(v not in by_raft for v in voters) or len(voters) > wanted
    if must_go or _deaths_survived(target, by_raft) > _deaths_survived(voters, by_raft):
        return target
    return voters


def _deaths_survived(group: set[int], by_raft: Mapping[int, Candidate]) -> int:
    """How many more of the group may die before it has no quorum. A dead voter that nobody can replace stays,
    unless the group is safer without it: of five with two dead, the three that live survive one more death alone.
    """
    alive = sum(1 for v in group if v in by_raft and not by_raft[v].dead_ms)
    return alive - (len(group) // 2 + 1)


def _standbys(
    target: set[int],
    candidates: Sequence[Candidate],
    conf: ConfState,
    room: int,
    settings: VoterSettings,
) -> set[int]:
    """Learners: today's first (they hold the log already), then the longest registered. Those that the leader has
    not heard for a dead voter's grace come last: gossip may reach what the leader can't, and they would keep the
    seats of those that could stand in.
    """
    able = [c for c in _by_age(candidates) if c.raft_id not in target and c.dead_ms < settings.dead_grace_ms]
    current = [c for c in able if c.raft_id in conf.learners or c.raft_id in conf.voters]
    others = [c for c in able if c not in current and not c.dead_ms]
    ranked = sorted(current + others, key=lambda c: c.silent_ms >= settings.dead_grace_ms and not c.kept_ms)
    return {c.raft_id for c in ranked[:room]}


def _by_age(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda c: c.number)


def _may_vote(candidate: Candidate, last_index: int, settings: VoterSettings) -> bool:
    """It holds what the leader holds, and is there: a quorum may need it from then on. One that has never answered
    (match 0) is as far behind as a short log is long, which says nothing: it may be gone, or out of reach for the
    leader.
    """
    if not candidate.match or candidate.silent_ms >= settings.silent_ms:
        return False
    return last_index - candidate.match <= CAUGHT_UP_ENTRIES
