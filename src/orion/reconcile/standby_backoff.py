"""Standbys that the leader could not reach, and how long it waits before it tries each again. Gossip shows them
alive, so without the wait two of them would take each other's place for ever.
"""

from collections.abc import Sequence

from orion.model.ids import RaftId
from orion.raft.messages import ConfChange, ConfState
from orion.reconcile.voters import Candidate, VoterSettings

FIRST_WAIT_MS = 60_000
LONGEST_WAIT_MS = 3_600_000


class StandbyBackoff:
    def __init__(self) -> None:
        self._times: dict[RaftId, int] = {}
        self._until_ms: dict[RaftId, int] = {}

    def holds(self, raft: RaftId, now_ms: int) -> bool:
        return now_ms < self._until_ms.get(raft, 0)

    def forget(self, raft: RaftId) -> None:
        """Ends the wait for a standby that has died or stopped: once it is back, it may be reached."""
        self._times.pop(raft, None)
        self._until_ms.pop(raft, None)

    def note(
        self,
        change: ConfChange,
        conf: ConfState,
        candidates: Sequence[Candidate],
        settings: VoterSettings,
        now_ms: int,
    ) -> None:
        """Starts the wait for each standby that `change` takes out because it was not heard. A wait is twice as
        long as the one before it.
        """
        staying = {*change.voters, *change.learners}
        for each in candidates:
            lost = each.raft_id in conf.learners and each.raft_id not in staying
            if lost and each.silent_ms >= settings.dead_grace_ms:
                times = self._times[each.raft_id] = self._times.get(each.raft_id, 0) + 1
                self._until_ms[each.raft_id] = now_ms + min(FIRST_WAIT_MS << times - 1, LONGEST_WAIT_MS)
