"""The invariants of a member, which hold after every step, whatever came in."""

from orion.raft.confchange import check_conf, members
from orion.raft.interface import Role
from orion.raft.member import Member
from orion.raft.messages import NOBODY


def check(me: Member) -> None:
    """Raises AssertionError when an invariant is broken: that is a bug in this package."""
    log = me.log
    log.check()
    check_conf(me.conf)
    assert log.last_term <= me.term, f"term {log.last_term} in the log is newer than the member's {me.term}"
    assert me.conf_index <= log.applied, f"configuration of {me.conf_index}, applied {log.applied}"
    assert me.snapshot.index <= log.applied, f"snapshot at {me.snapshot.index}, applied {log.applied}"
    assert log.offset <= me.snapshot.index, f"log from {log.offset + 1}, snapshot at {me.snapshot.index}"
    # Section 6 needs configurations that are in force at the same time to be one step apart.
    assert sum(index > log.commit for index in log.confs) <= 1, f"changes under way: {log.confs}, {log}"
    given = me.given_hard_state
    assert given.term <= me.term, "the term went back"
    assert given.commit <= log.commit, "the commit index went back"
    assert given.term != me.term or given.vote in (NOBODY, me.vote), "a second vote in one term"
    _CHECKS[me.role](me)


def _check_follower(me: Member) -> None:
    assert me.leader != me.id
    assert me.ack is None or me.leader != NOBODY
    assert not me.progress
    assert me.transfer_to == NOBODY


def _check_pre_candidate(me: Member) -> None:
    _check_follower(me)
    assert me.leader == NOBODY


def _check_candidate(me: Member) -> None:
    _check_pre_candidate(me)
    assert me.vote == me.id


def _check_leader(me: Member) -> None:
    assert me.leader == me.id
    assert me.ack is None
    assert list(me.progress) == members(me.conf)
    assert me.id in me.progress
    assert me.log.last_term == me.term
    assert me.transfer_to in (NOBODY, *me.conf.voters)
    for progress in me.progress.values():
        progress.check(me.log.last)
    assert me.progress[me.id].match <= me.log.stable


_CHECKS = {
    Role.FOLLOWER: _check_follower,
    Role.PRE_CANDIDATE: _check_pre_candidate,
    Role.CANDIDATE: _check_candidate,
    Role.LEADER: _check_leader,
}
