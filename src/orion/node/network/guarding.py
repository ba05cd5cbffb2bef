"""Has this machine's kernel keep from its tasks whoever their jobs do not allow."""

import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from orion.model.allocation import Allocation
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.network.following import KernelFollower
from orion.node.network.node_network import NodeNetwork
from orion.node.network.published import Published
from orion.ports.guard import GuardFailed, GuardKernel

if TYPE_CHECKING:
    from orion.model.guard import GuardRules

log = logging.getLogger(__name__)


class Guarding(KernelFollower):
    """Which tasks are guarded is this node's work, and says so at once; who may reach them is told by `published`,
    which runs meanwhile.
    """

    words = "guards of tasks"

    def __init__(self, *, source: AssignmentWatcher, network: NodeNetwork, published: Published) -> None:
        super().__init__(network)
        self._source = source
        self._published = published
        self._applied: GuardRules | None = None  # None: the kernel may have anything
        published.on_change.append(self._look.set)
        source.on_change.append(self._look.set)

    def guards(self, allocation: Allocation) -> bool:
        """Returns whether the kernel keeps strangers from all addresses of a task of this node."""
        applied = self._applied.guarded if self._applied is not None else frozenset[int]()
        return bool(allocation.addresses) and applied.issuperset(allocation.addresses)

    def _begin(self) -> None:
        self._applied = None

    def _changes(self) -> AsyncGenerator[None, None]:
        return self._kernel.changes()

    @property
    def _kernel(self) -> GuardKernel:
        return self._network.ports.guard

    async def _reconcile(self) -> None:
        """Before anything is known, the kernel stays as it is: a former process of this node left it so."""
        from orion.reconcile.guard import TooManySources, guard_rules

        work, told = self._source.latest, self._published.told
        if work is None or work.network is None or told is None:
            return
        mine = ((each.allocation, each.spec) for each in work.assigned)
        sources = {each.job: each.addresses for each in told.allowed}
        try:
            parts = self._network.networks.parts
            rules = guard_rules(work.network.addresses, parts, mine, sources, work.may_return)
        except TooManySources as error:
            raise GuardFailed(str(error)) from error
        await self._bring(rules)

    async def _bring(self, rules: "GuardRules") -> None:
        """A change that is told of meanwhile puts it in doubt again afterwards. Where nothing is guarded, one look
        is enough.
        """
        known, doubt, self._doubt = rules == self._applied, self._doubt, False
        if known and not (doubt and rules.guards):
            return
        if not ((self._applied is None or known) and await self._kernel.matches(rules)):
            self._applied = None
            await self._kernel.apply(rules)
        self._applied = rules
