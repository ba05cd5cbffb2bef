"""Duties that only the leader has, while it leads: node health, scheduling, who votes.

Each looks at levels and proposes commands; what was decided is what is committed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from orion.model.errors import OrionError, TooLarge, Unavailable
from orion.model.ids import NodeId, RaftId
from orion.model.node import Node, NodeStatus
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.proposals import Committed
from orion.node.membership.directory import Directory
from orion.node.membership.liveness import Liveness
from orion.ports.clock import Clock
from orion.ports.machine import Machine
from orion.ports.peers import Peers
from orion.process.config import Tuning
from orion.raft.messages import ConfState
from orion.raft.quorum import Vote, joint_vote
from orion.reconcile.forecast import outlook
from orion.reconcile.nodes import Sighting, Verdict, verdicts
from orion.reconcile.standby_backoff import StandbyBackoff
from orion.reconcile.voters import Candidate, VoterSettings, next_configuration
from orion.scheduler.pools import Pools
from orion.scheduler.retry_rotation import RetryRotation
from orion.scheduler.schedule import schedule
from orion.state.commands import AnyCommand, InitCluster, SetNodeStatus, encode_command
from orion.state.sound import fault_of

log = logging.getLogger(__name__)

PROPOSE_TIMEOUT_S = 10.0
LOOK_AGAIN_S = 0.5  # duties look at least this often: graces run out without any event
NOT_TAKEN_AGAIN_S = 0.1
REFUSED_AGAIN_S = 1.0
HEARD_HEARTBEATS = 2  # less than it takes to find a host silent
MAX_JOBS_PER_PLAN = 64
STUCK_AGAIN_MS = 2_000  # what its node can't start is looked at so often, when nothing else calls for it
GATHER_S = 0.002  # after a change: what comes together is planned together, and its writer is answered first


class Leader:
    """Started and stopped by `standing` changes; `run` is for the node's life."""

    def __init__(
        self,
        *,
        me: NodeId,
        raft: RaftId,
        tuning: Tuning,
        clock: Clock,
        machine: Machine,
        driver: RaftDriver,
        directory: Directory,
        peers: Peers,
        gossip_changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._me = me
        self._raft = raft
        self._tuning = tuning
        self._clock = clock
        self._machine = machine
        self._driver = driver
        self._directory = directory
        self._since_ms: dict[NodeId, int] = {}
        self._status: dict[NodeId, tuple[RaftId, NodeStatus]] = {}
        self._shadowed: set[NodeId] = set()  # gossip shows the end of another data directory under their name
        self._past_runs: dict[NodeId, int] = {}  # gossip's epoch of a run that is over, until it shows another
        self._suspects = Liveness(
            me=me,
            peers=peers,
            directory=directory,
            view=lambda: driver.view,
            gossip_changed=gossip_changed,
            hears=self._hears,
            hears_others=self._hears_others,
            changed=driver.watch.nudge,
        )
        self._dead_since_ms: dict[RaftId, int] = {}
        self._led_since_ms = 0
        self._unreached = StandbyBackoff()
        self._voter_settings = VoterSettings(
            tuning.max_voters, tuning.max_standbys, tuning.dead_voter_grace_ms, silent_ms=tuning.election_ms
        )

    async def run(self) -> None:
        while True:
            await self._driver.until(leading=True)
            try:
                async with asyncio.TaskGroup() as group:
                    duties = group.create_task(self._duties(), name="leader-duties")
                    await self._driver.until(leading=False)
                    duties.cancel()
            finally:
                log.info("no longer leading")

    async def _duties(self) -> None:
        await self._driver.read_barrier()  # state holds all that former leaders committed
        self._forget()
        while not self._driver.view.cluster:
            cluster = self._machine.random_bits(64)
            await self._propose(InitCluster(self._clock.wall_ms(), cluster))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_health(), name="leader-health")
            group.create_task(self._suspects.run(), name="leader-suspects")
            group.create_task(self._keep_scheduled(), name="leader-schedule")
            group.create_task(self._keep_voters(), name="leader-voters")

    def _forget(self) -> None:
        """A new leader starts all graces anew."""
        self._since_ms.clear()
        self._status.clear()
        self._shadowed.clear()
        self._past_runs.clear()
        self._dead_since_ms.clear()
        self._unreached = StandbyBackoff()
        self._led_since_ms = self._clock.now_ms()

    async def _propose(self, command: AnyCommand) -> Committed | None:
        """None when it was not taken: the duty looks again."""
        if fault := fault_of(command):
            log.error("a decision that nobody could carry out: %s; it was %.300r", fault, command)
            await asyncio.sleep(REFUSED_AGAIN_S)
            return None
        try:
            async with asyncio.timeout(PROPOSE_TIMEOUT_S):
                return await self._driver.propose(encode_command(command))
        except TooLarge as error:
            # The same again would be refused again: only another state of things gives another decision.
            log.error("a decision can't be committed: %s; it was %.300r", error, command)  # noqa: TRY400
            await asyncio.sleep(REFUSED_AGAIN_S)
            return None
        except (OrionError, TimeoutError) as error:
            log.info("a decision was not committed: %s", error)
            await asyncio.sleep(NOT_TAKEN_AGAIN_S)
            return None

    # --- node health --------------------------------------------------------------------------------------

    async def _watch_health(self) -> None:
        while True:
            self._note_statuses()
            found = verdicts(self._driver.view.nodes(), self._sightings(), self._since_ms, self._clock.now_ms())
            if found:
                await self._commit(found[0])  # the others may have recovered by the time it is committed
            else:
                await self._cluster_changed()

    def _note_statuses(self) -> None:
        """Another data directory under a name is another node: nothing of the former one counts for it."""
        now = self._clock.now_ms()
        nodes = self._driver.view.nodes()
        for node in nodes:
            self._note_shadow(node, now)
            raft, former = self._status.get(node.id, (node.raft_id, None))
            if raft == node.raft_id and former is node.status:
                continue
            self._status[node.id] = node.raft_id, node.status
            self._since_ms[node.id] = now
            seen = self._directory.seen(node.id)
            came_back = former and raft == node.raft_id and node.status is NodeStatus.READY
            if came_back and seen and seen.member.state != "alive":
                self._past_runs[node.id] = seen.member.epoch
        for gone in self._status.keys() - {node.id for node in nodes}:
            for known in (self._status, self._since_ms, self._past_runs):
                known.pop(gone, None)
            self._shadowed.discard(gone)

    def _note_shadow(self, node: Node, now: int) -> None:
        """The node that has a name may live on unseen while another is dead under it, so it is given time to show
        itself.
        """
        seen = self._directory.seen(node.id)
        shadowed = seen is not None and Sighting(seen.member.state, seen.facts.raft_id).shows_end_of_other(
            node.raft_id
        )
        if shadowed and node.id not in self._shadowed:
            self._shadowed.add(node.id)
            self._since_ms[node.id] = now
        elif not shadowed:
            self._shadowed.discard(node.id)

    def _sightings(self) -> dict[NodeId, Sighting]:
        """A node that came back by its registration may be faster than gossip: that its former run has left or died
        says nothing about this one.
        """
        sightings = {}
        for seen in self._directory.all_seen():
            node, state = seen.member.node, seen.member.state
            if state == "alive":
                self._past_runs.pop(node, None)
            elif self._past_runs.get(node) == seen.member.epoch:
                continue
            sightings[node] = Sighting(state, seen.facts.raft_id, self._suspects.proof(node))
        for node in self._suspects.in_doubt():
            sightings.setdefault(node, Sighting(proof=self._suspects.proof(node)))
        return sightings

    def _hears(self, member: RaftId) -> bool:
        """A Raft message of that member has come lately: less than it takes gossip to give up one that is gone."""
        follower = self._driver.raft.status().followers.get(member)
        return follower is not None and follower.unheard_ms <= self._tuning.election_ms

    def _hears_others(self, but: RaftId) -> bool:
        """A quorum, and somebody besides that member: a sole voter is a quorum by itself."""
        status = self._driver.raft.status()
        limit_ms = HEARD_HEARTBEATS * self._tuning.heartbeat_ms
        heard = {member: follower.unheard_ms <= limit_ms for member, follower in status.followers.items()}
        others = any(heard[member] for member in heard if member != but)
        return others and joint_vote(status.conf, {**heard, status.id: True}) is Vote.WON

    async def _commit(self, verdict: Verdict) -> None:
        node = verdict.node
        grace_ms = self._tuning.stop_grace_ms if verdict.status is NodeStatus.LEFT else 0
        command = SetNodeStatus(
            self._clock.wall_ms(), node.id, node.raft_id, verdict.status, verdict.reason, grace_ms
        )
        await self._propose(command)

    async def _cluster_changed(self) -> None:
        """Nodes, gossip's view of them or the configuration moved, or time has passed. Not every write counts: with
        hundreds of nodes a look at all of them is not free.
        """
        before = self._cluster_version()
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                while self._cluster_version() == before:
                    await self._driver.watch.changed()
        except TimeoutError:
            return

    def _cluster_version(self) -> tuple[int, int, int, int, ConfState]:
        driver = self._driver
        return (
            driver.installs,
            driver.view.facts_epoch,
            self._directory.version,
            self._suspects.version,
            driver.raft.conf,
        )

    # --- scheduling ---------------------------------------------------------------------------------------

    async def _keep_scheduled(self) -> None:
        """Plan while there is something to place or to move; a job that did not fit, and a task that its node can't
        start, is tried again when capacity was freed or added. Of more refused jobs than one plan looks at, each
        has its turn.
        """
        pools = Pools()
        turns = RetryRotation()
        epoch: tuple[int, int] | None = None
        stuck_due_ms = turn = 0
        while True:
            view = self._driver.view
            now = self._driver.installs, view.capacity_epoch
            if epoch != now:
                epoch, stuck_due_ms = now, 0
            stuck = view.has_stuck and self._clock.now_ms() >= stuck_due_ms
            refused = turns.batch(view, now, MAX_JOBS_PER_PLAN)
            batch = [*view.jobs_to_place(MAX_JOBS_PER_PLAN), *refused]
            if not batch and not stuck:
                await self._something_to_plan(timeout_s=LOOK_AGAIN_S if view.has_stuck else None)
                continue
            plan = schedule(view, batch, pools, turn=turn)
            turn, stuck_due_ms = turn + 1, self._clock.now_ms() + STUCK_AGAIN_MS
            if plan.empty or await self._propose(plan.command(self._clock.wall_ms())) is not None:
                turns.taken(plan.rest)
            await asyncio.sleep(0)

    async def _something_to_plan(self, timeout_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._driver.watch.changed()
                await asyncio.sleep(GATHER_S)

    # --- who votes ----------------------------------------------------------------------------------------

    def outlook(self) -> tuple[str, ...]:
        """What comes next about who votes, in sentences; () when nothing does, or on a node that does not lead."""
        status = self._driver.raft.status()
        if not self._driver.is_leader:
            return ()
        return outlook(self._candidates(), status.conf, self._raft, status.last_index, self._voter_settings)

    async def _keep_voters(self) -> None:
        while True:
            status = self._driver.raft.status()
            if not status.conf_pending and not status.conf.voters_outgoing and not status.transfer_to:
                candidates, settings = self._candidates(), self._voter_settings
                change = next_configuration(candidates, status.conf, self._raft, status.last_index, settings)
                if change is not None:
                    try:
                        self._driver.propose_conf(change)
                    except Unavailable as error:
                        log.debug("a change of voters has to wait: %s", error.detail)
                    else:
                        self._unreached.note(change, status.conf, candidates, settings, self._clock.now_ms())
            await self._cluster_changed()

    def _candidates(self) -> list[Candidate]:
        now = self._clock.now_ms()
        followers = self._driver.raft.status().followers
        found = []
        for node in self._driver.view.nodes():
            follower = followers.get(node.raft_id)
            match = follower.match if follower is not None else None
            dead_ms, kept_ms = self._dead_and_kept_ms(node, now)
            if dead_ms:
                self._unreached.forget(node.raft_id)
            if follower is not None:
                silent_ms = min(follower.unheard_ms, now - self._led_since_ms)
            else:
                silent_ms = self._voter_settings.dead_grace_ms if self._unreached.holds(node.raft_id, now) else 0
            found.append(Candidate(node.id, node.raft_id, node.number, dead_ms, match, kept_ms, silent_ms))
        return found

    def _dead_and_kept_ms(self, node: Node, now: int) -> tuple[int, int]:
        if node.status is NodeStatus.READY or node.raft_id == self._raft:
            self._dead_since_ms.pop(node.raft_id, None)
            return 0, 0
        # A node that stops on purpose is expected back: its vote is kept for its grace.
        since = self._dead_since_ms.setdefault(node.raft_id, now)
        grace = node.grace_ms if node.status is NodeStatus.LEFT else 0
        return max(1, now - since - grace), max(0, since + grace - now)


class Story:
    """Tells the changes of configuration in plain lines."""

    def __init__(self, name_of: Callable[[RaftId], str]) -> None:
        self._name_of = name_of
        self._voters: set[int] = set()
        self._learners: set[int] = set()

    def tell(self, voters: set[int], learners: set[int]) -> None:
        for raft in sorted(learners - self._learners - self._voters):
            log.info("%s added to Raft as learner", self._name_of(RaftId(raft)))
        for raft in sorted(voters - self._voters):
            word = "caught up, promoted to voter" if raft in self._learners else "is a voter"
            log.info("%s %s", self._name_of(RaftId(raft)), word)
        for raft in sorted((self._voters | self._learners) - voters - learners):
            log.info("%s removed from Raft", self._name_of(RaftId(raft)))
        for raft in sorted((self._voters & learners) - voters):
            log.info("%s demoted to learner", self._name_of(RaftId(raft)))
        self._voters, self._learners = voters, learners
