"""`KernelFirewall`: isolation by nft, and the ways that it leaves open by iptables."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator

from orion.adapters.firewall.events import changes
from orion.adapters.firewall.iptables import Iptables
from orion.adapters.netfilter import nft
from orion.adapters.netfilter.programs import NetfilterFailed
from orion.model.firewall import FirewallRules
from orion.ports.firewall import FirewallFailed
from orion.reconcile import forwarding
from orion.reconcile.firewall import TABLE, ruleset

TRIES = 3  # an engine that starts changes iptables too


class KernelFirewall:
    """Acts on the network namespace of the thread that calls. `iptables` is the program's name."""

    def __init__(self, iptables: str = "iptables") -> None:
        self._iptables = Iptables(iptables)
        self._one_at_a_time = asyncio.Lock()

    async def apply(self, rules: FirewallRules) -> None:
        wanted = ruleset(rules)
        with _as_its_own():
            async with self._one_at_a_time:
                await nft.load(wanted.script)
                await self._settle(lambda listing: forwarding.missing(rules, listing))

    async def matches(self, rules: FirewallRules) -> bool:
        with _as_its_own():
            if await nft.chains(TABLE) != ruleset(rules).shown:
                return False
            return not forwarding.missing(rules, await self._iptables.listing())

    def changes(self) -> AsyncGenerator[None, None]:
        return changes()

    async def remove(self) -> None:
        with _as_its_own():
            async with self._one_at_a_time:
                await self._settle(forwarding.removal)
                await nft.remove(TABLE)

    async def _settle(self, lines_for: Callable[[str], list[str]]) -> None:
        """Reads and changes iptables until nothing is left to change. Each change is made whole or not at all."""
        for left in range(TRIES - 1, -1, -1):
            lines = lines_for(await self._iptables.listing())
            if not lines:
                return
            try:
                await self._iptables.change(lines)
            except NetfilterFailed:
                if not left:
                    raise
            else:
                return


@contextlib.contextmanager
def _as_its_own() -> Iterator[None]:
    try:
        yield
    except NetfilterFailed as error:
        raise FirewallFailed(error.detail) from error
