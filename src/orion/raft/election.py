"""Elections (sections 5.2 and 5.4.1; pre-vote: 9.6 of the thesis)."""

from orion.raft.confchange import all_voters
from orion.raft.interface import Role
from orion.raft.leader import become_leader
from orion.raft.member import Member
from orion.raft.messages import (
    NOBODY,
    MsgPreVote,
    MsgPreVoteResp,
    MsgTimeoutNow,
    MsgVote,
    MsgVoteResp,
)
from orion.raft.quorum import Vote, joint_vote
from orion.raft.trust import knows

# --- campaigning ------------------------------------------------------------------------------------------


def campaign(me: Member, *, transfer: bool = False) -> bool:
    """Starts an election. Returns False when this member may not campaign now. With `transfer` the leader has asked
    for it: there is no pre-vote, and leases don't count.
    """
    if me.role is Role.LEADER or not me.is_promotable or me.conf_committed:
        return False
    if transfer:
        _campaign(me, transfer=True)
    else:
        _pre_campaign(me)
    return True


def _pre_campaign(me: Member) -> None:
    """Asks the voters whether they would vote for this member. Neither term nor vote changes, so nothing needs to
    be on disk.
    """
    me.reset(me.term)
    me.role = Role.PRE_CANDIDATE
    index, log_term = me.last_id
    for voter in all_voters(me.conf):
        if voter != me.id:
            me.messages.append(MsgPreVote(me.id, voter, me.term + 1, index, log_term, *me.commit_id))
    _count_vote(me, me.id, granted=True)


def _campaign(me: Member, *, transfer: bool) -> None:
    """Votes for itself and asks for votes. Its own vote counts, and the requests leave, once that vote is on
    disk.
    """
    me.reset(me.term + 1)
    me.role = Role.CANDIDATE
    me.vote = me.id
    index, log_term = me.last_id
    for voter in all_voters(me.conf):
        if voter != me.id:
            me.after_persist.append(MsgVote(me.id, voter, me.term, index, log_term, transfer, *me.commit_id))


def own_vote_persisted(me: Member) -> None:
    me.vote_seq = 0
    if me.role is Role.CANDIDATE:
        _count_vote(me, me.id, granted=True)


def _count_vote(me: Member, voter: int, *, granted: bool) -> None:
    me.votes.setdefault(voter, granted)
    outcome = joint_vote(me.conf, me.votes)
    if outcome is Vote.LOST:
        me.become_follower(me.term)
    elif outcome is Vote.WON and me.conf_committed:
        # A vote told it of a change of configuration, by which these votes may be none. raft-rs does the same.
        me.become_follower(me.term)
        me.election_due_ms = me.now_ms  # it campaigns anew once it has applied the change
    elif outcome is Vote.WON and me.role is Role.PRE_CANDIDATE:
        _campaign(me, transfer=False)
    elif outcome is Vote.WON:
        become_leader(me)


# --- voting -----------------------------------------------------------------------------------------------


def on_vote(me: Member, message: MsgVote) -> None:
    """Answers a request for a vote of this term. A member that is no voter by its own configuration answers too: it
    may not have heard of its promotion yet, and the candidate's quorum may need it.
    """
    learn_commit(me, message)
    free = me.vote == message.sender or (me.vote == NOBODY and me.leader == NOBODY)
    if free and me.log.is_up_to_date(message.index, message.log_term):
        me.vote = message.sender
        me.reset_election_timer()
        me.after_persist.append(MsgVoteResp(me.id, message.sender, message.term, False, *me.commit_id))
    else:
        me.after_persist.append(MsgVoteResp(me.id, message.sender, me.term, True, *me.commit_id))


def on_pre_vote(me: Member, message: MsgPreVote) -> None:
    """Answers a pre-vote. Changes neither term nor vote. A grant bears the candidate's next term, a refusal our own
    term.
    """
    learn_commit(me, message)
    free = message.term > me.term or me.vote == message.sender or (me.vote == NOBODY and me.leader == NOBODY)
    if free and me.log.is_up_to_date(message.index, message.log_term):
        me.after_persist.append(MsgPreVoteResp(me.id, message.sender, message.term, False, *me.commit_id))
    else:
        refuse_pre_vote(me, message)


def on_older_pre_vote(me: Member, message: MsgPreVote) -> None:
    learn_commit(me, message)
    refuse_pre_vote(me, message)


def refuse_pre_vote(me: Member, message: MsgPreVote) -> None:
    me.after_persist.append(MsgPreVoteResp(me.id, message.sender, me.term, True, *me.commit_id))


def on_vote_response(me: Member, message: MsgVoteResp) -> None:
    learn_commit(me, message)
    _count_vote(me, message.sender, granted=not message.reject)


def on_pre_vote_response(me: Member, message: MsgPreVoteResp) -> None:
    learn_commit(me, message)
    if message.reject or message.term == me.term + 1:
        _count_vote(me, message.sender, granted=not message.reject)


def learn_commit(me: Member, message: MsgVote | MsgVoteResp | MsgPreVote | MsgPreVoteResp) -> None:
    """Takes over the sender's commit index if this log holds the same entry there (log matching), whatever the
    terms are by now. raft-rs does the same. A stranger's is not taken: a log that holds the sender's committed
    entry also holds the entry that made the sender a member.

    Both sides of an election need this while a configuration changes. A candidate that never heard that the joint
    configuration was left might for ever need the vote of a removed leader, whose log is longer and which does not
    campaign any more. A member that never heard of its promotion refuses candidates with shorter logs, but does not
    campaign itself: with the leader dead for good, a living majority would have no leader.
    """
    index, log = message.commit, me.log
    if index > log.commit and log.term(index) == message.commit_term and knows(me, message.sender):
        log.commit_to(index)


# --- time and hints ---------------------------------------------------------------------------------------


def on_tick(me: Member) -> None:
    """Starts a due election on a follower or candidate. A member that may not campaign forgets its silent leader
    and waits on.
    """
    if me.now_ms < me.election_due_ms or campaign(me):
        return
    me.become_follower(me.term)
    wait_ms = me.config.heartbeat_ms if me.is_promotable else me.timeout_ms
    me.election_due_ms = me.now_ms + wait_ms


def on_timeout_now(me: Member, _: MsgTimeoutNow) -> None:
    campaign(me, transfer=True)


def on_peer_dead(me: Member, peer: int) -> None:
    """Ends the lease of a leader whose process is gone, and brings the election forward. Each voter waits for a
    slot of its own, by rank, so that two rarely campaign at the same moment and split the vote.
    """
    if me.lost_leader != peer or me.role is Role.CANDIDATE:
        return
    me.lost_leader = NOBODY
    if me.leader == peer:
        me.become_follower(me.term)
    voters = [voter for voter in all_voters(me.conf) if voter != peer]
    if me.id not in voters:
        return
    slot_ms = max(1, me.config.heartbeat_ms // len(voters))
    wait_ms = voters.index(me.id) * slot_ms + me.rng.randrange(slot_ms)
    me.election_due_ms = min(me.election_due_ms, me.now_ms + wait_ms)
