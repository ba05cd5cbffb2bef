"""Has this machine's kernel lead the ports of every node to the tasks behind them, whoever else changes it."""

import logging
from collections.abc import AsyncGenerator, Coroutine
from typing import TYPE_CHECKING, Any

from orion.node.agent.assignments import AssignmentWatcher
from orion.node.network.following import KernelFollower
from orion.node.network.node_network import NodeNetwork
from orion.node.network.published import Published
from orion.node.network.shadowed import Shadowed
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.ports.ingress import Ingress

if TYPE_CHECKING:
    from orion.model.ingress import IngressRules
    from orion.reconcile.cuts import Cuts

log = logging.getLogger(__name__)


class Publisher(KernelFollower):
    words = "published ports"

    def __init__(
        self,
        *,
        clock: Clock,
        source: AssignmentWatcher,
        network: NodeNetwork,
        published: Published,
        engine: Engine,
    ) -> None:
        super().__init__(network)
        self._clock = clock
        self._source = source
        self._published = published
        self._applied: IngressRules | None = None  # None: the kernel may have anything
        self._cuts: Cuts | None = None
        self._shadowed = Shadowed(engine)
        published.on_change.append(self._look.set)

    @property
    def shadowed(self) -> str:
        """Whom nobody reaches any more on this machine, because their port is every node's."""
        return self._shadowed.words

    def _begin(self) -> None:
        self._applied = None
        self._shadowed.look(None)
        self._network.ports.relay.keep(())

    def _changes(self) -> AsyncGenerator[None, None]:
        return self._ingress.changes()

    def _beside(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return self._published.run(), self._shadowed.run(self._ingress), self._network.ports.relay.run()

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
        rules = ingress_rules(work.network.addresses, parts, ports, is_alive=alive, is_gone=gone)
        await self._bring(rules)
        self._shadowed.look(rules, work.cluster)
        self._network.ports.relay.keep(
            {each.port for each in rules.ports if each.protocol == "tcp" and each.backends}
        )
        self._cuts = cuts = self._cuts or Cuts()
        cuts.look(ports, gone, self._clock.now_ms())
        if cuts.due:
            await self._ingress.cut(tuple(cuts.due))
            cuts.done()

    async def _bring(self, rules: "IngressRules") -> None:
        """A change that is told of meanwhile puts it in doubt again afterwards."""
        known, doubt, self._doubt = rules == self._applied, self._doubt, False
        if known and not doubt:
            return
        if not ((self._applied is None or known) and await self._ingress.matches(rules)):
            self._applied = None
            await self._ingress.apply(rules)
        self._applied = rules
