"""A client's message -> its answer, whichever way it came. Nothing that a client sends raises."""

import asyncio
import logging

from orion.adapters.dns.forwarder import Forwarder
from orion.adapters.dns.rates import Rates
from orion.model.dns import DOMAIN, INTERNET, Code, Forward, Type
from orion.ports.dns import NameCounts, Resolve
from orion.process.loglines import LogThrottle
from orion.wire.dns.answer import refuse, refuse_bytes, write_answer
from orion.wire.dns.parts import DnsError
from orion.wire.dns.query import Query, limit_bytes, read_query

log = logging.getLogger(__name__)

QUIET_S = 60.0
FORWARD_COST = 4  # more than a query that is answered from memory
_NOT_GIVEN = frozenset({Type.OPT, Type.IXFR, Type.AXFR, Type.MAILB, Type.MAILA})  # whole zones, and what is no type


class Desk:
    def __init__(self, resolve: Resolve, forwarder: Forwarder, counts: NameCounts) -> None:
        self.rates = Rates()
        self.counts = counts
        self._resolve = resolve
        self._forwarder = forwarder
        self._told = LogThrottle(QUIET_S, 8)

    def take(self, data: bytes, client: str, *, tcp: bool) -> bytes | Query | None:
        """Returns the answer, or the query for `forward`. None: there is no answer."""
        try:
            query = read_query(data)
        except DnsError as error:
            if error.code is None:
                self.counts.dropped += 1
                return None
            self.counts.refused += 1
            return refuse_bytes(data, error.code)
        if query.question.klass != INTERNET or query.question.type in _NOT_GIVEN:
            self.counts.refused += 1
            return refuse(query, Code.REFUSED)
        try:
            return self._answer(query, client, tcp=tcp)
        except Exception as error:
            if self._is_due(error):
                log.exception("a name of %s could not be answered for", DOMAIN)
            self.counts.failed += 1
            return refuse(query, Code.SERVFAIL)

    def _answer(self, query: Query, client: str, *, tcp: bool) -> bytes | Query:
        answer = self._resolve(query.question, client)
        if not isinstance(answer, Forward):
            self.counts.answered += 1
            return write_answer(query, answer, limit_bytes(query, tcp=tcp))
        if self._forwarder.take_room(client):
            self.rates.charge(client, FORWARD_COST)
            return query
        self.counts.failed += 1
        return refuse(query, Code.SERVFAIL)

    async def forward(self, query: Query, client: str, *, tcp: bool) -> bytes:
        try:
            reply = await self._forwarder.ask(query, client, tcp=tcp)
        except Exception as error:
            if self._is_due(error):
                log.exception("a name could not be asked for at the resolvers of this machine")
            reply = None
        if reply is None:
            self.counts.failed += 1
            return refuse(query, Code.SERVFAIL)
        self.counts.forwarded += 1
        return reply

    def _is_due(self, error: Exception) -> bool:
        return self._told.is_due(type(error).__name__, asyncio.get_running_loop().time())
