"""Has this machine's kernel, engine and firewall follow the cluster's networks, whoever else changes them."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import NamedTuple

from orion.model.allocation import Allocation
from orion.model.container import Attachment
from orion.model.dns import Answer, Forward, Question
from orion.model.errors import OrionError
from orion.model.labels import Pairs
from orion.model.network import DEFAULT_NUMBER, OVERLAY_KIND, OVERLAY_LABEL, ClusterNetwork
from orion.model.node import Node
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.network.devices import Devices
from orion.node.network.local_parts import Asker, LocalParts
from orion.node.network.name_servers import NameServers
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.dns import NameServer, Resolve
from orion.ports.engine import Engine
from orion.ports.firewall import Firewall
from orion.ports.guard import GuardKernel
from orion.ports.ingress import Ingress
from orion.ports.machine import Machine
from orion.ports.overlay import OverlayKernel
from orion.ports.reach import Reach
from orion.ports.relay import Relay
from orion.process.config import Config
from orion.reconcile.local_network import (
    DEVICE,
    LocalNetwork,
    LocalPart,
    local_network,
    peer_of,
)

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0  # something may have changed that nobody told of
FAILED_AGAIN_S = 5.0
# Of changes in a row. A container that starts makes several, and somebody else may change a table all the time.
SETTLE_S = 0.5
HURRY_S = 0.05
LABELS = ((OVERLAY_LABEL, OVERLAY_KIND),)


class NetworkPorts(NamedTuple):
    """Adapters to this machine, for where there is a network. `names` makes a server."""

    kernel: OverlayKernel
    firewall: Firewall
    names: Callable[[Resolve], NameServer]
    reach: Reach
    ingress: Ingress
    guard: GuardKernel
    relay: Relay

    async def remove_rules(self) -> None:
        """Raises OrionError."""
        await self.ingress.remove()
        await self.guard.remove()
        await self.firewall.remove()


class NodeNetwork:
    """`networks`: those that are up. `why`: why one is not, or not as it should be. `labels`: by which the
    cluster knows that this node can take part.

    Others reach this host at `config.advertise`. `ports` makes the adapters and the name server, which are not
    loaded where there is no network. `resolve` says what names mean. `on_labels` is called when the labels are
    others, `on_change` when `networks` may be. `known`: as the cluster knows this node.
    """

    def __init__(
        self,
        *,
        config: Config,
        machine: Machine,
        source: AssignmentWatcher,
        engine: Engine,
        ports: Callable[[], NetworkPorts],
        resolve: Callable[[Question, Asker], Answer | Forward],
        on_labels: Callable[[], None],
        known: Callable[[], Node | None],
    ) -> None:
        self._me = config.node
        self._underlay = config.advertise
        self._source = source
        self._engine = engine
        self._ports = functools.cache(ports)
        self._on_labels = on_labels
        self._known = known
        self._wanted: LocalNetwork | None = None
        # In this order: the engine's bridge has the device's MTU, and the firewall names both.
        self._bring: dict[str, Callable[[LocalNetwork], Awaitable[None]]] = {
            "kernel": self._bring_kernel,
            "engine": self._bring_engine,
            "firewall": self._bring_firewall,
            "names": self._bring_names,
            "containers": self._bring_containers,
            "rest": self._take_rest_away,
        }
        self._due = set(self._bring)
        self._look = asyncio.Event()
        self._hurry = False  # the cluster wants something else
        self._labels: Pairs | None = None  # None: not known yet
        self._devices = Devices(self._me, engine, machine, lambda: self._kernel)
        self._failed: dict[str, set[int]] = {}  # networks by number, of which a part could not be brought up
        self.networks = LocalParts(source=source, engine=engine, kernel=lambda: self._kernel)
        asked = self.networks.asked(resolve)
        self._servers = NameServers(lambda: self._ports().names(asked), lambda: self._due.add("names"))
        self.why = ""
        self.on_change: list[Callable[[], None]] = []

    @property
    def local(self) -> LocalPart | None:
        """This machine's part of the default network, once it has been brought up; None while it is not."""
        return next((part for part in self.networks.parts if part.number == DEFAULT_NUMBER), None)

    @property
    def ports(self) -> NetworkPorts:
        """The adapters, which are loaded with this. For where there is a `local`."""
        return self._ports()

    @property
    def wanted(self) -> bool:
        """Returns whether the cluster has a network, as far as this node knows."""
        work = self._source.latest
        return work is not None and work.network is not None

    # --- for containers -----------------------------------------------------------------------------------

    def part_at(self, address: int) -> LocalPart | None:
        return self.networks.at(address)

    def dns(self, part: LocalPart) -> str:
        host = part.engine.gateway
        return host if self._servers.serves(host) else ""

    async def connect(self, container: str, attach: Attachment) -> None:
        await self.networks.connect(container, attach)

    async def route(self, container: str, allocation: Allocation) -> None:
        await self.networks.route(container, allocation)

    # --- what the cluster knows ---------------------------------------------------------------------------

    @property
    def labels(self) -> Pairs:
        """Before this node has looked, as the cluster knows them: a restart changes nothing."""
        if self._labels is not None:
            return self._labels
        known = self._known()
        return tuple(set(LABELS) & set(known.own_labels)) if known is not None else ()

    def _tell(self) -> None:
        for told in self.on_change:
            told()

    def _say(self, labels: Pairs) -> None:
        if labels != self.labels:
            self._labels = labels
            self._on_labels()
        self._labels = labels

    @property
    def _kernel(self) -> OverlayKernel:
        return self._ports().kernel

    @property
    def _firewall(self) -> Firewall:
        return self._ports().firewall

    async def run(self) -> None:
        """Where there is no network any more, takes away what there is. Loads nothing where there never was."""
        while True:
            self._source.network_changed.clear()
            work = self._source.latest
            if work is None or not work.registered:
                await self._source.network_changed.wait()
            elif work.network is not None:
                await self._take_part()
            else:
                gone = await self._tried(self._take_away(work.cluster))
                await self._until_changed(None if gone else LOOK_AGAIN_S)

    async def _until_changed(self, again_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(again_s):
                await self._source.network_changed.wait()

    # --- while there is a network -------------------------------------------------------------------------

    async def _take_part(self) -> None:
        """Returns when there is no network any more."""
        self._due = set(self._bring)
        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(self._watch("kernel", self._kernel.changes), name="network-kernel"),
                group.create_task(self._watch("firewall", self._firewall.changes), name="network-firewall"),
                group.create_task(self._watch_source(), name="network-source"),
            ]
            self._group = group
            while (work := self._source.latest) is not None and work.network is not None:
                self._look.clear()
                ok = await self._tried(self._reconcile(work.network, work.cluster))
                await self._until_due(LOOK_AGAIN_S if ok else FAILED_AGAIN_S)
            for runner in watchers:
                runner.cancel()
            self._servers.close()

    async def _watch(self, part: str, changes: Callable[[], AsyncGenerator[None, None]]) -> None:
        """Changes that can't be watched are found by looking now and then."""
        while True:
            try:
                async with contextlib.aclosing(changes()) as told:
                    async for _ in told:
                        self._due.add(part)
                        self._look.set()
            except OrionError as error:
                log.debug("changes of the %s are not told: %s", part, error.detail)
            except UNFORESEEN:
                log.exception("a bug in Orion: changes of the %s are not told", part)
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _watch_source(self) -> None:
        while True:
            await self._source.network_changed.wait()
            self._source.network_changed.clear()
            self._hurry = True
            self._look.set()

    async def _until_due(self, again_s: float) -> None:
        try:
            async with asyncio.timeout(again_s):
                await self._look.wait()
        except TimeoutError:
            self._due = set(self._bring)
            return
        await asyncio.sleep(HURRY_S if self._hurry else SETTLE_S)
        self._hurry = False

    async def _tried(self, work: Awaitable[None]) -> bool:
        """Returns whether it succeeded; why it did not is told once. A bug harms the network alone."""
        try:
            await work
        except (OrionError, *UNFORESEEN) as error:
            known = isinstance(error, OrionError)
            why = str(error) if known else f"a bug in Orion ({type(error).__name__}: {error})"
            if why != self.why:
                log.warning("the cluster's network: %s", why, exc_info=not known)
            self.why = why
            return False
        if self.why:
            log.info("the cluster's network is as it should be")
        self.why = ""
        return True

    async def _reconcile(self, network: ClusterNetwork, cluster: int) -> None:
        """Raises the first failure, which does not keep the rest from being tried."""
        if peer_of(network, self._me) is None:
            await self._offer_to_take_part(cluster)
            return
        mtu = await self._kernel.underlay_mtu(self._underlay)
        wanted = local_network(network, self._me, cluster, underlay=self._underlay, underlay_mtu=mtu)
        if wanted != self._wanted:
            self._due, self._wanted = set(self._bring), wanted
            self.networks.keep(wanted.parts)
        failed: OrionError | None = None
        for kind, bring in self._bring.items():
            if kind not in self._due:
                continue
            self._due.discard(kind)
            try:
                await bring(wanted)
            except OrionError as error:
                self._due.add(kind)
                failed = failed or error
        self._look_what_is_up(wanted)
        if self.local is not None:
            self._say(LABELS)
            self._tell()
        if failed is not None:
            raise failed

    def _look_what_is_up(self, wanted: LocalNetwork) -> None:
        """One that was up stays so: its containers are there, and most of what fails passes."""
        there, failed = {part.number for part in self.networks.parts}, set[int]().union(*self._failed.values())
        whole = "firewall" not in self._due
        up = [each for each in wanted.parts if each.number in there or (whole and each.number not in failed)]
        for part in up:
            if part.number not in there:
                log.info("this node has %s of network %s", part.engine.subnet, part.name)
        self.networks.parts = tuple(up)

    async def _offer_to_take_part(self, cluster: int) -> None:
        """Raises OrionError where this machine can't."""
        await self._kernel.underlay_mtu(self._underlay)
        await self._devices.require_own(DEVICE, cluster)
        self._say(LABELS)

    async def _each(self, kind: str, wanted: LocalNetwork, bring: Callable[[LocalPart], Awaitable[None]]) -> None:
        """One network that can't be brought up does not harm the others."""
        self._failed[kind] = set()
        first: OrionError | None = None
        for part in wanted.parts:
            try:
                await bring(part)
            except OrionError as error:
                self._failed[kind].add(part.number)
                first = first or error
        if first is not None:
            raise first

    async def _bring_kernel(self, wanted: LocalNetwork) -> None:
        await self._each("kernel", wanted, self._devices.bring)

    async def _bring_engine(self, wanted: LocalNetwork) -> None:
        await self._each("engine", wanted, self._bring_bridge)

    async def _bring_bridge(self, part: LocalPart) -> None:
        """Raises OrionError also where the engine's network is not this machine's."""
        await self._engine.ensure_network(part.engine)
        await self._kernel.underlay_mtu(part.engine.gateway)

    async def _bring_firewall(self, wanted: LocalNetwork) -> None:
        if not await self._firewall.matches(wanted.rules):
            await self._firewall.apply(wanted.rules)

    async def _bring_names(self, wanted: LocalNetwork) -> None:
        """Answers at the bridges' addresses."""
        self._servers.keep([part.engine.gateway for part in wanted.parts])
        await self._each("names", wanted, self._bring_server)

    async def _bring_server(self, part: LocalPart) -> None:
        self._servers.bring(part.engine.gateway, self._group)

    async def _bring_containers(self, _wanted: LocalNetwork) -> None:
        await self.networks.route_all()

    async def _take_rest_away(self, wanted: LocalNetwork) -> None:
        """Takes away networks that this node has no part in any more."""
        await self._devices.take_rest_away(wanted.parts)

    # --- when there is none any more ----------------------------------------------------------------------

    async def _take_away(self, cluster: int) -> None:
        """Takes away what this node had, or a former process of it: the label last. Raises OrionError while
        containers are on it.
        """
        if self._wanted is None and not self.labels and not self._devices.may_be_there():
            return
        self.networks.parts = ()
        self._tell()
        known = [part.device.name for part in self._wanted.parts] if self._wanted is not None else []
        await self._devices.take_all_away(cluster, known, lambda: self._ports().remove_rules())
        self._wanted = None
        self._say(())
