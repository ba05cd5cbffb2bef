"""Finds out whether gossip's datagrams get through. SWIM uses UDP and falls back on TCP, so a firewall that drops
UDP alone shows late, as nodes that are suspected without a reason. So each node asks the others by UDP, and logs a
warning where no answer comes while TCP gets through.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Callable

import kinship

from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

EVERY_S = 1.0
UNANSWERED = 5  # in a row, before UDP counts as blocked; where a fifth of all packets are lost, once in 160 tries
MAX_WATCHED = 16  # members without an answer yet, asked each time; the others have their turns
TCP_TIMEOUT_S = 2.0
QUIET_S = 3_600.0
MAX_TOLD = 16

_PING = b"udp?"
_PONG = b"udp!"

Address = tuple[str, str]  # a member's name and its gossip address


class Datagrams:
    """Asks one member each second, and those that have not answered again each second. `run` ends with kinship."""

    def __init__(self, cluster: kinship.Cluster, living: Callable[[], list[kinship.Member]]) -> None:
        """`living` returns the members to ask, with this one."""
        self._cluster = cluster
        self._living = living
        self._messages = cluster.events()  # from now on
        self._unanswered: Counter[Address] = Counter()
        self._turns: list[str] = []
        self._told = LogThrottle(QUIET_S, MAX_TOLD)
        self._blocked: dict[Address, None] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(), name="gossip datagrams")
            with contextlib.suppress(kinship.KinshipClosed):
                while True:
                    await self._ask()
                    await asyncio.sleep(EVERY_S * random.uniform(0.75, 1.25))  # noqa: S311  spread, not secret
            listening.cancel()

    async def _listen(self) -> None:
        with contextlib.suppress(kinship.KinshipClosed):
            async for event in self._messages:
                if not isinstance(event, kinship.UserMessage) or event.broadcast:
                    continue
                if event.data == _PING:
                    await self._send(event.sender, _PONG)
                elif event.data == _PONG:
                    self._answered((event.sender.name, event.sender.addr))

    async def _send(self, member: kinship.Member, data: bytes) -> None:
        # It may have gone by now.
        with contextlib.suppress(kinship.NotAMember, OSError):
            await self._cluster.send(member, data)

    async def _ask(self) -> None:
        me = self._cluster.local.name
        others = {member.name: member for member in self._living() if member.name != me}
        present = {(member.name, member.addr) for member in others.values()}
        for gone in self._unanswered.keys() - present:
            del self._unanswered[gone]
        asked = {name for name, _ in self._unanswered} | self._next(list(others))
        for name in asked:
            member = others[name]
            address = name, member.addr
            if (unanswered := self._unanswered[address]) and unanswered % UNANSWERED == 0:
                await self._judge(member)
            self._unanswered[address] += 1
            await self._send(member, _PING)
        while len(self._unanswered) > MAX_WATCHED:
            del self._unanswered[next(iter(self._unanswered))]

    def _next(self, names: list[str]) -> set[str]:
        """Returns the member that has its turn."""
        self._turns = [name for name in self._turns if name in names] or random.sample(names, len(names))
        return {self._turns.pop()} if self._turns else set()

    def _answered(self, address: Address) -> None:
        self._unanswered.pop(address, None)
        if address in self._blocked:
            del self._blocked[address]
            log.info("UDP to %s, the gossip port of %s, gets through now", address[1], address[0])

    async def _judge(self, member: kinship.Member) -> None:
        """Warns of a member that does not answer by UDP and does by TCP. One that answers neither may be gone."""
        try:
            async with asyncio.timeout(TCP_TIMEOUT_S):
                await self._cluster.join([member.addr])
        except (kinship.JoinError, TimeoutError):
            return
        # One that stood still answers all that waited for it at the same time.
        await asyncio.sleep(EVERY_S)
        address = member.name, member.addr
        if not self._unanswered[address] or not self._told.is_due(address, asyncio.get_running_loop().time()):
            return
        self._blocked[address] = None  # kept while gossip gives it up now and then
        if len(self._blocked) > MAX_TOLD:
            del self._blocked[next(iter(self._blocked))]
        log.warning(
            "UDP to %s, the gossip port of %s, does not get through, or no answer does; TCP does. Gossip needs "
            "both: let UDP to that port and to this node's pass both firewalls. Until then nodes are suspected "
            "without a reason, and a dead one is found later",
            member.addr,
            member.name,
        )
