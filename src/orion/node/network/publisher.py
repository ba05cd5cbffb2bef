"""Has this machine's kernel lead the ports of every node to the tasks behind them, whoever else changes it."""

import logging
from collections.abc import AsyncGenerator, Coroutine
from typing import TYPE_CHECKING, Any

from orion.node.agent.assignments import AssignmentWatcher
from orion.node.network.following import KernelFollower
from orion.node.network.node_network import NodeNetwork
from orion.node.network.published import Published
from orion.ports.clock import Clock
from orion.ports.ingress import Ingress

if TYPE_CHECKING:
    from orion.model.ingress import IngressRules
    from orion.reconcile.cuts import Cuts

log = logging.getLogger(__name__)

MAX_NAMED = 5


class Publisher(KernelFollower):
    """`shadowed`: programs of this machine that nobody reaches any more, because their port is every node's."""

    words = "published ports"

    def __init__(
        self, *, clock: Clock, source: AssignmentWatcher, network: NodeNetwork, published: Published
    ) -> None:
        super().__init__(network)
        self._clock = clock
        self._source = source
        self._published = published
        self._applied: IngressRules | None = None  # None: the kernel may have anything
        self._cuts: Cuts | None = None
        self.shadowed = ""
        published.on_change.append(self._look.set)

    def _begin(self) -> None:
        self._applied = None
        self.shadowed = ""

    def _changes(self) -> AsyncGenerator[None, None]:
        return self._ingress.changes()

    def _beside(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (self._published.run(),)

    @property
    def _ingress(self) -> Ingress:
        return self._network.ports.ingress

    async def _reconcile(self) -> None:
        """Before anything is known, the kernel stays as it is: a former process of this node left it so."""
        from orion.reconcile.cuts import Cuts
        from orion.reconcile.published import ingress_rules

        work, told = self._source.latest, self._published.told
        if work is None or work.network is None or told is None:
            return
        ports = told.ports
        directory = self._published.directory
        parts = self._network.networks.parts
        alive, gone = directory.is_alive, directory.is_gone
        await self._bring(ingress_rules(work.network.addresses, parts, ports, is_alive=alive, is_gone=gone))
        self._cuts = cuts = self._cuts or Cuts()
        cuts.look(ports, gone, self._clock.now_ms())
        if cuts.due:
            await self._ingress.cut(tuple(cuts.due))
            cuts.done()

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
