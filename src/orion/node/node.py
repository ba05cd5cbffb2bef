"""The running node: everything of it, in one TaskGroup, from ports alone."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

import msgspec

from orion.model.container import Container
from orion.model.errors import OrionError, Refused
from orion.model.ids import NodeId, RaftId, raft_text
from orion.model.membership import MemberState, NodeRole
from orion.model.node import NodeStatus, address_parts, address_text
from orion.model.recovery import is_newer
from orion.model.resources import Resources
from orion.node.agent import leftovers
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.hooks.configs import ConfigInjection
from orion.node.agent.registration import Registration
from orion.node.agent.status_updates import StatusUpdates
from orion.node.consensus.applied import AppliedWatch
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.snapshots import Snapshots
from orion.node.leader.duties import leader_and_voters
from orion.node.lifecycle.last_words import PlannedStop
from orion.node.lifecycle.story import Story
from orion.node.membership.directory import Directory, NodeMetadata
from orion.node.membership.gossip_watch import GossipWatch
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.membership.recovery_claims import RecoveryClaims
from orion.node.membership.removed_member import RemovedMember
from orion.node.membership.rivals import Rivals
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submitted, Submitter
from orion.node.rpc.lists import Lists
from orion.node.rpc.registry import Registry
from orion.node.services.node_service import NodeService
from orion.node.views.render import Roles
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.ports.log import Identity, LogStore, as_stream
from orion.ports.machine import Machine, Usage
from orion.ports.membership import Membership
from orion.ports.peers import Peers
from orion.process.config import Config
from orion.raft.interface import Persistent, RaftConfig, Role, SoftState
from orion.raft.messages import ConfState, HardState, SnapshotMeta
from orion.state.commands import SetNodeStatus
from orion.state.snapshot import capture, encode
from orion.state.tables import State

log = logging.getLogger(__name__)

ANNOUNCE_TIMEOUT_S = 3.0
HAND_OVER_TIMEOUT_S = 3.0
USAGE_EVERY_S = 5.0
NAMES_PATIENCE_S = 5.0


class Node:
    """`await start()`, then `run()` until cancelled or after `stop()`.

    `capacity` is what the scheduler may give away; `version` and labels are told to the cluster. `on_stop_asked` is
    called when a user wants a planned stop of this node.
    """

    def __init__(
        self,
        *,
        config: Config,
        version: str,
        capacity: Resources,
        clock: Clock,
        store: LogStore,
        peers: Peers,
        membership: Membership,
        engine: Engine,
        machine: Machine,
        identity: Identity,
        on_stop_asked: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._version = version
        self._clock = clock
        self._store = store
        self._peers = peers
        self._membership = membership
        self._machine = machine
        self._identity = identity
        rng = random.Random(machine.random_bits(64))  # noqa: S311 -- timeouts and jitter, no secrets
        me, raft = config.node, identity.raft_id
        self._address = address_text(config.advertise, config.raft_port)
        self.directory = Directory(lambda: self.driver.view)
        self.registry = Registry(me, lambda: self.driver.is_member)
        self._rivals = Rivals(
            me=me,
            raft=raft,
            address=self._address,
            data_dir=config.data_dir,
            peers=peers,
            directory=self.directory,
            on_rival=self._cast_out,
        )
        snapshots = Snapshots(
            store=store,
            peers=peers,
            tuning=config.tuning,
            me=raft,
            address_of=self.directory.address_of_raft,
            registry=self.registry,
        )
        self.driver = RaftDriver(
            config=RaftConfig(
                id=raft,
                heartbeat_ms=config.tuning.heartbeat_ms,
                election_ms=config.tuning.election_ms,
            ),
            clock=clock,
            store=store,
            peers=peers,
            watch=AppliedWatch(),
            snapshots=snapshots,
            rng=rng,
            address_of=self.directory.address_of_raft,
        )
        self.driver.on_standing = self._on_standing
        quorum = QuorumWatch(
            me=me, driver=self.driver, directory=self.directory, election_ms=config.tuning.election_ms
        )
        lists = Lists()
        self.forward = Forward(
            me=me,
            driver=self.driver,
            directory=self.directory,
            peers=peers,
            quorum=quorum,
            registry=self.registry,
            lists=lists,
            rng=rng,
        )
        self._submitter = Submitter(
            driver=self.driver,
            directory=self.directory,
            forward=self.forward,
            quorum=quorum,
            registry=self.registry,
            rivals=self._rivals,
            rng=rng,
        )
        self._source = AssignmentWatcher(
            me=me, raft=raft, driver=self.driver, forward=self.forward, registry=self.registry
        )
        self._reports = StatusUpdates(
            me=me, clock=clock, submitter=self._submitter, level=lambda: self._source.level
        )
        self.agent = Agent(
            me=me,
            clock=clock,
            engine=engine,
            source=self._source,
            confirm=self.forward.ask,
            hooks=(ConfigInjection(lambda keys: self.service.configs.read(keys)),),  # noqa: PLW0108 -- service comes later
            report=self._reports.add,
            rng=rng,
            on_engine=self._engine_changed,
            on_leftovers=self._found_leftovers,
        )
        self._registration = Registration(
            config=config,
            raft=raft,
            version=version,
            capacity=capacity,
            clock=clock,
            driver=self.driver,
            submitter=self._submitter,
            agent=self.agent,
            source=self._source,
            rivals=self._rivals,
            on_registered=self._on_registered,
        )
        self._gossip = GossipWatch(
            me=me,
            membership=membership,
            peers=peers,
            directory=self.directory,
            driver=self.driver,
            name_contested=self._rivals.name_contested,
        )
        self._leader, voters = leader_and_voters(
            me=me,
            raft=raft,
            tuning=config.tuning,
            clock=clock,
            machine=machine,
            driver=self.driver,
            directory=self.directory,
            peers=peers,
            gossip_changed=self._gossip.changed,
        )
        self.service = NodeService(
            me=me,
            version=version,
            clock=clock,
            machine=machine,
            driver=self.driver,
            directory=self.directory,
            forward=self.forward,
            registry=self.registry,
            lists=lists,
            quorum=quorum,
            submitter=self._submitter,
            source=self._source,
            agent=self.agent,
            outlook=voters.outlook,
            on_stop_asked=on_stop_asked,
        )
        self._exclusion = RemovedMember(raft=raft, driver=self.driver, directory=self.directory, peers=peers)
        self._recovery_claims = RecoveryClaims(
            me=me,
            clock=clock,
            driver=self.driver,
            directory=self.directory,
            peers=peers,
            believed=self._was_left_behind,
        )
        self._story = Story(self._name_of)
        self._metadata_due = asyncio.Event()
        self._loaded_index = 0  # the end of the log at the start: what it says is known once it is applied
        self._outcast = asyncio.Event()
        self._why_outcast = ""

    # --- life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the disk, open the ports. Raises OrionErrors that say what to do."""
        self._tell_identity()
        await self._rivals.check(self._identity.address)
        await self.driver.load(await self._bootstrap_or_join())
        self._loaded_index = self.driver.raft.last_index
        self._peers.on_lost = self._peer_lost
        self._peers.on_stranger = self._met_a_stranger
        self._peers.on_refused = self._rivals.told
        self._peers.gate = self._rivals
        self.directory.on_newer_recovery = self._recovery_claims.hear_gossip
        await self._peers.start(self.driver.receive, self.registry.on_call, self.registry.on_stream)
        await self._membership.start(self._metadata(None).encode())
        if self._identity.address != self._address:
            self._identity = msgspec.structs.replace(self._identity, address=self._address)
            await self._store.set_identity(self._identity)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, runner in (
                ("raft", self.driver.run()),
                ("gossip", self._gossip.run()),
                ("leader", self._leader.run()),
                ("work", self._source.run()),
                ("agent", self.agent.run()),
                ("reports", self._reports.run()),
                ("registration", self._registration.run()),
                ("exclusion", self._exclusion.run()),
                ("rivals", self._rivals.run()),
                ("metadata", self._publish_metadata()),
                ("story", self._tell_story()),
                ("recovery claims", self._recovery_claims.run()),
                ("outcast", self._end_when_outcast()),
            ):
                group.create_task(runner, name=name)
            await self._membership.join()

    async def stop(self) -> str:
        """The first half of a planned stop, while `run` still runs: say so, hand over leadership, leave. Containers
        stay; their work waits for this node's return for the grace period. Returns the stop's last words.
        """
        me, grace_ms, work = self._config.node, self._config.tuning.stop_grace_ms, self._source.latest
        others = any(s.member.node != me and s.member.state is MemberState.ALIVE for s in self.directory.all_seen())
        at_ms, untold = await self._announce_stop()
        await self._hand_over()
        await self._membership.leave()
        stopped = PlannedStop(
            node=me,
            tasks=self.agent.running_tasks(),
            others=others,
            shares_engine=bool(work and work.neighbours),
            untold=untold,
            until_ms=at_ms + grace_ms,
            grace_ms=grace_ms,
        )
        return stopped.words

    async def _announce_stop(self) -> tuple[int, str]:
        """Returns when, on the wall clock, and why the cluster could not be told, "" when it was."""
        config, at_ms = self._config, self._clock.wall_ms()
        command = SetNodeStatus(
            at_ms,
            config.node,
            self._identity.raft_id,
            NodeStatus.LEFT,
            "stops on purpose",
            config.tuning.stop_grace_ms,
        )
        self._registration.closing = True
        try:
            await self._submitter.submit(command, timeout_s=ANNOUNCE_TIMEOUT_S)
        except OrionError as error:
            log.warning("could not announce this stop, so the others will call this node dead: %s", error.detail)
            return at_ms, error.detail
        return at_ms, ""

    async def _hand_over(self) -> None:
        driver = self.driver
        others = [v for v in driver.raft.conf.voters if v != self._identity.raft_id]
        if not driver.is_leader or not others:
            return
        try:
            async with asyncio.timeout(HAND_OVER_TIMEOUT_S):
                await self._transfer_until_taken()
            log.info("leadership handed over")
        except TimeoutError:
            log.warning("no voter took over within %g s; they will elect one", HAND_OVER_TIMEOUT_S)

    async def _transfer_until_taken(self) -> None:
        """The core gives up on a voter that does not take over in an election timeout; then one is asked again."""
        while self.driver.is_leader:
            self.driver.transfer(0)
            try:
                async with asyncio.timeout(self._config.tuning.election_ms / 1000):
                    await self.driver.until(leading=False)
            except TimeoutError:
                continue

    async def _bootstrap_or_join(self) -> Persistent:
        """What the disk holds, with a new cluster's beginning written to it where one was asked for."""
        persistent = await self._store.load()
        known = bool(persistent.snapshot.index or persistent.entries or self._identity.cluster)
        if known:
            return persistent
        if self._config.bootstrap:
            me = ConfState(voters=(self._identity.raft_id,))
            meta = SnapshotMeta(index=1, term=1, conf=me)
            empty = as_stream(encode(capture(State())))
            await self._store.save_snapshot(meta, empty, first_kept=2, hard_state=HardState(term=1, commit=1))
            log.info("started a new cluster with %s as its only voter", self._config.node)
            return await self._store.load()
        first = (
            "start the first node with --bootstrap, every other one with --join HOST:GOSSIP_PORT of any that runs"
        )
        if not self._config.join:
            raise Refused(f"node {self._config.node} belongs to no cluster yet: {first}")
        own = [(address, what) for address in self._config.join if (what := _own_port(self._config, address))]
        if len(own) == len(self._config.join):
            address, what = own[0]
            raise Refused(f"--join {address} is this node's own {what} port: {first}")
        return persistent

    def _engine_changed(self) -> None:
        self._registration.facts_changed.set()

    def _peer_lost(self, address: str) -> None:
        """What was on its way there is gone: the core goes back to probing that member."""
        if (raft := self.directory.raft_at(address)) is not None:
            self.driver.peer_unreachable(raft)

    def _on_registered(self, submitted: Submitted) -> None:
        if submitted.cluster and not self._identity.cluster:
            self._become(submitted.cluster, submitted.recovery)

    def _become(self, cluster: int, recovery: int) -> None:
        self._identity = msgspec.structs.replace(self._identity, cluster=cluster, recovery=recovery)
        self._tell_identity()
        self._metadata_due.set()

    def _tell_identity(self) -> None:
        cluster, recovery = self._identity.cluster, self._identity.recovery
        self.directory.cluster, self.directory.recovery = cluster, recovery
        if cluster:
            self._peers.set_cluster(cluster, recovery)

    def _met_a_stranger(self, node: NodeId, cluster: int, recovery: int) -> None:
        """A peer that knows this node's address and is of another cluster, or of this one across a recovery."""
        if cluster == self._identity.cluster:
            if is_newer(recovery, self._identity.recovery):
                self._recovery_claims.hear_hello(node, recovery)
        elif self._config.bootstrap and self._is_alone():
            self._cast_out(
                f"this node began a cluster of its own (--bootstrap), but {node} is of another one that knows this"
                f" node: its disk was lost, it seems. Move {self._config.data_dir} away and start it with --join"
                f" and the gossip address of {node} in place of --bootstrap; it comes back as a new member. If it"
                " is to be a cluster of its own: start it as it is, without --bootstrap"
            )

    def _found_leftovers(self, containers: list[Container]) -> None:
        config = self._config
        for cluster, theirs in leftovers.by_cluster(containers).items():
            mine = leftovers.started_by(config.node, theirs)
            if mine and config.bootstrap and self._is_alone() and not self.driver.view.jobs():
                self._cast_out(leftovers.outcast(config, cluster, mine))
            else:
                log.warning("%s", leftovers.told(config, cluster, theirs))

    def _is_alone(self) -> bool:
        """Nobody else is of its cluster, as far as its log goes."""
        nodes = self.driver.view.nodes()
        return self.driver.applied_index >= self._loaded_index and all(n.id == self._config.node for n in nodes)

    def _was_left_behind(self, node: NodeId, recovery: int) -> None:
        """The cluster was recovered from a lost quorum while this node was away. What has never followed the log
        can go along; a log may hold what the others have lost, and votes of an old configuration.
        """
        status = self.driver.raft.status()
        if status.last_index or status.term:
            self._cast_out(
                f"the cluster was recovered from a lost quorum without this node: {node} has gone on, and what is"
                f" in {self._config.data_dir} has no place there. Move that directory away and start this node"
                " again with --join; it comes back as a new member. If that recovery was a mistake: stop"
                f" {node}, and start this node and the others as they are"
            )
        else:
            log.info("%s has gone through a recovery of the cluster: this node goes along", node)
            self._become(self._identity.cluster, recovery)

    def _cast_out(self, why: str) -> None:
        self._why_outcast = why
        self._outcast.set()

    async def _end_when_outcast(self) -> None:
        await self._outcast.wait()
        raise Refused(self._why_outcast)

    # --- metadata and story -------------------------------------------------------------------------------

    def _on_standing(self, standing: SoftState) -> None:
        if standing.role is Role.LEADER:
            log.info("%s leads in term %d", self._config.node, standing.term)
        elif standing.leader:
            log.info("following %s in term %d", self._name_of(RaftId(standing.leader)), standing.term)
        self._metadata_due.set()
        self.driver.watch.nudge()

    def _name_of(self, raft: RaftId) -> str:
        if raft == self._identity.raft_id:
            return self._config.node
        return self.directory.node_of_raft(raft) or raft_text(raft)

    async def _publish_metadata(self) -> None:
        """Role, cluster and live use, to all by gossip: at once when the role changes, use now and then."""
        written = self._identity
        said: NodeMetadata | None = None
        while True:
            usage = self._machine.usage()
            try:
                async with asyncio.timeout(USAGE_EVERY_S):
                    while True:
                        self._metadata_due.clear()
                        if (identity := self._identity) != written:
                            await self._store.set_identity(identity)
                            written = identity
                        if (metadata := self._metadata(usage)) != said:
                            await self._membership.set_metadata(metadata.encode())
                            said = metadata
                        await self._metadata_due.wait()
            except TimeoutError:
                continue

    def _metadata(self, usage: Usage | None) -> NodeMetadata:
        config, standing = self._config, self.driver.standing
        role = Roles(self.driver).of(self._identity.raft_id) if standing.leader else NodeRole.WORKER
        return NodeMetadata(
            raft_id=self._identity.raft_id,
            peer_address=self._address,
            api_address=address_text(config.advertise, config.port),
            version=self._version,
            role=role,
            term=standing.term if role is NodeRole.LEADER else 0,
            cluster=self._identity.cluster,
            usage=usage,
            recovery=self._identity.recovery,
        )

    async def _tell_story(self) -> None:
        """The leader's log in plain lines: who joined Raft, what was decided, what happened to whom."""
        events = self.driver.watch.events(None, follow=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_configurations(), name="story-conf")
            async for event in events:
                if event is not None and self.driver.is_leader:
                    log.info("%s", event.text)

    async def _tell_configurations(self) -> None:
        told = None
        while True:
            conf = self.driver.raft.conf
            if conf != told:
                told = conf
                self._metadata_due.set()
                voters, learners = {*conf.voters, *conf.voters_outgoing}, {*conf.learners, *conf.learners_next}
                await self._until_named(voters | learners)
                self._story.tell(voters, learners)
            await self.driver.watch.changed()

    async def _until_named(self, members: set[int]) -> None:
        """At a start, names come with the log and with gossip; until then there are only numbers."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NAMES_PATIENCE_S):
                while any(self._name_of(RaftId(raft)) == raft_text(RaftId(raft)) for raft in members):
                    await self.driver.watch.changed()


def _own_port(config: Config, address: str) -> str:
    """Which of this node's own ports the address is, "" when none."""
    host, port = address_parts(address)
    if host not in {config.bind, config.advertise, "localhost"}:
        return ""
    return {config.gossip_port: "gossip", config.port: "API", config.raft_port: "peer"}.get(port, "")
