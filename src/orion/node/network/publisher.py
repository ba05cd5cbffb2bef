"""Has this machine's kernel lead the ports of every node to the tasks behind them, whoever else changes it."""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from orion.model.errors import OrionError
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.network.node_network import NodeNetwork
from orion.node.network.published import Published
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.ingress import Ingress

if TYPE_CHECKING:
    from orion.model.ingress import Backend, IngressRules
    from orion.reconcile.published import Open

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0  # something may have changed that nobody told of
FAILED_AGAIN_S = 2.0
MAX_NAMED = 5


class Publisher:
    """`why`: why the ports are not, or not as they should be; "" when they are. `shadowed`: programs of this
    machine that nobody reaches any more, because their port is every node's.
    """

    def __init__(self, *, source: AssignmentWatcher, network: NodeNetwork, published: Published) -> None:
        self._source = source
        self._network = network
        self._published = published
        self._applied: IngressRules | None = None  # None: the kernel may have anything
        self._doubt = True  # somebody else may have changed what was applied
        self._open: frozenset[Open] = frozenset()
        self._cut: set[Backend] = set()  # yet to be cut
        self._was_cut: set[Backend] = set()  # of nodes that are given up and whose tasks the state still has
        self._look = asyncio.Event()
        self.why = self.shadowed = ""
        network.on_change.append(self._look.set)

    async def run(self) -> None:
        """Loads nothing where there is no network. NodeNetwork takes away what there is when that ends."""
        while True:
            self._look.clear()
            if self._network.networks.parts:
                await self._publish()
                self.why = self.shadowed = ""
            else:
                await self._look.wait()

    async def _publish(self) -> None:
        """Returns when this node has no part in a network any more."""
        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(self._watch_kernel(), name="ingress-kernel"),
                group.create_task(self._watch_published(), name="ingress-watch"),
                group.create_task(self._published.run(), name="ingress-published"),
            ]
            self._applied, self._doubt = None, True
            while self._network.networks.parts:
                self._look.clear()
                ok = await self._tried()
                if not await self._woken(LOOK_AGAIN_S if ok else FAILED_AGAIN_S):
                    self._doubt = True
            for runner in watchers:
                runner.cancel()

    async def _woken(self, again_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(again_s):
                return await self._look.wait()
        return False

    async def _watch_published(self) -> None:
        while True:
            await self._published.changed.wait()
            self._published.changed.clear()
            self._look.set()

    async def _watch_kernel(self) -> None:
        """Changes that can't be watched are found by looking now and then."""
        while True:
            try:
                async with contextlib.aclosing(self._ingress.changes()) as told:
                    async for _ in told:
                        self._doubt = True
                        self._look.set()
            except OrionError as error:
                log.debug("changes of the kernel's published ports are not told: %s", error.detail)
            except UNFORESEEN:
                log.exception("a bug in Orion: changes of the kernel's published ports are not told")
            await asyncio.sleep(LOOK_AGAIN_S)

    @property
    def _ingress(self) -> Ingress:
        return self._network.ports.ingress

    async def _tried(self) -> bool:
        """Returns whether it succeeded; why it did not is told once. A bug harms the published ports alone."""
        try:
            await self._reconcile()
        except (OrionError, *UNFORESEEN) as error:
            known = isinstance(error, OrionError)
            why = str(error) if known else f"a bug in Orion ({type(error).__name__}: {error})"
            if why != self.why:
                log.warning("published ports: %s", why, exc_info=not known)
            self.why = why
            self._doubt = True
            return False
        if self.why:
            log.info("published ports are as they should be")
        self.why = ""
        return True

    async def _reconcile(self) -> None:
        """Before anything is known, the kernel stays as it is: a former process of this node left it so."""
        from orion.reconcile.published import ingress_rules, opened, to_cut

        work, ports = self._source.latest, self._published.ports
        if work is None or work.network is None or ports is None:
            return
        directory = self._published.directory
        parts = self._network.networks.parts
        alive, gone = directory.is_alive, directory.is_gone
        await self._bring(ingress_rules(work.network.addresses, parts, ports, is_alive=alive, is_gone=gone))
        now = opened(ports)
        self._cut |= to_cut(self._open, now, directory.is_gone) - self._was_cut
        self._was_cut &= {each.backend for each in now if directory.is_gone(each.node)}
        self._open = now
        if self._cut:
            await self._ingress.cut(tuple(self._cut))
            self._was_cut |= self._cut
            self._cut.clear()

    async def _look_who_listens(self, rules: "IngressRules") -> None:
        found = await self._ingress.listeners([port for port in rules.ports if port.backends])
        words = [
            f"{each.program or 'a program'} ({each.address}, port {each.port}/{each.protocol})" for each in found
        ]
        shadowed = ", ".join(words[:MAX_NAMED] + ["…"] * (len(words) > MAX_NAMED))
        if shadowed:
            shadowed = f"nobody reaches {shadowed} here any more: connections go to the job with the port"
            if shadowed != self.shadowed:
                log.warning("published ports: %s", shadowed)
        self.shadowed = shadowed

    async def _bring(self, rules: "IngressRules") -> None:
        """A change that is told of meanwhile puts it in doubt again afterwards."""
        known, doubt, self._doubt = rules == self._applied, self._doubt, False
        if known and not doubt:
            return
        if not ((self._applied is None or known) and await self._ingress.matches(rules)):
            self._applied = None
            await self._ingress.apply(rules)
        self._applied = rules
        await self._look_who_listens(rules)
