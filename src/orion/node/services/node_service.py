"""Service on one node: a noun each, put together."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from orion.model.api.checks import RunChecksView
from orion.model.api.cluster import RaftView
from orion.model.api.network import NetworkCheckView, NetworkView
from orion.model.api.nodes import NodeView
from orion.model.api.rebalance import RebalanceView
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.api.watch import Noun
from orion.model.container import LogQuery
from orion.model.events import ALL_EVENTS, Event, EventChoice
from orion.model.figures import Figure
from orion.model.ids import JobName, NodeId
from orion.model.logs import LogItem, LogPosition
from orion.model.sessions import Purpose
from orion.model.stats import ContainerStats
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.confirm import answer_confirms
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.position import answer_positions
from orion.node.membership.directory import Directory
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.network.guarding import Guarding
from orion.node.network.node_network import NodeNetwork
from orion.node.network.publisher import Publisher
from orion.node.network.reach_watch import ReachWatch
from orion.node.network.reachability import Reachability
from orion.node.routing.changes import Changes
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submitter
from orion.node.rpc.lists import Lists
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.rpc.registry import Registry
from orion.node.services.backup import Backups
from orion.node.services.checks import Checks
from orion.node.services.claims import Claims
from orion.node.services.configs import Configs
from orion.node.services.endpoints import Endpoints
from orion.node.services.events import Events, WatchEvents
from orion.node.services.freshness import Freshness
from orion.node.services.health import health
from orion.node.services.images import Images
from orion.node.services.jobs import Jobs
from orion.node.services.logs import Logs
from orion.node.services.named_networks import NamedNetworks
from orion.node.services.network import Networks
from orion.node.services.network_check import NetworkChecks
from orion.node.services.nodes import Nodes
from orion.node.services.plans import Plans
from orion.node.services.plugins import Plugins
from orion.node.services.raft import Raft
from orion.node.services.rebalancing import Rebalancing
from orion.node.services.rows import Row, Rows
from orion.node.services.running import Running
from orion.node.services.service import Health
from orion.node.services.sessions import Session, Sessions
from orion.node.services.stats import Stats
from orion.node.services.storage import Storage
from orion.node.services.tasks import Tasks
from orion.node.services.volumes import Volumes
from orion.node.services.watch import Watch, WatchItem
from orion.node.views.metrics import Metrics
from orion.node.volumes.plugins import Plugins as NodePlugins
from orion.ports.clock import Clock
from orion.ports.machine import Machine
from orion.ports.volumes import VolumeStore
from orion.state.core.table import KeyedTable


class NodeService:
    """Fulfils service.Service."""

    def __init__(
        self,
        *,
        me: NodeId,
        version: str,
        clock: Clock,
        machine: Machine,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        lists: Lists,
        quorum: QuorumWatch,
        submitter: Submitter,
        source: AssignmentWatcher,
        agent: Agent,
        network: NodeNetwork,
        reachability: Reachability,
        publisher: Publisher,
        guarding: Guarding,
        reach_watch: ReachWatch,
        volumes: VolumeStore,
        plugins: NodePlugins,
        metrics: Metrics,
        outlook: Callable[[], Sequence[str]],
        leads: Callable[[JobName], None],
        on_stop_asked: Callable[[], None] = lambda: None,
    ) -> None:
        self._driver = driver
        self._source = source
        changes = Changes(clock=clock, machine=machine, driver=driver, forward=forward, submitter=submitter)
        freshness = Freshness(driver=driver, quorum=quorum, lists=lists)
        answer_positions(registry, driver)
        answer_confirms(registry, driver)
        self._tasks = Tasks(
            clock=clock,
            machine=machine,
            driver=driver,
            forward=forward,
            registry=registry,
            changes=changes,
            freshness=freshness,
        )
        self._nodes = Nodes(
            me=me,
            driver=driver,
            directory=directory,
            forward=forward,
            registry=registry,
            changes=changes,
            freshness=freshness,
            on_stop_asked=on_stop_asked,
        )
        self._raft = Raft(
            me=me,
            driver=driver,
            directory=directory,
            forward=forward,
            registry=registry,
            quorum=quorum,
            outlook=outlook,
        )
        self.configs = Configs(
            driver=driver, forward=forward, registry=registry, changes=changes, freshness=freshness
        )
        self.endpoints = Endpoints(
            driver=driver, directory=directory, forward=forward, registry=registry, freshness=freshness
        )
        self.jobs = Jobs(
            clock=clock,
            driver=driver,
            forward=forward,
            registry=registry,
            changes=changes,
            freshness=freshness,
            plans=Plans(clock=clock, driver=driver, forward=forward, registry=registry, freshness=freshness),
            images=Images(
                me=me, driver=driver, forward=forward, registry=registry, agent=agent, freshness=freshness
            ),
        )
        self._logs = Logs(
            me=me, driver=driver, directory=directory, forward=forward, registry=registry, agent=agent
        )
        running = Running(me=me, driver=driver, directory=directory, logs=self._logs)
        self._sessions = Sessions(forward=forward, registry=registry, agent=agent, running=running)
        self._stats = Stats(forward=forward, registry=registry, agent=agent, running=running)
        self._checks = Checks(
            me=me,
            driver=driver,
            directory=directory,
            forward=forward,
            registry=registry,
            agent=agent,
            logs=self._logs,
        )
        self.networks = NamedNetworks(
            driver=driver, forward=forward, registry=registry, changes=changes, freshness=freshness
        )
        self._networks = Networks(
            me=me,
            driver=driver,
            directory=directory,
            forward=forward,
            registry=registry,
            network=network,
            also=lambda: publisher.why or guarding.why or publisher.shadowed or reach_watch.why,
        )
        self._network_checks = NetworkChecks(
            me=me,
            driver=driver,
            directory=directory,
            forward=forward,
            registry=registry,
            reachability=reachability,
        )
        self._events = Events(me=me, driver=driver, forward=forward, registry=registry)
        self._watch = Watch(
            driver=driver, directory=directory, forward=forward, registry=registry, freshness=freshness
        )
        self._backups = Backups(
            me=me,
            version=version,
            clock=clock,
            driver=driver,
            forward=forward,
            registry=registry,
            freshness=freshness,
        )
        self._rows = Rows(driver=driver, forward=forward, registry=registry, freshness=freshness)
        self.volumes = Volumes(
            me=me,
            clock=clock,
            driver=driver,
            store=volumes,
            forward=forward,
            registry=registry,
            changes=changes,
            submitter=submitter,
            freshness=freshness,
            rows=self._rows,
        )
        Claims(driver=driver, registry=registry, freshness=freshness)
        self.plugins = Plugins(directory=directory, forward=forward, registry=registry, plugins=plugins)
        self.storage = Storage(
            driver=driver,
            forward=forward,
            registry=registry,
            changes=changes,
            freshness=freshness,
            volumes=self.volumes,
            plugins=self.plugins,
        )
        self._rebalancing = Rebalancing(clock=clock, driver=driver, forward=forward, registry=registry, leads=leads)
        self._metrics = metrics

    async def create_task(
        self, request: TaskRequest, *, idempotency_key: str, timeout_s: float, wait_running_s: float
    ) -> TaskView:
        return await self._tasks.create(
            request, idempotency_key=idempotency_key, timeout_s=timeout_s, wait_running_s=wait_running_s
        )

    async def delete_task(self, task: str, *, created_index: int = 0, timeout_s: float) -> TaskView:
        return await self._tasks.delete(task, created_index=created_index, timeout_s=timeout_s)

    async def stop_task(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._tasks.stop(task, timeout_s=timeout_s)

    async def start_task(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._tasks.start(task, timeout_s=timeout_s)

    async def tasks(self, read: Read, page: Page = ALL) -> Listing:
        return await self._tasks.find(read, page)

    async def task(self, task: str, read: Read) -> tuple[TaskView, int]:
        return await self._tasks.get(task, read)

    def logs(
        self, task: str, query: LogQuery, after: LogPosition | None = None, *, previous: bool = False
    ) -> AsyncGenerator[LogItem, None]:
        return self._logs.stream(task, query, after, previous=previous)

    def session(self, task: str, purpose: Purpose) -> AbstractAsyncContextManager[Session]:
        return self._sessions.open(task, purpose)

    def stats(self, task: str, *, follow: bool) -> AsyncGenerator[tuple[str, str, ContainerStats], None]:
        return self._stats.stream(task, follow=follow)

    async def checks(self, task: str, *, timeout_s: float) -> list[RunChecksView]:
        return await self._checks.of(task, timeout_s=timeout_s)

    async def network(self, *, timeout_s: float) -> NetworkView:
        return await self._networks.get(timeout_s=timeout_s)

    async def network_check(self, node: str, *, timeout_s: float) -> NetworkCheckView:
        return await self._network_checks.get(node, timeout_s=timeout_s)

    async def nodes(self, read: Read, page: Page = ALL) -> Listing:
        return await self._nodes.find(read, page)

    async def node(self, node: str, read: Read) -> tuple[NodeView, int]:
        return await self._nodes.get(node, read)

    async def drain(self, node: str, *, draining: bool, timeout_s: float) -> NodeView:
        return await self._nodes.drain(node, draining=draining, timeout_s=timeout_s)

    async def stop_node(self, node: str, *, timeout_s: float) -> NodeView:
        return await self._nodes.stop(node, timeout_s=timeout_s)

    async def label_node(self, node: str, labels: Mapping[str, str | None], *, timeout_s: float) -> NodeView:
        return await self._nodes.label(node, labels, timeout_s=timeout_s)

    async def remove_node(self, node: str, *, timeout_s: float) -> None:
        await self._nodes.remove(node, timeout_s=timeout_s)

    async def row(self, table: type[KeyedTable[Any, Row]], key: str, read: Read) -> tuple[Row | None, int]:
        return await self._rows.get(table, key, read)

    async def raft(self) -> RaftView:
        return await self._raft.get()

    async def transfer_leader(self, to: str, *, timeout_s: float) -> RaftView:
        return await self._raft.transfer_leader(to, timeout_s=timeout_s)

    async def rebalance(self, *, dry_run: bool, max_moves: int, timeout_s: float) -> RebalanceView:
        return await self._rebalancing.rebalance(dry_run=dry_run, max_moves=max_moves, timeout_s=timeout_s)

    def backup(self, read: Read) -> AsyncGenerator[bytes, None]:
        return self._backups.stream(read)

    def events(
        self, after: tuple[int, int] | None, *, follow: bool, chosen: EventChoice = ALL_EVENTS
    ) -> AsyncGenerator[Event | None, None]:
        return self._events.stream(WatchEvents(after, follow, chosen))

    def watch(self, nouns: tuple[Noun, ...]) -> AsyncGenerator[WatchItem, None]:
        return self._watch.rows(nouns)

    def health(self) -> Health:
        return health(self._driver, self._source)

    def metrics(self) -> list[Figure]:
        return self._metrics.collect()
