"""The running node: everything of it, in one TaskGroup, from ports alone."""

import asyncio
import random
from collections.abc import Callable
from functools import partial

from orion.model.ids import JobName, NodeId
from orion.model.node import address_text
from orion.model.resources import Resources
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.figures import engine_figures, machine_figures
from orion.node.agent.hooks.cluster_network import ClusterNetworkAttachment, GuardBeforeStart
from orion.node.agent.hooks.configs import ConfigInjection
from orion.node.agent.hooks.leases import LeaseBeforeStart
from orion.node.agent.hooks.namespaces import Namespaces
from orion.node.agent.hooks.templates import TemplateExpansion
from orion.node.agent.hooks.volumes import VolumeMounts
from orion.node.agent.leases import Leases
from orion.node.agent.pull_ahead import answer_pulls
from orion.node.agent.registration import Registration
from orion.node.agent.status_updates import StatusUpdates
from orion.node.agent.turns import Turns
from orion.node.agent.volume_copies import VolumeCopies
from orion.node.consensus.applied import AppliedWatch
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.figures import raft_figures, state_figures
from orion.node.consensus.snapshots import Snapshots
from orion.node.leader.duties import leader_and_voters
from orion.node.lifecycle.announcement import Announcement
from orion.node.lifecycle.belonging import Belonging
from orion.node.lifecycle.outcast import Outcast
from orion.node.lifecycle.start import beginning
from orion.node.lifecycle.stop import PlannedStop
from orion.node.lifecycle.story import Story
from orion.node.membership.directory import Directory
from orion.node.membership.figures import member_figures
from orion.node.membership.gossip_watch import GossipWatch
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.membership.recovery_claims import RecoveryClaims
from orion.node.membership.removed_member import RemovedMember
from orion.node.membership.rivals import Rivals
from orion.node.network.answering import NameAnswers
from orion.node.network.guarding import Guarding
from orion.node.network.names import Names
from orion.node.network.node_network import NetworkPorts, NodeNetwork
from orion.node.network.published import Published
from orion.node.network.publisher import Publisher
from orion.node.network.reach_watch import ReachWatch
from orion.node.network.reachability import Reachability
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submitter
from orion.node.rpc.lists import Lists
from orion.node.rpc.registry import Registry
from orion.node.services.node_service import NodeService
from orion.node.views.metrics import Metrics
from orion.node.volumes.storage import NodeStorage
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.ports.log import Identity, LogStore
from orion.ports.machine import Machine
from orion.ports.membership import Membership
from orion.ports.peers import Peers
from orion.ports.probe import Probe
from orion.ports.storage import StoragePorts
from orion.ports.volumes import VolumeStore
from orion.process.config import Config
from orion.raft.interface import RaftConfig, SoftState


