"""Whom nobody reaches any more on this machine, because their port is every node's: programs, and containers that
are not this cluster's.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from orion.model.errors import OrionError
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.engine import Engine
from orion.ports.ingress import Ingress

if TYPE_CHECKING:
    from orion.model.ingress import IngressRules, Listener

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0  # nobody tells who begins to listen
PAUSE_S = 2.0  # between two looks
MAX_NAMED = 5
# An engine's own, for a container that it names; dockerd where it has no proxies.
_ENGINES = ("docker-proxy", "dockerd")


class Shadowed:
    """`words`: who they are, for people; "" when there is nobody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rules: tuple[IngressRules, int] | None = None
        self._look = asyncio.Event()
        self.words = ""

    def look(self, rules: "IngressRules | None", cluster: int = 0) -> None:
        """These rules are the kernel's now; None: there are none."""
        self._rules = (rules, cluster) if rules is not None and rules.ports else None
        if self._rules is None:
            self.words = ""
        self._look.set()

    async def run(self, ingress: Ingress) -> None:
        while True:
            self._look.clear()
            if self._rules is not None:
                await self._tried(ingress, *self._rules)
                await asyncio.sleep(PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._look.wait()

    async def _tried(self, ingress: Ingress, rules: "IngressRules", cluster: int) -> None:
        try:
            words = _words(await self._found(ingress, rules, cluster))
        except OrionError as error:
            log.debug("who listens at published ports is not known: %s", error.detail)
            return
        except UNFORESEEN:
            log.exception("a bug in Orion, looking who listens at published ports")
            return
        if self._rules is None or self._rules[0] != rules:
            return  # the next look is about others
        if words and words != self.words:
            log.warning("published ports: %s", words)
        self.words = words

    async def _found(self, ingress: Ingress, rules: "IngressRules", cluster: int) -> "list[Listener]":
        ports = [port for port in rules.ports if port.backends]
        there = {(port.port, port.protocol) for port in ports}
        containers = [
            each for each in await self._engine.published_by_others(cluster) if (each.port, each.protocol) in there
        ]
        named = {(each.port, each.protocol) for each in containers}
        programs = [
            each
            for each in await ingress.listeners(ports)
            if each.program not in _ENGINES or (each.port, each.protocol) not in named
        ]
        return [*programs, *containers]


def _words(found: "Iterable[Listener]") -> str:
    named = dict.fromkeys(
        f"{each.program or 'a program'} ({each.address}, port {each.port}/{each.protocol})" for each in found
    )
    words = ", ".join(list(named)[:MAX_NAMED] + ["…"] * (len(named) > MAX_NAMED))
    return f"nobody reaches {words} here any more: connections go to the job with the port" if words else ""
