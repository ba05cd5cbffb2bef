"""Passes questions on to the resolvers of this machine."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable

from orion.adapters.dns.exchange import over_tcp, over_udp
from orion.adapters.dns.resolvers import Resolvers, Server
from orion.model.dns import DOMAIN, Code
from orion.process.loglines import LogThrottle
from orion.wire.dns.query import Query, limit_bytes
from orion.wire.dns.reply import is_truncated, passed_on, reply_code

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 256  # each has a socket
MAX_IN_FLIGHT_OF_CLIENT = 64
TRY_S = 1.5
ROUNDS = 2  # UDP may lose a question
DEADLINE_S = 4.0  # glibc, musl and dig wait for 5
LAST_FOR_S = 10.0  # a resolver that did not answer is asked behind the others
QUIET_S = 3_600.0
# As glibc: of such an answer another resolver may know better.
_NO_ANSWER = frozenset({Code.FORMERR, Code.SERVFAIL, Code.NOTIMP, Code.REFUSED})

_Exchange = Callable[[Server, Query], Awaitable[bytes]]


class Forwarder:
    """At most MAX_IN_FLIGHT questions at a time, each for at most DEADLINE_S."""

    def __init__(self, resolvers: Resolvers) -> None:
        self._resolvers = resolvers
        self._own: tuple[str | int | bytes, ...] = ()
        self._in_flight = 0
        self._of_client: Counter[str] = Counter()
        self._heard_s: dict[Server, float] = {}
        self._last_until_s: dict[Server, float] = {}
        self._told = LogThrottle(QUIET_S, 8)

    def never(self, place: tuple[str | int | bytes, ...]) -> None:
        """`place` is where this server itself listens: it would ask itself without end."""
        self._own = place

    def take_room(self, client: str) -> bool:
        """Returns True when the client may `ask` now, which gives the room back."""
        if self._in_flight >= MAX_IN_FLIGHT or self._of_client[client] >= MAX_IN_FLIGHT_OF_CLIENT:
            return False
        self._in_flight += 1
        self._of_client[client] += 1
        return True

    async def ask(self, query: Query, client: str, *, tcp: bool) -> bytes | None:
        """Returns the answer for the client, which has taken its room. None: no resolver has one in time."""
        try:
            reply = await self._reply(query, tcp=tcp)
        finally:
            self._in_flight -= 1
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]
        return None if reply is None else passed_on(reply, query, limit_bytes(query, tcp=tcp))

    async def _reply(self, query: Query, *, tcp: bool) -> bytes | None:
        deadline_s = _now_s() + DEADLINE_S
        servers = await self._in_order(deadline_s)
        refusals: dict[Server, bytes] = {}
        for server in servers * ROUNDS:
            if server in refusals:
                continue
            if _now_s() >= deadline_s:
                break
            began_s = _now_s()
            reply = await self._try(server, query, deadline_s, tcp=tcp)
            if reply is None:
                self._judge(server, began_s)
                continue
            if reply_code(reply) not in _NO_ANSWER:
                return reply
            refusals[server] = reply
        if not refusals:
            self._tell(servers)
        return next(iter(refusals.values()), None)

    def _judge(self, server: Server, began_s: float) -> None:
        """One that leaves a question unanswered while it is heard otherwise is not at fault: the name is. Were it
        asked last, names that it alone knows would not be found.
        """
        if self._heard_s.get(server, -math.inf) < began_s:
            self._last_until_s[server] = _now_s() + LAST_FOR_S

    async def _in_order(self, deadline_s: float) -> list[Server]:
        try:
            async with asyncio.timeout_at(deadline_s):
                servers = [each for each in await self._resolvers.servers() if each.place != self._own]
        except TimeoutError:
            return []
        now_s = _now_s()
        self._heard_s = {each: heard_s for each, heard_s in self._heard_s.items() if each in servers}
        self._last_until_s = {
            each: until_s for each, until_s in self._last_until_s.items() if each in servers and until_s > now_s
        }
        return sorted(servers, key=lambda each: self._last_until_s.get(each, 0.0))

    async def _try(self, server: Server, query: Query, deadline_s: float, *, tcp: bool) -> bytes | None:
        reply = await self._within(over_udp, server, query, deadline_s)
        # A client by UDP is told that there is more, and comes again by TCP.
        if reply is not None and tcp and is_truncated(reply):
            return await self._within(over_tcp, server, query, deadline_s)
        return reply

    async def _within(self, exchange: _Exchange, server: Server, query: Query, deadline_s: float) -> bytes | None:
        try:
            async with asyncio.timeout_at(min(deadline_s, _now_s() + TRY_S)):
                reply = await exchange(server, query)
        except OSError:  # TimeoutError is one
            return None
        self._heard_s[server] = _now_s()
        self._last_until_s.pop(server, None)
        return reply

    def _tell(self, servers: list[Server]) -> None:
        asked = ", ".join(str(server.address[0]) for server in servers)
        if not self._told.is_due(asked, _now_s()):
            return
        if asked:
            log.warning(
                "the resolvers of this machine (%s) do not answer: until they do, containers find no names outside "
                "of %s",
                asked,
                DOMAIN,
            )
        else:
            log.warning(
                "/etc/resolv.conf names no resolver but this node's own: containers find no names outside of %s; "
                "have it name one",
                DOMAIN,
            )


def _now_s() -> float:
    return asyncio.get_running_loop().time()
