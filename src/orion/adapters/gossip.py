"""Membership by SWIM with Lifeguard: kinship, whose protocol runs in Rust on a thread of its own, so that a busy
event loop here is not taken for death by others.

docs/design/gossip.md has the measurements that the timings come from.
"""

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import kinship

from orion.adapters.datagrams import Datagrams
from orion.model.errors import FieldError, Invalid, Refused
from orion.model.ids import NODE_ID, NodeId
from orion.model.node import address_parts, address_text, hosts_meant
from orion.ports.membership import MemberEvent, MemberState
from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

LABEL = "orion"  # gossip with another label is ignored
MAX_FACTS_BYTES = 512
JOIN_TIMEOUT_S = 2.0
RETRY_ALONE_S = 1.0
RETRY_ABSENT_S = 5.0
LEAVE_TIMEOUT_S = 1.0
HINT_TIMEOUT_S = 0.5
CONFLICT_QUIET_S = 30.0  # the same two claimants are reported once in so long
MAX_CONFLICTS = 64  # and no more than so many of them
NO_NODE_QUIET_S = 3_600.0  # a member that no node can be is reported once in so long
MAX_NO_NODES = 16
MAX_REMEMBERED = 64
MAX_FIRST = 8  # contacts at the start, all at a time

TIMINGS = {
    "probe_interval": 0.1,
    "probe_timeout": 0.05,
    "suspicion_mult": 8,  # a suspect has 0.8 s to answer for itself, at least
    "suspicion_max_mult": 2,  # and twice that at most, where few others suspect it too
    "awareness_max": 3,  # a node that doubts its own health probes up to four times slower
    "gossip_interval": 0.1,
    "push_pull_interval": 10.0,
    "reconnect_interval": 5.0,
    "resolve_timeout": 1.0,
    "tcp_timeout": JOIN_TIMEOUT_S,
    "join_retries": 1,
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
_GONE = (kinship.State.DEAD, kinship.State.LEFT)


class Gossip:
    """Fulfils ports.Membership.

    `advertise` is what others dial, the bound address where empty. `seeds` are gossip addresses as well; names
    are looked up at each try. All are `host:port`. `memory` is a file where the
    addresses of the living are kept, so that a node that restarts finds the others without being told of a seed.
    """

    def __init__(
        self,
        *,
        node: NodeId,
        host: str,
        port: int,
        seeds: tuple[str, ...] = (),
        advertise: str = "",
        memory: Path | None = None,
    ) -> None:
        self._node = node
        self._host = host
        self._port = port
        self._seeds = seeds
        self._advertise = advertise
        self._memory = memory
        self._cluster: kinship.Cluster
        self._datagrams: Datagrams
        self._started = False
        self._keeper: asyncio.Task[None] | None = None
        self._known: dict[str, None] = {}  # names ever seen, until kinship forgets them
        self._remembered: list[str] = []  # addresses, the living first
        self._conflicts = LogThrottle(CONFLICT_QUIET_S, MAX_CONFLICTS)
        self._no_nodes = LogThrottle(NO_NODE_QUIET_S, MAX_NO_NODES)

    @property
    def address(self) -> str:
        """What others dial; the port is the system's choice where 0 was asked for."""
        return self._cluster.local.addr

    # --- port ---------------------------------------------------------------------------------------------

    async def start(self, facts: dict[str, str]) -> None:
        """Binds; joins nobody yet. Raises Refused when the port can't be had or a seed is no address, Invalid when
        the facts are too large.
        """
        for seed in self._seeds:
            _require_address(seed)
        kinship.log_to_python(logging.WARNING)
        logging.getLogger("kinship").addFilter(_is_news)
        bind = address_text(await _ip(self._host), self._port)
        advertise = await _ip_address(self._advertise) if self._advertise else None
        try:
            config = kinship.Config.lan(
                name=self._node,
                bind=bind,
                advertise=advertise,
                cluster=LABEL,
                meta=facts,
                insecure_plaintext=True,
                **TIMINGS,
            )
            self._cluster = kinship.Cluster(config)
            await self._cluster.start()
        except kinship.ConfigError as error:
            if error.field == "meta":
                raise _too_large(facts) from None
            raise Refused(f"gossip can't start: {error}") from None
        except OSError as error:
            why = "is taken" if "in use" in str(error) else f"can't be used ({error})"
            raise Refused(
                f"gossip port {self._port} on {self._host} {why}: choose another with --gossip-port"
            ) from None
        self._started = True
        self._datagrams = Datagrams(self._cluster, self._living)
        self._remembered = await asyncio.to_thread(self._recall)

    async def join(self) -> int:
        """Once now; from now on, again and again for whoever is not there."""
        absent = self._absent()
        # Each of the first by itself: one that answers may know nothing of another, and what that one says may be
        # news that decides what this node is to do.
        answers = await asyncio.gather(*(self._contact([address]) for address in absent[:MAX_FIRST]))
        answered = sum(answers) or await self._contact(absent[MAX_FIRST:])
        if self._seeds and not answered:
            log.warning(
                "no node answers at %s: alone for now, this node goes on trying%s",
                ", ".join(self._seeds),
                await _api_hint(self._seeds),
            )
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="gossip")
        return answered

    def members(self) -> list[MemberState]:
        # kinship lists the living; the dead and the left it tells of by name, as long as it remembers them.
        found = {member.name: member for member in self._living()}
        self._known.update(dict.fromkeys(found))
        for name in [name for name in self._known if name not in found]:
            if (gone := self._cluster.member(name)) is None:
                del self._known[name]
            else:
                found[name] = gone
        return [_member(found[name]) for name in sorted(found)]

    def events(self) -> AsyncIterator[MemberEvent]:
        """From this call on."""
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
        await self._stop_keeper()
        with contextlib.suppress(kinship.KinshipClosed):
            await self._cluster.leave(LEAVE_TIMEOUT_S)

    async def close(self) -> None:
        await self._stop_keeper()
        if self._started:
            await self._cluster.close()

    # --- events -------------------------------------------------------------------------------------------

    async def _events(self, stream: kinship.EventStream) -> AsyncGenerator[MemberEvent, None]:
        loop = asyncio.get_running_loop()
        async for event in stream:
            if isinstance(event, kinship.EventsLost):
                yield MemberEvent("lost", None)
            elif isinstance(event, kinship.UserMessage) or not self._is_node(event.member):
                continue
            elif isinstance(event, kinship.NameConflict):
                # The same one comes several times a second.
                if not self._conflicts.is_due((event.member.name, event.other_addr), loop.time()):
                    continue
                if event.member.state in _GONE:
                    log.warning(
                        "%s comes back from another address, %s: it is let in 30 s after its end, when gossip has "
                        "forgotten the old one",
                        event.member.name,
                        event.other_addr,
                    )
                else:
                    yield MemberEvent("conflict", _member(event.member), event.other_addr)
            else:
                self._known[event.member.name] = None
                yield MemberEvent(_KINDS[type(event)], _member(event.member))

    def _living(self) -> list[kinship.Member]:
        """Alive and suspect ones, this node among them."""
        return [member for member in self._cluster.members() if self._is_node(member)]

    def _is_node(self, member: kinship.Member) -> bool:
        """Any program that reaches the port may join under any name."""
        if NODE_ID.fullmatch(member.name):
            return True
        if self._no_nodes.is_due(member.addr, asyncio.get_running_loop().time()):
            log.warning("%r at %s is in gossip and no node's name: it is ignored", member.name, member.addr)
        return False

    # --- finding the others -------------------------------------------------------------------------------

    def _absent(self) -> list[str]:
        """Seeds and remembered addresses where no living member is. A seed's name may stand for any member, so
        it is worth a try only while this node is alone.
        """
        present = {member.addr for member in self._living()}
        alone = len(present) <= 1
        wanted = [seed for seed in self._seeds if alone or _is_ip_address(seed)] + self._remembered
        return [address for address in dict.fromkeys(wanted) if address not in present]

    async def _contact(self, addresses: list[str]) -> int:
        """How many answered; the rest are not asked once one has."""
        if not addresses:
            return 0
        random.shuffle(addresses)  # the same dead ones must not use up every try's time
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                return await self._cluster.join([each for address in addresses for each in _meant(address)])
        except (kinship.JoinError, TimeoutError):
            return 0

    async def _keep(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_contacts(), name="gossip contacts")
            group.create_task(self._datagrams.run(), name="gossip datagrams")

    async def _keep_contacts(self) -> None:
        """Heals what gossip itself forgets: it drops the dead after 30 s, and with them the way back together
        after a longer partition. Ends when kinship does.
        """
        loop = asyncio.get_running_loop()
        tried = loop.time()
        with contextlib.suppress(kinship.KinshipClosed):
            while True:
                await asyncio.sleep(RETRY_ALONE_S * random.uniform(0.75, 1.25))  # noqa: S311  spread, not secret
                await self._remember()
                alone = len(self._living()) <= 1
                if alone or loop.time() - tried >= RETRY_ABSENT_S:
                    tried = loop.time()
                    # Who answers may have this node's name, and is none other to gossip then.
                    if await self._contact(self._absent()) and alone and len(self._cluster.members()) > 1:
                        log.info("another node answers now: this node is not alone any more")

    async def _remember(self) -> None:
        living = [member.addr for member in self._living() if member.name != self._node]
        former = [address for address in self._remembered if address not in living]
        remembered = (sorted(living) + former)[:MAX_REMEMBERED]
        if remembered != self._remembered:
            self._remembered = remembered
            await asyncio.to_thread(self._write_down, "\n".join(remembered))

    def _write_down(self, text: str) -> None:
        if self._memory is None:
            return
        draft = self._memory.with_suffix(".new")
        try:
            draft.write_text(text, encoding="ascii")
            draft.replace(self._memory)
        except OSError as error:
            log.warning("can't remember the other nodes' addresses: %s", error)

    def _recall(self) -> list[str]:
        if self._memory is None:
            return []
        try:
            lines = self._memory.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return []
        return [line for line in lines if _is_ip_address(line)][:MAX_REMEMBERED]

    async def _stop_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])


