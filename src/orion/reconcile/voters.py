"""The choice of voters: an odd number of them, up to two learners as standbys, the rest workers.

One voter for 1-2 nodes, three for 3-4, five from 5 on. The change goes straight from {a} to {a, b, c} through
joint consensus, never through an even group. So a two-node cluster survives the death of the node without a vote.
"""

from collections.abc import Mapping, Sequence

import msgspec

from orion.model.ids import NodeId, RaftId
from orion.raft.messages import ConfChange, ConfState

CAUGHT_UP_ENTRIES = 200  # a learner this close to the leader's last index may be promoted


class Candidate(msgspec.Struct, frozen=True):
    """A registered node as a possible Raft member.

    `dead_ms`: how long it has been out of reach; 0 when alive. `match`: the index that the leader knows it to hold,
    None when it is not replicating. `kept_ms`: how much longer its planned stop does not count as death.
    `silent_ms`: how long the leader has not heard it, whatever gossip says. It counts as silent too while
    standby_backoff.py keeps it from becoming a standby again. `heard`: it has answered this leader of late.
    """

    node: NodeId
    raft_id: RaftId
    number: int
    dead_ms: int = 0
    match: int | None = None
    kept_ms: int = 0
    silent_ms: int = 0
    heard: bool = True


class VoterSettings(msgspec.Struct, frozen=True):
    max_voters: int = 5
    max_standbys: int = 2
    dead_grace_ms: int = 10_000
    silent_ms: int = 500  # a standby that was not heard for this long gets no vote


def wanted_voters(nodes: int, max_voters: int) -> int:
    """Returns the number of voters of a cluster of so many nodes: odd, at most `max_voters`."""
    count = min(nodes, max_voters)
    return count if count % 2 else max(1, count - 1)


def next_configuration(
    candidates: Sequence[Candidate],
    conf: ConfState,
    me: RaftId,
    last_index: int,
    settings: VoterSettings,
) -> ConfChange | None:
    """Returns the change that the leader should propose now; None when none is needed or possible yet.

    It is called only with no change under way. Nodes become learners first. They are promoted only when enough of
    them have caught up that the number of voters stays odd.
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
    """Returns the odd group nearest to `wanted` that can be formed now, if it is better than today's and has a
    quorum that the leader hears; else today's.
    """
    staying = [c for v in voters if (c := by_raft.get(v)) and (v == me or c.dead_ms < settings.dead_grace_ms)]
    promotable = [
        c
        for c in by_raft.values()
        if c.raft_id in learners
        and c.raft_id not in voters
        and not c.dead_ms
        and _may_vote(c, last_index, settings)
    ]
    staying.sort(key=lambda c: (c.raft_id != me, c.dead_ms > 0, not c.heard, c.number))
    ready = [c.raft_id for c in staying + _by_age(promotable)]
    size = min(wanted, len(ready))
    if size == 0:
        return voters
    target: set[int] = set(ready[: size if size % 2 else size - 1])
    if not _is_heard(target, by_raft, me):
        return voters
    must_go = any(v not in by_raft for v in voters) or len(voters) > wanted
    if must_go or _deaths_survived(target, by_raft) > _deaths_survived(voters, by_raft):
        return target
    return voters


def _is_heard(group: set[int], by_raft: Mapping[int, Candidate], me: RaftId) -> bool:
    """Returns whether the leader hears a quorum of the group. Who has just been elected does not know yet which
    voters died with the leader before it. The vote of one that answers, though its node was removed, may be what
    the others live by: etcd refuses such a removal too (strict-reconfig-check).
    """
    heard = sum(1 for v in group if v == me or ((c := by_raft.get(v)) and c.heard))
    return heard > len(group) // 2


def _deaths_survived(group: set[int], by_raft: Mapping[int, Candidate]) -> int:
    """Returns how many more of the group may die before it has no quorum. A dead voter without a replacement stays,
    unless the group is safer without it: of five with two dead, the three that live survive one death by
    themselves.
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
    """Returns the learners: today's first, because they hold the log already, then the longest registered. Those
    that the leader has not heard for a dead voter's grace come last. Gossip may reach a node that the leader can't,
    and it would keep the place of one that could become a voter.
    """
    able = [c for c in _by_age(candidates) if c.raft_id not in target and c.dead_ms < settings.dead_grace_ms]
    current = [c for c in able if c.raft_id in conf.learners or c.raft_id in conf.voters]
    others = [c for c in able if c not in current and not c.dead_ms]
    ranked = sorted(current + others, key=lambda c: c.silent_ms >= settings.dead_grace_ms and not c.kept_ms)
    return {c.raft_id for c in ranked[:room]}


def _by_age(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda c: c.number)


def _may_vote(candidate: Candidate, last_index: int, settings: VoterSettings) -> bool:
    """Returns True when the candidate has the leader's log and is heard: a quorum may need it from then on. One
    that has never answered (match 0) may not vote, though a short log makes it look close: it may be out of the
    leader's reach.
    """
    if not candidate.match or candidate.silent_ms >= settings.silent_ms:
        return False
    return last_index - candidate.match <= CAUGHT_UP_ENTRIES
