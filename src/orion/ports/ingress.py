"""The Ingress port: ports that are published on every node, in this node's kernel."""

from collections.abc import AsyncGenerator, Collection
from typing import Protocol

from orion.model.errors import OrionError
from orion.model.ingress import Backend, IngressPort, IngressRules, Listener


class IngressFailed(OrionError):
    """Published ports could not be read or changed in the kernel; `detail` says what to do about it."""

    title = "Publishing ports failed"
    code = "ingress"


class Ingress(Protocol):
    """The kernel's translation of addresses, rules and routes as far as they are for published ports. All calls
    but `changes` return, or raise IngressFailed, before a deadline. One that fails or is cancelled may have done a
    part, and the next one does the rest.
    """

    async def apply(self, rules: IngressRules) -> None:
        """Makes the kernel as `rules` say, whatever it was before. The backends of all ports change at once.
        Connections that are there stay where they are.
        """

    async def matches(self, rules: IngressRules) -> bool:
        """Returns whether the kernel is as `apply` of the same rules leaves it."""

    def changes(self) -> AsyncGenerator[None, None]:
        """Yields once when it listens, so that a look from then on misses nothing, and then after each change that
        may concern the rules, whoever made it. Changes that follow on one another are told as one. Sysctls are not
        told of.
        """

    async def cut(self, backends: Collection[Backend]) -> int:
        """Makes the kernel forget its connections to these, and returns how many those were. The next packet of a
        TCP connection ends it, that of an exchange by UDP goes to another backend. So `apply` goes first.
        """

    async def listeners(self, ports: Collection[IngressPort]) -> tuple[Listener, ...]:
        """Returns programs of this host that listen on these ports, whose connections go to backends instead."""

    async def remove(self) -> None:
        """Takes away whatever `apply` has put there, also that of an earlier process."""
