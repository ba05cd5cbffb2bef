"""A duty: keeps the cluster at its number of voters and standbys, of nodes that live."""

import logging

from orion.model.errors import Unavailable
from orion.model.ids import RaftId
from orion.model.node import Node, NodeStatus
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.cluster_watch import ClusterWatch
from orion.ports.clock import Clock
from orion.process.config import Tuning
from orion.reconcile.forecast import outlook
from orion.reconcile.standby_backoff import StandbyBackoff
from orion.reconcile.voters import Candidate, VoterSettings, next_configuration

log = logging.getLogger(__name__)


class Voters:
    name = "voters"

    def __init__(
        self, *, raft: RaftId, tuning: Tuning, clock: Clock, driver: RaftDriver, cluster: ClusterWatch
    ) -> None:
        self._raft = raft
        self._clock = clock
        self._driver = driver
        self._cluster = cluster
        self._dead_since_ms: dict[RaftId, int] = {}
        self._led_since_ms = 0
        self._backoff = StandbyBackoff()
        self._settings = VoterSettings(
            tuning.max_voters, tuning.max_standbys, tuning.dead_voter_grace_ms, silent_ms=tuning.election_ms
        )

    def outlook(self) -> tuple[str, ...]:
        """Returns what comes next about who votes, in sentences; () when nothing does, or on a node that does not
        lead.
        """
        status = self._driver.raft.status()
        if not self._driver.is_leader:
            return ()
        return outlook(self._candidates(), status.conf, self._raft, status.last_index, self._settings)

    async def run(self, _term: int, /) -> None:
        self._dead_since_ms.clear()
        self._backoff = StandbyBackoff()
        self._led_since_ms = self._clock.now_ms()
        while True:
            status = self._driver.raft.status()
            if not status.conf_pending and not status.conf.voters_outgoing and not status.transfer_to:
                candidates, settings = self._candidates(), self._settings
                change = next_configuration(candidates, status.conf, self._raft, status.last_index, settings)
                if change is not None:
                    try:
                        self._driver.propose_conf(change)
                    except Unavailable as error:
                        log.debug("a change of voters has to wait: %s", error.detail)
                    else:
                        self._backoff.note(change, status.conf, candidates, settings, self._clock.now_ms())
            await self._cluster.changed()

    def _candidates(self) -> list[Candidate]:
        now = self._clock.now_ms()
        followers = self._driver.raft.status().followers
        found = []
        for node in self._driver.view.nodes():
            follower = followers.get(node.raft_id)
            match = follower.match if follower is not None else None
            dead_ms, kept_ms = self._dead_and_kept_ms(node, now)
            if dead_ms:
                self._backoff.forget(node.raft_id)
            if follower is not None:
                silent_ms = min(follower.unheard_ms, now - self._led_since_ms)
            else:
                silent_ms = self._settings.dead_grace_ms if self._backoff.holds(node.raft_id, now) else 0
            heard = follower is not None and follower.unheard_ms < self._settings.silent_ms
            found.append(Candidate(node.id, node.raft_id, node.number, dead_ms, match, kept_ms, silent_ms, heard))
        return found

    def _dead_and_kept_ms(self, node: Node, now: int) -> tuple[int, int]:
        if node.status is NodeStatus.READY or node.raft_id == self._raft:
            self._dead_since_ms.pop(node.raft_id, None)
            return 0, 0
        # A node that stops on purpose is expected back: its vote is kept for its grace.
        since = self._dead_since_ms.setdefault(node.raft_id, now)
        grace = node.grace_ms if node.status is NodeStatus.LEFT else 0
        return max(1, now - since - grace), max(0, since + grace - now)
