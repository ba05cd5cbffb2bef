"""The Firewall port: isolation, forwarding and masquerade of the overlay on this node."""

from collections.abc import AsyncGenerator
from typing import Protocol

from orion.model.errors import OrionError
from orion.model.firewall import FirewallRules


class FirewallFailed(OrionError):
    """The kernel's firewall could not be read or changed; `detail` says what to do about it."""

    title = "The firewall failed"
    code = "firewall"


class Firewall(Protocol):
    """The kernel's firewall, as far as it is Orion's. All calls but `changes` return, or raise FirewallFailed,
    before a deadline. One that fails or is cancelled may have done a part, and the next one does the rest.
    """

    async def apply(self, rules: FirewallRules) -> None:
        """Makes the kernel as `rules` say, whatever it was before. No packet meets a half of them: isolation is
        replaced as a whole, and ways are opened after it.
        """

    async def matches(self, rules: FirewallRules) -> bool:
        """Returns whether the kernel is as `apply` of the same rules leaves it."""

    def changes(self) -> AsyncGenerator[None, None]:
        """Yields once when it listens, so that a look from then on misses nothing, and then after each change that
        may concern the rules, whoever made it. Changes that follow on one another are told as one. Those made by
        the kernel's older interface (iptables-legacy) are not told.
        """

    async def remove(self) -> None:
        """Takes away whatever `apply` has put there, also that of an earlier process."""
