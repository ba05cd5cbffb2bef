"""Membership by SWIM with Lifeguard: kinship, whose protocol runs in Rust on a thread of its own, so that a busy
event loop here is not taken for death by others.

The timings are for a LAN; docs/design/gossip.md has the measurements they come from.
"""

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import kinship

from orion.model.errors import FieldError, Invalid, OrionError, Refused
from orion.model.ids import NodeId
from orion.model.node import address_text
from orion.ports import MemberEvent, MemberState

log = logging.getLogger(__name__)

LABEL = "orion"  # gossip with another label is ignored
MAX_FACTS_BYTES = 512
JOIN_TIMEOUT_S = 2.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 5.0
LEAVE_TIMEOUT_S = 1.0

TIMINGS = {
    "probe_interval": 0.25,
    "probe_timeout": 0.1,
    "suspicion_mult": 3,
    "gossip_interval": 0.1,
    "reconnect_interval": 5.0,  # how often dead members are tried again, to heal a partition
    "push_pull_interval": 15.0,
    "resolve_timeout": 1.0,
    "tcp_timeout": JOIN_TIMEOUT_S,
}

_KINDS: dict[type, str] = {
    kinship.MemberJoined: "joined",
    kinship.MemberSuspect: "suspect",
    kinship.MemberRecovered: "recovered",
    kinship.MemberDead: "dead",
    kinship.MemberLeft: "left",
    kinship.MemberUpdated: "updated",
    kinship.NameConflict: "conflict",
}
_STATES = {
    kinship.State.ALIVE: "alive",
    kinship.State.SUSPECT: "suspect",
    kinship.State.DEAD: "dead",
    kinship.State.LEFT: "left",
}


class Gossip:
    """Fulfils ports.Membership. `seeds` are gossip addresses, `host:port`; names are looked up at each try."""

    def __init__(
        self, *, node: NodeId, host: str, port: int, seeds: tuple[str, ...] = (), advertise: str = ""
    ) -> None:
        self._node = node
        self._host = host
        self._port = port
        self._advertise = advertise
        self._seeds = seeds
        self._cluster: kinship.Cluster
        self._started = False
        self._known: dict[str, None] = {}
        self._retrier: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """What others dial; the port is the system's choice where 0 was asked for."""
        return self._cluster.local.addr

    # --- port ---------------------------------------------------------------------------------------------

    async def start(self, facts: dict[str, str]) -> None:
        """Raises Refused when the port can't be had, Invalid when the facts are too large."""
        kinship.log_to_python(logging.WARNING)
        logging.getLogger("kinship").addFilter(_is_news)
        try:
            self._cluster = kinship.Cluster(self._config(facts))
            await self._cluster.start()
        except kinship.MetaTooLarge:
            raise _too_large(facts) from None
        except kinship.ConfigError as error:
            raise Refused(f"gossip can't start: {error}") from None
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE or "in use" in str(error) else f"fails: {error}"
            raise Refused(
                f"gossip port {self._port} on {self._host} {why}: choose another with --gossip-port"
            ) from None
        self._started = True

    async def join(self) -> int:
        """Once now; while this node is alone, again and again by itself."""
        if not self._seeds:
            return 0
        answered = await self._join_once()
        if not answered:
            log.warning(
                "no seed answers (%s): this node is alone for now and goes on trying", ", ".join(self._seeds)
            )
        if self._retrier is None:
            self._retrier = asyncio.get_running_loop().create_task(self._retry(), name="gossip join")
        return answered

    def members(self) -> list[MemberState]:
        # kinship lists the living; the dead and the left it tells of by name, as long as it remembers them.
        found = {member.name: member for member in self._cluster.members()}
        self._known.update(dict.fromkeys(found))
        for name in [name for name in self._known if name not in found]:
            if (gone := self._cluster.member(name)) is None:
                del self._known[name]
            else:
                found[name] = gone
        return [_member(found[name]) for name in sorted(found)]

    def events(self) -> AsyncIterator[MemberEvent]:
        return self._events(self._cluster.events())

    async def set_facts(self, facts: dict[str, str]) -> None:
        """Raises Invalid when they are too large."""
        try:
            await self._cluster.set_meta(facts)
        except kinship.KinshipClosed:
            return  # left already: there is nobody to tell
        except kinship.MetaTooLarge:
            raise _too_large(facts) from None

    async def leave(self) -> None:
        """Tells the others, for at most a second."""
        await self._stop_retrying()
        with contextlib.suppress(kinship.KinshipClosed):
            await self._cluster.leave(LEAVE_TIMEOUT_S)

    async def close(self) -> None:
        await self._stop_retrying()
        if self._started:
            await self._cluster.close()

    # --- inside -------------------------------------------------------------------------------------------

    def _config(self, facts: dict[str, str]) -> kinship.Config:
        return kinship.Config.lan(
            name=self._node,
            bind=address_text(self._host, self._port),
            advertise=self._advertise or None,
            cluster=LABEL,
            meta=facts,
            insecure_plaintext=True,
            **TIMINGS,
        )

    async def _events(self, stream: kinship.EventStream) -> AsyncGenerator[MemberEvent, None]:
        async for event in stream:
            if isinstance(event, kinship.EventsLost):
                yield MemberEvent("lost", None)
            elif not isinstance(event, kinship.UserMessage):
                self._known[event.member.name] = None
                other = event.other_addr if isinstance(event, kinship.NameConflict) else ""
                yield MemberEvent(_KINDS[type(event)], _member(event.member), other)

    async def _join_once(self) -> int:
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                return await self._cluster.join(self._seeds)
        except (kinship.JoinError, TimeoutError):
            return 0

    async def _retry(self) -> None:
        """Ends when kinship does."""
        delay = FIRST_RETRY_S
        with contextlib.suppress(kinship.KinshipClosed):
            while True:
                await asyncio.sleep(delay)
                if len(self._cluster.members()) > 1:
                    delay = FIRST_RETRY_S
                    continue
                delay = min(LAST_RETRY_S, 2 * delay)
                if await self._join_once():
                    log.info("a seed answers now: this node has joined")

    async def _stop_retrying(self) -> None:
        if self._retrier is not None:
            self._retrier.cancel()
            await asyncio.wait([self._retrier])


def _member(member: kinship.Member) -> MemberState:
    return MemberState(
        node=NodeId(member.name),
        state=_STATES[member.state],
        gossip_address=member.addr,
        epoch=member.epoch,
        facts=dict(member.meta),
    )


def _too_large(facts: dict[str, str]) -> OrionError:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in facts.items())
    message = f"the node's facts take {size} bytes; gossip carries at most {MAX_FACTS_BYTES} with their overhead"
    return Invalid([FieldError("/facts", message)])


def _is_news(record: logging.LogRecord) -> bool:
    """What kinship itself says of plaintext and of seeds repeats what this node's log says already."""
    text = record.getMessage()
    return not text.startswith(("running without encryption", "seed did not resolve"))
