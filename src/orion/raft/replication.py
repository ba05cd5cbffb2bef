"""Replication of the leader's log to its followers (section 5.3).

Sending is put off until the next Ready: all that was proposed, acknowledged and committed in a turn goes out in one
message to each follower.
"""

from orion.raft.member import Member
from orion.raft.messages import (
    NOBODY,
    MsgApp,
    MsgAppResp,
    MsgHeartbeat,
    MsgHeartbeatResp,
    MsgSnap,
    MsgSnapStatus,
    MsgTimeoutNow,
)
from orion.raft.tracker import Progress, ProgressState

SNAPSHOT_PATIENCE_ELECTIONS = 20  # election timeouts after which a follower is asked whether it has the snapshot


# --- sending ----------------------------------------------------------------------------------------------


def send_appends(me: Member) -> None:
    """Sends to each follower what it may be sent now, which most often is nothing."""
    last, commit = me.log.last, me.log.commit
    for follower, progress in me.progress.items():
        if follower != me.id and not progress.is_told(last, commit):
            _SENDERS[progress.state](me, follower, progress)


def _probe(me: Member, follower: int, progress: Progress) -> None:
    """Sends one message, then nothing until it is answered."""
    if progress.paused and not progress.wake:
        return
    progress.wake = False
    progress.paused = True
    _send_append(me, follower, progress, with_entries=True)


def _replicate(me: Member, follower: int, progress: Progress) -> None:
    """Sends all new entries that the window allows. Without any, sends the commit index if it may be news."""
    sent = False
    while progress.next <= me.log.last and not progress.inflights.full:
        if not _send_append(me, follower, progress, with_entries=True):
            return
        sent = True
    if not sent and (progress.wake or progress.can_bump_commit(me.log.commit)):
        _send_append(me, follower, progress, with_entries=False)
    progress.wake = False


def _await_snapshot(me: Member, follower: int, progress: Progress) -> None:
    """Sends nothing while the follower fetches a snapshot."""


_SENDERS = {
    ProgressState.PROBE: _probe,
    ProgressState.REPLICATE: _replicate,
    ProgressState.SNAPSHOT: _await_snapshot,
}


def _send_append(me: Member, follower: int, progress: Progress, *, with_entries: bool) -> bool:
    """Returns False when the entries are compacted, so that a snapshot was offered in their place."""
    log = me.log
    prev = progress.next - 1
    prev_term = log.term(prev)
    if prev_term is None:
        _send_snapshot(me, follower, progress)
        return False
    if with_entries and prev < log.last:
        last = log.within(progress.next, log.last, me.config.max_append_bytes)
        entries = log.slice(progress.next, last)
        progress.sent(last, log.bytes_after(prev, last))
    else:
        entries = ()
    me.messages.append(MsgApp(me.id, follower, me.term, prev, prev_term, entries, log.commit))
    progress.sent_commit = max(progress.sent_commit, log.commit)
    return True


def _send_snapshot(me: Member, follower: int, progress: Progress) -> None:
    """Offers the snapshot to a follower that was heard lately. To one that is gone the offer would be lost, and no
    other is made until SNAPSHOT_PATIENCE_ELECTIONS are over.
    """
    if me.now_ms - progress.heard_ms >= me.config.election_ms:
        progress.become_probe()
        progress.paused = True
        return
    patience_ms = SNAPSHOT_PATIENCE_ELECTIONS * me.config.election_ms
    progress.become_snapshot(me.snapshot.index, me.now_ms + patience_ms)
    me.messages.append(MsgSnap(me.id, follower, me.term, me.snapshot))


def send_heartbeats(me: Member) -> None:
    """Sends each follower a heartbeat, with no larger commit index than it is known to hold."""
    context = me.rounds.context
    for follower, progress in me.progress.items():
        if follower == me.id:
            continue
        commit = min(progress.match, me.log.commit)
        me.messages.append(MsgHeartbeat(me.id, follower, me.term, commit, context))


def end_patience(me: Member) -> None:
    """Probes followers that were offered a snapshot long ago: they may have it by now."""
    for progress in me.progress.values():
        if progress.state is ProgressState.SNAPSHOT and me.now_ms >= progress.snapshot_due_ms:
            progress.probe_snapshot()


# --- answers ----------------------------------------------------------------------------------------------


def _heard(me: Member, sender: int) -> Progress | None:
    """Notes that the sender was heard. Returns None when it is no member, or none any more."""
    progress = me.progress.get(sender)
    if progress is not None:
        progress.heard_ms = me.now_ms
    return progress


def on_append_response(me: Member, message: MsgAppResp) -> None:
    progress = _heard(me, message.sender)
    if progress is None or message.index > me.log.last:
        return
    if message.reject:
        _on_refusal(me, progress, message)
    else:
        _on_acknowledgement(me, progress, message.index)
        maybe_hand_over(me)


def _on_refusal(me: Member, progress: Progress, message: MsgAppResp) -> None:
    """Goes back to where the logs may agree: it takes at most one probe for each term in either log."""
    hint = message.hint_index
    if message.hint_term:
        hint, _ = me.log.guess_match(hint, message.hint_term)
    progress.refused(message.index, hint)


def _on_acknowledgement(me: Member, progress: Progress, index: int) -> None:
    news = progress.matched(index)
    if progress.state is ProgressState.REPLICATE:
        progress.inflights.free_to(index)
    elif progress.state is ProgressState.PROBE:
        if index == progress.match:
            progress.become_replicate()
    elif progress.match >= me.log.offset:
        # It holds all that is compacted here, wherever it has it from: the log has the rest.
        progress.become_replicate()
    elif progress.match == progress.next - 1:
        # It holds the snapshot that it was offered, and the entries after that are compacted by now: it is offered
        # the newest snapshot.
        progress.become_probe()
    if news:
        me.maybe_commit()


def on_heartbeat_response(me: Member, message: MsgHeartbeatResp) -> None:
    progress = _heard(me, message.sender)
    if progress is None:
        return
    # Sends one more message: if all before it were lost, the answer to it says so.
    progress.wake = progress.match < me.log.last or progress.state is ProgressState.PROBE
    if message.context:
        me.rounds.acked(message.sender, message.context)
        answer_confirmed_reads(me)


def answer_confirmed_reads(me: Member) -> None:
    for read in me.rounds.take_confirmed(me.conf, me.id):
        me.answer_read(read, read.index)


def on_snapshot_status(me: Member, message: MsgSnapStatus) -> None:
    """Probes a follower that could not get the snapshot again, after its next heartbeat."""
    progress = _heard(me, message.sender)
    if progress is not None and progress.state is ProgressState.SNAPSHOT:
        progress.become_probe()
        progress.paused = True


def on_peer_unreachable(me: Member, peer: int) -> None:
    """Takes the messages under way to `peer` for lost. It is probed again once it answers a heartbeat."""
    progress = me.progress.get(peer)
    if progress is None or peer == me.id:
        return
    if progress.state is ProgressState.REPLICATE:
        progress.become_probe()
    elif progress.state is ProgressState.SNAPSHOT:
        progress.probe_snapshot()
    progress.paused = True


def maybe_hand_over(me: Member) -> bool:
    """Tells the member that is to lead next to campaign at once, when it has the whole log."""
    if me.transfer_to == NOBODY or me.progress[me.transfer_to].match < me.log.last:
        return False
    me.messages.append(MsgTimeoutNow(me.id, me.transfer_to, me.term))
    return True