def _member(member: kinship.Member) -> MemberState:
    return MemberState(
        node=NodeId(member.name),
        state=_STATES[member.state],
        gossip_address=member.addr,
        epoch=member.epoch,
        facts=dict(member.meta),
    )


def _too_large(facts: dict[str, str]) -> Invalid:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in facts.items())
    message = f"the node's facts take {size} bytes; gossip carries at most {MAX_FACTS_BYTES} with their overhead"
    return Invalid([FieldError("/facts", message)])


async def _api_hint(seeds: tuple[str, ...]) -> str:
    """Where a seed turns out to speak HTTP: a slip that looks like a dead node otherwise."""
    speaks = [seed for seed in seeds if await _speaks_http(seed)]
    if not speaks:
        return ""
    return f" ({', '.join(speaks)} speaks HTTP: --join wants a node's gossip port, 6000 by default, not its API's)"


async def _speaks_http(address: str) -> bool:
    writer = None
    try:
        async with asyncio.timeout(HINT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(*address_parts(address))
            writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
            return (await reader.readexactly(5)) == b"HTTP/"
    except (OSError, EOFError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def _ip(host: str) -> str:
    """Names can be neither bound nor advertised. Raises Refused."""
    host, *_ = hosts_meant(host)
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise Refused(f"the address {host} is not known here: {error.strerror}") from None
    return min((str(info[4][0]) for info in infos), key=lambda ip: ":" in ip)


def _meant(address: str) -> list[str]:
    """What to dial for `host:port`."""
    host, port = address_parts(address)
    return [address_text(each, port) for each in hosts_meant(host)]


def _require_address(text: str) -> None:
    try:
        address_parts(text)
    except ValueError as error:
        raise Refused(f"a node to join: {error}") from None


async def _ip_address(address: str) -> str:
    """`host:port` with the host looked up."""
    host, port = address_parts(address)
    return address_text(await _ip(host), port)


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(address_parts(text)[0])
    except ValueError:
        return False
    return True


def _is_news(record: logging.LogRecord) -> bool:
    """What kinship itself says of plaintext and of seeds repeats what this node's log says already."""
    text = record.getMessage()
    return not text.startswith(("running without encryption", "seed did not resolve"))
