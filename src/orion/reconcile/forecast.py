"""The autopilot's next steps about who votes, in sentences: the decision of `next_configuration` now, and its
decision once a dead voter's grace is over.
"""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from orion.model.ids import RaftId
from orion.raft.messages import ConfChange, ConfState
from orion.reconcile.voters import (
    CAUGHT_UP_ENTRIES,
    Candidate,
    VoterSettings,
    next_configuration,
    wanted_voters,
)


def outlook(
    candidates: Sequence[Candidate],
    conf: ConfState,
    me: RaftId,
    last_index: int,
    settings: VoterSettings,
) -> tuple[str, ...]:
    """Returns the next steps, () when there are none. Takes the arguments of next_configuration, and may be called
    while a change is under way.
    """
    names = {int(c.raft_id): str(c.node) for c in candidates}
    if conf.voters_outgoing:
        voters = ", ".join(sorted(names.get(v, "a removed node") for v in conf.voters))
        return (f"the voters are being changed to {voters}",)
    change = next_configuration(candidates, conf, me, last_index, settings)
    found = list(_steps(change, conf, names)) if change else []
    leaving = set(conf.voters) - set(change.voters) if change else set[int]()
    for candidate in candidates:
        if candidate.raft_id in conf.voters and candidate.raft_id not in leaving and candidate.dead_ms:
            found.append(_dead_voter(candidate, candidates, conf, me, last_index, settings))
        elif candidate.raft_id in conf.learners and not candidate.dead_ms:
            found += _catching_up(candidate, last_index, settings)
    wanted = wanted_voters(len(candidates), settings.max_voters)
    if not found and len(conf.voters) < wanted:
        found.append(f"{len(conf.voters)} of {wanted} voters: the others wait for standbys that have caught up")
    return tuple(found)


def _steps(change: ConfChange, conf: ConfState, names: dict[int, str]) -> Iterator[str]:
    def name(raft: int) -> str:
        return names.get(raft, "a node that was removed")

    came = sorted(set(change.voters) - set(conf.voters), key=name)
    went = sorted(set(conf.voters) - set(change.voters), key=name)
    if came and went:
        yield f"{_and(map(name, came))} next as voter in place of {_and(map(name, went))}"
    elif came:
        yield f"{_and(map(name, came))} next as voter"
    elif went:
        yield f"{_and(map(name, went))} next without a vote"
    joining = sorted(set(change.learners) - set(conf.learners) - set(conf.voters), key=name)
    if joining:
        yield f"{_and(map(name, joining))} next as standby"
    leaving = sorted(set(conf.learners) - set(change.learners) - set(change.voters), key=name)
    if leaving:
        yield f"{_and(map(name, leaving))} next no standby any more"


def _and(names: Iterator[str]) -> str:
    return " and ".join(names)


def _dead_voter(
    candidate: Candidate,
    candidates: Sequence[Candidate],
    conf: ConfState,
    me: RaftId,
    last_index: int,
    settings: VoterSettings,
) -> str:
    left_ms = candidate.kept_ms + settings.dead_grace_ms - candidate.dead_ms
    words = f"{candidate.node} stopped on purpose" if candidate.kept_ms else f"{candidate.node} dead"
    words += "" if candidate.kept_ms else f" for {_seconds(candidate.dead_ms)}"
    given_up = replace(candidate, dead_ms=max(candidate.dead_ms, settings.dead_grace_ms))
    later = [given_up if c is candidate else c for c in candidates]
    then = next_configuration(later, conf, me, last_index, settings)
    if then is None or candidate.raft_id in then.voters:
        return f"{words}; it stays a voter, for there is no standby to take its place"
    if left_ms <= 0:
        return f"{words}, being replaced"
    return f"{words}, replaced in {_seconds(left_ms)} unless it returns"


def _catching_up(candidate: Candidate, last_index: int, settings: VoterSettings) -> Iterator[str]:
    if candidate.silent_ms >= settings.dead_grace_ms:
        yield f"{candidate.node} has not answered the leader for {_seconds(candidate.silent_ms)}"
    elif candidate.match is None or not candidate.match:
        yield f"{candidate.node} is being given the log"
    elif last_index - candidate.match > CAUGHT_UP_ENTRIES:
        yield f"{candidate.node} is catching up: {last_index - candidate.match:,} entries behind"
    elif candidate.silent_ms >= settings.silent_ms:
        yield f"{candidate.node} does not answer the leader"


def _seconds(ms: int) -> str:
    return f"{max(1, round(ms / 1000))} s"