class Node:
    """`await start()`, then `run()` until cancelled or after `stop()`.

    `capacity` is what the scheduler may give away; `version` and labels are told to the cluster. `on_stop_asked` is
    called when a user wants a planned stop of this node, `network` once the kernel's part of the cluster's own
    network is needed.
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
        probe: Probe,
        machine: Machine,
        volumes: VolumeStore,
        network: Callable[[], NetworkPorts],
        storage: StoragePorts,
        identity: Identity,
        on_stop_asked: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._peers = peers
        self._membership = membership
        rng = random.Random(machine.random_bits(64))  # noqa: S311 -- timeouts and jitter, no secrets
        me, raft = config.node, identity.raft_id
        self._address = address_text(config.advertise, config.raft_port)
        self._announcement_due = asyncio.Event()
        self._outcast = Outcast()
        self.directory = Directory(lambda: self.driver.view)
        self.registry = Registry(me, lambda: self.driver.is_member)
        self._rivals = Rivals(
            me=me,
            raft=raft,
            address=self._address,
            data_dir=config.data_dir,
            peers=peers,
            directory=self.directory,
            on_rival=self._outcast.cast_out,
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
        self._belonging = Belonging(
            config=config,
            identity=identity,
            driver=self.driver,
            directory=self.directory,
            peers=peers,
            outcast=self._outcast,
            on_newer_recovery=self._heard_of_recovery,
            on_change=self._announcement_due.set,
        )
        self._recovery_claims = RecoveryClaims(
            me=me,
            clock=clock,
            driver=self.driver,
            directory=self.directory,
            peers=peers,
            believed=self._belonging.was_left_behind,
        )
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
        self._names = Names(
            clock=clock, driver=self.driver, directory=self.directory, forward=self.forward, registry=self.registry
        )
        self.network = NodeNetwork(
            config=config,
            machine=machine,
            source=self._source,
            engine=engine,
            ports=network,
            resolve=NameAnswers(self._names, rng).resolve,
            on_labels=lambda: self._registration.facts_changed.set(),  # noqa: PLW0108 -- it comes later
            known=lambda: self._registration.known(),  # noqa: PLW0108 -- so does this
        )
        told = Published(driver=self.driver, directory=self.directory, forward=self.forward, registry=self.registry)
        self.publisher = Publisher(
            clock=clock, source=self._source, network=self.network, published=told, engine=engine
        )
        self.guarding = Guarding(source=self._source, network=self.network, published=told)
        self._reachability = Reachability(
            me=me, network=self.network, source=self._source, forward=self.forward, registry=self.registry
        )
        self._reach_watch = ReachWatch(
            me=me,
            clock=clock,
            reachability=self._reachability,
            directory=self.directory,
            submitter=self._submitter,
            rng=rng,
        )
        self._leases = Leases(
            me=me,
            clock=clock,
            source=self._source,
            keeper=storage.keeper,
            confirm=self.forward.ask,
            may_run=lambda allocation: self.agent.may_run(allocation),  # noqa: PLW0108 -- it comes later
        )
        self.agent = Agent(
            me=me,
            clock=clock,
            engine=engine,
            probe=probe,
            source=self._source,
            confirm=self.forward.ask,
            ask_turn=self.forward.ask,
            hooks=(
                TemplateExpansion(lambda: self._registration.known()),  # noqa: PLW0108 -- it comes later
                ConfigInjection(lambda keys: self.service.configs.read(keys)),  # noqa: PLW0108 -- so does this
                VolumeMounts(
                    me,
                    volumes,
                    cluster=lambda: self.service.volumes,
                    systems=lambda: self._storage.tasks,
                    random_bits=machine.random_bits,
                ),
                LeaseBeforeStart(self._leases),
                ClusterNetworkAttachment(self.network),
                GuardBeforeStart(self.guarding),
                Namespaces(me, engine, lambda: self._source.latest.cluster if self._source.latest else 0),
            ),
            report=self._reports.add,
            rng=rng,
            on_engine=self._engine_changed,
            on_leftovers=self._belonging.found_leftovers,
        )
        Turns(driver=self.driver, forward=self.forward, registry=self.registry, runs_here=self.agent.runs)
        self._volume_copies = VolumeCopies(
            me=me,
            store=volumes,
            forward=self.forward,
            registry=self.registry,
            agent=self.agent,
            source=self._source,
        )
        self._storage = NodeStorage(
            me=me,
            ports=storage,
            sockets=config.csi_sockets,
            source=self._source,
            agent=self.agent,
            forward=self.forward,
            registry=self.registry,
            on_change=lambda: self._registration.facts_changed.set(),  # noqa: PLW0108 -- it comes later
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
            on_registered=self._belonging.registered,
            more_labels=lambda: (*self.network.labels, *self._storage.labels),
            plugins=self._storage.told,
        )
        self._gossip = GossipWatch(
            me=me,
            membership=membership,
            peers=peers,
            directory=self.directory,
            driver=self.driver,
            name_contested=self._rivals.name_contested,
        )
        begun_moves: set[JobName] = set()
        self._leader, voters = leader_and_voters(
            me=me,
            raft=raft,
            tuning=config.tuning,
            clock=clock,
            machine=machine,
            driver=self.driver,
            directory=self.directory,
            peers=peers,
            forward=self.forward,
            gossip_changed=self._gossip.changed,
            begun_moves=begun_moves,
        )
        answer_pulls(self.registry, self.agent)
        metrics = Metrics(
            (
                partial(raft_figures, self.driver),
                partial(state_figures, self.driver),
                partial(member_figures, self.directory),
                partial(engine_figures, self.agent),
                partial(machine_figures, machine),
            )
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
            network=self.network,
            reachability=self._reachability,
            publisher=self.publisher,
            guarding=self.guarding,
            reach_watch=self._reach_watch,
            volumes=volumes,
            plugins=self._storage.plugins,
            metrics=metrics,
            outlook=voters.outlook,
            leads=begun_moves.add,
            on_stop_asked=on_stop_asked,
        )
        self._removed_member = RemovedMember(raft=raft, driver=self.driver, directory=self.directory, peers=peers)
        self._announcement = Announcement(
            config=config,
            version=version,
            belonging=self._belonging,
            driver=self.driver,
            store=store,
            machine=machine,
            membership=membership,
            due=self._announcement_due,
        )
        self._story = Story(
            me=me,
            raft=raft,
            driver=self.driver,
            directory=self.directory,
            on_configuration=self._announcement_due.set,
        )
        self._stop = PlannedStop(
            me=me,
            raft=raft,
            tuning=config.tuning,
            clock=clock,
            driver=self.driver,
            directory=self.directory,
            membership=membership,
            submitter=self._submitter,
            registration=self._registration,
            source=self._source,
            agent=self.agent,
            leases=self._leases,
        )

    # --- life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the disk, open the ports. Raises OrionErrors that say what to do."""
        self._belonging.tell()
        await self._rivals.check(self._belonging.identity.address)
        wall_ms, identity = self._clock.wall_ms(), self._belonging.identity
        await self.driver.load(await beginning(self._config, self._store, identity, wall_ms))
        self._belonging.loaded_index = self.driver.raft.last_index
        self._peers.on_lost = self._peer_lost
        self._peers.on_stranger = self._belonging.met_a_stranger
        self._peers.on_refused = self._rivals.told
        self._peers.gate = self._rivals
        self.directory.on_newer_recovery = self._recovery_claims.hear_gossip
        registry = self.registry
        await self._peers.start(self.driver.receive, registry.on_call, registry.on_stream, registry.on_duplex)
        await self._membership.start(self._announcement.metadata().encode())
        await self._belonging.note_address(self._address, self._store)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, runner in (
                ("raft", self.driver.run()),
                ("gossip", self._gossip.run()),
                ("leader", self._leader.run()),
                ("work", self._source.run()),
                ("agent", self.agent.run()),
                ("network", self.network.run()),
                ("names", self._names.run(lambda: self.network.wanted)),
                ("publisher", self.publisher.run()),
                ("guarding", self.guarding.run()),
                ("reachability", self._reachability.serve()),
                ("reach watch", self._reach_watch.run()),
                ("volume copies", self._volume_copies.run()),
                ("storage", self._storage.run()),
                ("leases", self._leases.run()),
                ("reports", self._reports.run()),
                ("registration", self._registration.run()),
                ("removed member", self._removed_member.run()),
                ("rivals", self._rivals.run()),
                ("announcement", self._announcement.run()),
                ("story", self._story.run()),
                ("recovery claims", self._recovery_claims.run()),
                ("outcast", self._outcast.run()),
            ):
                group.create_task(runner, name=name)
            await self._membership.join()

    async def stop(self) -> str:
        """The first half of a planned stop, while `run` still runs. Returns the stop's last words."""
        return await self._stop.run()

    def _on_standing(self, standing: SoftState) -> None:
        self._story.tell_standing(standing)
        self._announcement_due.set()
        self.driver.watch.nudge()

    def _engine_changed(self) -> None:
        self._registration.facts_changed.set()

    def _heard_of_recovery(self, node: NodeId, recovery: int) -> None:
        self._recovery_claims.hear_hello(node, recovery)

    def _peer_lost(self, address: str) -> None:
        """Tells the core that what was on its way there is gone: it goes back to probing that member."""
        if (raft := self.directory.raft_at(address)) is not None:
            self.driver.peer_unreachable(raft)
