"""Has this machine's kernel, engine and firewall follow the cluster's own network, whoever else changes them."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import NamedTuple

from orion.model.errors import Conflict, OrionError
from orion.model.ids import NodeId
from orion.model.labels import Pairs
from orion.model.network import OVERLAY_KIND, OVERLAY_LABEL, ClusterNetwork, NetworkPeer
from orion.model.node import Node
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.dns import NameServer, Resolve
from orion.ports.engine import Engine
from orion.ports.firewall import Firewall
from orion.ports.overlay import OverlayFailed, OverlayKernel
from orion.ports.reach import Reach
from orion.reconcile.local_network import DEVICE, NAME, LocalNetwork, local_network, owner_text, peer_of
from orion.reconcile.overlay import steps

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0  # something may have changed that nobody told of
FAILED_AGAIN_S = 5.0
MAX_ROUNDS = 3
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


class NodeNetwork:
    """`name`: the engine's network for containers with addresses of the cluster's, "" while it is not up. `why`:
    why it is not, or not as it should be. `labels`: by which the cluster knows that this node can take part.

    `underlay`: this host's address that others reach. `ports` makes the kernel's and the firewall's adapters and
    the name server, which are not loaded where there is no network. `resolve` says what names mean. `on_labels` is
    called when the labels are others. `known`: this node as the cluster knows it. `on_change` is called when
    `local` may be another.
    """

    def __init__(
        self,
        *,
        me: NodeId,
        underlay: str,
        source: AssignmentWatcher,
        engine: Engine,
        ports: Callable[[], NetworkPorts],
        resolve: Resolve,
        on_labels: Callable[[], None],
        known: Callable[[], Node | None],
    ) -> None:
        self._me = me
        self._underlay = underlay
        self._source = source
        self._engine = engine
        self._ports = functools.cache(ports)
        self._resolve = resolve
        self._on_labels = on_labels
        self._known = known
        self._wanted: LocalNetwork | None = None
        # In this order: the engine's bridge has the device's MTU, and the firewall names both.
        self._bring: dict[str, Callable[[LocalNetwork], Awaitable[None]]] = {
            "kernel": self._bring_kernel,
            "engine": self._bring_engine,
            "firewall": self._bring_firewall,
            "names": self._bring_names,
        }
        self._due = set(self._bring)
        self._look = asyncio.Event()
        self._hurry = False  # the cluster wants something else
        self._labels: Pairs | None = None  # None: not known yet
        self._server: asyncio.Task[None] | None = None
        self.name = self.dns = ""
        self.why = ""
        self.on_change: Callable[[], None] = lambda: None

    @property
    def local(self) -> LocalNetwork | None:
        """This machine's part, once it has been brought up; None while it is not."""
        return self._wanted if self.name else None

    @property
    def ports(self) -> NetworkPorts:
        """The adapters, which are loaded with this. For where there is a `local`."""
        return self._ports()

    @property
    def wanted(self) -> bool:
        """Returns whether the cluster has a network, as far as this node knows."""
        work = self._source.latest
        return work is not None and work.network is not None

    @property
    def labels(self) -> Pairs:
        """Before this node has looked, as the cluster knows them: a restart changes nothing."""
        if self._labels is not None:
            return self._labels
        known = self._known()
        return tuple(set(LABELS) & set(known.own_labels)) if known is not None else ()

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
        try:
            async with asyncio.timeout(again_s):
                await self._source.network_changed.wait()
        except TimeoutError:
            return

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
            for runner in (*watchers, *filter(None, (self._server,))):
                runner.cancel()
            self._server, self.dns = None, ""

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
        mine = peer_of(network, self._me)
        if mine is None:
            await self._offer_to_take_part(cluster)
            return
        wanted = await self._local(network, mine, cluster)
        if wanted != self._wanted:
            self._due, self._wanted = set(self._bring), wanted
        for part, bring in self._bring.items():
            if part not in self._due:
                continue
            self._due.discard(part)
            try:
                await bring(wanted)
            except OrionError:
                self._due.add(part)
                raise
        self._say(LABELS)
        if not self.name:
            log.info("this node has %s of the cluster's network", wanted.engine.subnet)
        self.name = NAME
        self.on_change()

    async def _offer_to_take_part(self, cluster: int) -> None:
        """Raises OrionError where this machine can't."""
        await self._kernel.underlay_mtu(self._underlay)
        await self._require_own_device(cluster)
        self._say(LABELS)

    async def _local(self, network: ClusterNetwork, mine: NetworkPeer, cluster: int) -> LocalNetwork:
        mtu = await self._kernel.underlay_mtu(self._underlay)
        return local_network(network, mine, cluster, underlay=self._underlay, underlay_mtu=mtu)

    async def _require_own_device(self, cluster: int) -> None:
        device = (await self._kernel.read(DEVICE)).device
        if device is not None and device.alias != owner_text(cluster, self._me):
            whose = f"is of {device.alias!r}" if device.alias else "is not Orion's"
            raise Conflict(
                f"the device {DEVICE} of this machine {whose}: one node of a machine can be on the cluster's"
                f" network. If nobody needs it any more: ip link delete {DEVICE}"
            )

    async def _bring_kernel(self, wanted: LocalNetwork) -> None:
        """Looks again at what it has done: changes are told of a device that was read."""
        state = await self._kernel.read(DEVICE)
        if state.device is not None and state.device.alias != wanted.device.alias:
            await self._require_own_device(wanted.engine.cluster)
        for _ in range(MAX_ROUNDS):
            found = steps(wanted.device, wanted.peers, state)
            if not found:
                return
            await self._kernel.carry_out(found)
            state = await self._kernel.read(DEVICE)
        raise OverlayFailed(f"somebody else changes {DEVICE} all the time: {found[0]}")

    async def _bring_engine(self, wanted: LocalNetwork) -> None:
        """Raises OrionError also where the engine's network is not this machine's."""
        await self._engine.ensure_network(wanted.engine)
        await self._kernel.underlay_mtu(wanted.engine.gateway)

    async def _bring_firewall(self, wanted: LocalNetwork) -> None:
        if not await self._firewall.matches(wanted.rules):
            await self._firewall.apply(wanted.rules)

    async def _bring_names(self, wanted: LocalNetwork) -> None:
        """Answers at the bridge's address. Raises Unavailable while the port can't be had."""
        host = wanted.engine.gateway
        if self._server is not None and self._server.done():
            self._server = None
        if self._server is not None and host == self.dns:
            return
        if self._server is not None:
            self._server.cancel()
        server = self._ports().names(self._resolve)
        server.open(host)
        self._server = self._group.create_task(self._serve_names(server), name="network-names")
        self.dns = host

    async def _serve_names(self, server: NameServer) -> None:
        """A bug in it is met by another server, at the next look."""
        try:
            await server.run()
        except* UNFORESEEN:
            log.exception("a bug in Orion, answering names")
            self._due.add("names")

    # --- when there is none any more ----------------------------------------------------------------------

    async def _take_away(self, cluster: int) -> None:
        """Takes away what this node had, or a former process of it: the label last. Raises OrionError while
        containers are on it.
        """
        if self._wanted is None and not self.labels:
            return
        self.name = self.dns = ""
        self.on_change()
        device = (await self._kernel.read(DEVICE)).device
        if device is not None and device.alias == owner_text(cluster, self._me):
            await self._engine.remove_network(NAME, cluster)
            await self._firewall.remove()
            await self._kernel.remove(DEVICE)
        self._wanted = None
        self._say(())
