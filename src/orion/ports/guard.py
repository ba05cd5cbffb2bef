"""The Guard port: who may open connections to this node's containers."""

from collections.abc import AsyncGenerator
from typing import Protocol

from orion.model.errors import OrionError
from orion.model.guard import GuardRules


class GuardFailed(OrionError):
    """The kernel's rules could not be read or changed; `detail` says what to do about it."""

    title = "Guarding tasks failed"
    code = "guard"


class GuardKernel(Protocol):
    """The kernel's rules between containers. All calls but `changes` return, or raise GuardFailed, before a
    deadline. One that fails or is cancelled may have done a part, and the next one does the rest.
    """

    async def apply(self, rules: GuardRules) -> None:
        """Makes the kernel as `rules` say, whatever it was before. All rules change at once. Without guards nothing
        is left.
        """

    async def matches(self, rules: GuardRules) -> bool:
        """Returns whether the kernel is as `apply` of the same rules leaves it."""

    def changes(self) -> AsyncGenerator[None, None]:
        """Yields once when it listens, so that a look from then on misses nothing, and then after each change that
        may concern the rules, whoever made it. Changes that follow on one another are told as one.
        """

    async def remove(self) -> None:
        """Takes away the rules that `apply` has put there, also those of an earlier process."""
