"""Membership by SWIM with Lifeguard, with kinship. Its protocol runs in Rust on a thread of its own, so that others
do not take a busy event loop for death.

docs/design/gossip.md has the measurements that the timings come from.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import kinship

from orion.adapters.datagrams import Datagrams
from orion.adapters.seeds import addresses_meant, api_hint, ip, ip_address, is_ip_address, require_address
from orion.model.errors import FieldError, Invalid, Refused
from orion.model.ids import NODE_ID, NodeId
from orion.model.membership import MemberState
from orion.model.node import address_text
from orion.ports.membership import Member, MemberEvent, MemberEventKind
from orion.process.loglines import LogThrottle

log = logging.getLogger(__name__)

LABEL = "orion"  # gossip with another label is ignored
MAX_METADATA_BYTES = 512
JOIN_TIMEOUT_S = 2.0
RETRY_ALONE_S = 1.0
RETRY_ABSENT_S = 5.0
LEAVE_TIMEOUT_S = 1.0
CONFLICT_QUIET_S = 30.0  # between two reports of the same two claimants
MAX_CONFLICTS = 64  # reported in that time
NO_NODE_QUIET_S = 3_600.0  # between two reports of the same member whose name is no node's
MAX_NO_NODES = 16
MAX_REMEMBERED = 64
MAX_FIRST = 8  # contacts at the start, all at the same time

TIMINGS = {
    "probe_interval": 0.1,
    "probe_timeout": 0.05,
    "suspicion_mult": 8,  # a suspect has at least 0.8 s to refute the suspicion
    "suspicion_max_mult": 2,  # and at most twice that, when few others suspect it too
    "awareness_max": 3,  # a node that doubts its own health probes up to four times slower
    "gossip_interval": 0.1,
    "push_pull_interval": 10.0,
    "reconnect_interval": 5.0,
    "resolve_timeout": 1.0,
    "tcp_timeout": JOIN_TIMEOUT_S,
    "join_retries": 1,
}

_KINDS: dict[type, MemberEventKind] = {
    kinship.MemberJoined: MemberEventKind.JOINED,
    kinship.MemberSuspect: MemberEventKind.SUSPECT,
    kinship.MemberRecovered: MemberEventKind.RECOVERED,
    kinship.MemberDead: MemberEventKind.DEAD,
    kinship.MemberLeft: MemberEventKind.LEFT,
    kinship.MemberUpdated: MemberEventKind.UPDATED,
}
_STATES = {
    kinship.State.ALIVE: MemberState.ALIVE,
    kinship.State.SUSPECT: MemberState.SUSPECT,
    kinship.State.DEAD: MemberState.DEAD,
    kinship.State.LEFT: MemberState.LEFT,
}
_GONE = (kinship.State.DEAD, kinship.State.LEFT)


class Gossip:
    """Fulfils ports.Membership.

    `advertise` is the address that others dial; empty, it is the bound one. `seeds` are gossip addresses too; names
    are looked up at each try. All are `host:port`. `memory` is a file that keeps the addresses of living members,
    so that a node that restarts finds the others without a seed.
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
        self._told_alone = False  # and not yet that it is alone no more
        self._known: dict[str, None] = {}  # names ever seen, until kinship forgets them
        self._remembered: list[str] = []  # addresses, the living first
        self._conflicts = LogThrottle(CONFLICT_QUIET_S, MAX_CONFLICTS)
        self._no_nodes = LogThrottle(NO_NODE_QUIET_S, MAX_NO_NODES)

    @property
    def address(self) -> str:
        """The address that others dial. Its port is the system's choice when 0 was asked for."""
        return self._cluster.local.addr

    # --- port ---------------------------------------------------------------------------------------------

    async def start(self, metadata: dict[str, str]) -> None:
        """Binds; joins nobody yet. Raises Refused when the port can't be used or a seed is no address, Invalid when
        the metadata is too large.
        """
        for seed in self._seeds:
            require_address(seed)
        kinship.log_to_python(logging.WARNING)
        logging.getLogger("kinship").addFilter(_is_news)
        bind = address_text(await ip(self._host), self._port)
        advertise = await ip_address(self._advertise) if self._advertise else None
        try:
            config = kinship.Config.lan(
                name=self._node,
                bind=bind,
                advertise=advertise,
                cluster=LABEL,
                meta=metadata,
                insecure_plaintext=True,
                **TIMINGS,
            )
            self._cluster = kinship.Cluster(config)
            await self._cluster.start()
        except kinship.ConfigError as error:
            if error.field == "meta":
                raise _too_large(metadata) from None
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
        """Contacts the seeds and remembered addresses once, and from then on again and again those that are
        absent. Returns how many others answered, or had found this node before it asked.
        """
        absent = self._absent()
        # Each of the first by itself: one that answers may not know another, and the news of that one may decide
        # what this node is to do.
        answers = await asyncio.gather(*(self._contact([address]) for address in absent[:MAX_FIRST]))
        answered = sum(answers) or await self._contact(absent[MAX_FIRST:]) or len(self._living()) - 1
        if self._seeds and not answered:
            self._told_alone = True
            log.warning(
                "no node answers at %s: alone for now, this node goes on trying%s",
                ", ".join(self._seeds),
                await api_hint(self._seeds),
            )
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="gossip")
        return answered

    def members(self) -> list[Member]:
        # kinship lists the living. It has the dead and the left by name, as long as it remembers them.
        found = {member.name: member for member in self._living()}
        self._known.update(dict.fromkeys(found))
        for name in [name for name in self._known if name not in found]:
            if (gone := self._cluster.member(name)) is None:
                del self._known[name]
            else:
                found[name] = gone
        return [_member(found[name]) for name in sorted(found)]

    def events(self) -> AsyncIterator[MemberEvent]:
        """Yields the events from this call on."""
        return self._events(self._cluster.events())

    async def set_metadata(self, metadata: dict[str, str]) -> None:
        """Changes this node's metadata. Raises Invalid when it is too large."""
        try:
            await self._cluster.set_meta(metadata)
        except kinship.KinshipClosed:
            return  # left already: there is nobody to tell
        except kinship.MetaTooLarge:
            raise _too_large(metadata) from None

    async def leave(self) -> None:
        """Tells the others that this node leaves, for at most LEAVE_TIMEOUT_S."""
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
                yield MemberEvent(MemberEventKind.LOST, None)
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
                    yield MemberEvent(MemberEventKind.CONFLICT, _member(event.member), event.other_addr)
            else:
                self._known[event.member.name] = None
                yield MemberEvent(_KINDS[type(event)], _member(event.member))

    def _living(self) -> list[kinship.Member]:
        """Returns alive and suspect members, with this node."""
        return [member for member in self._cluster.members() if self._is_node(member)]

    def _is_node(self, member: kinship.Member) -> bool:
        """Returns True when the member's name may be a node's: any program that reaches the port may join
        gossip.
        """
        if NODE_ID.fullmatch(member.name):
            return True
        if self._no_nodes.is_due(member.addr, asyncio.get_running_loop().time()):
            log.warning("%r at %s is in gossip and no node's name: it is ignored", member.name, member.addr)
        return False

    # --- finding the others -------------------------------------------------------------------------------

    def _absent(self) -> list[str]:
        """Returns seeds and remembered addresses at which no living member is. A seed that is a name may stand for
        any member, so it is tried only while this node is alone.
        """
        present = {member.addr for member in self._living()}
        alone = len(present) <= 1
        wanted = [seed for seed in self._seeds if alone or is_ip_address(seed)] + self._remembered
        return [address for address in dict.fromkeys(wanted) if address not in present]

    async def _contact(self, addresses: list[str]) -> int:
        """Returns how many answered. Once one has, the rest are not asked."""
        if not addresses:
            return 0
        random.shuffle(addresses)  # so that the same dead ones do not use up the time of every try
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                return await self._cluster.join(
                    [each for address in addresses for each in addresses_meant(address)]
                )
        except (kinship.JoinError, TimeoutError):
            return 0

    async def _keep(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_contacts(), name="gossip contacts")
            group.create_task(self._datagrams.run(), name="gossip datagrams")

    async def _keep_contacts(self) -> None:
        """Contacts absent members again and again. Gossip drops the dead after 30 s, so without this a longer
        partition would never heal. Ends with kinship.
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
                    await self._contact(self._absent())
                # A node that answers may have this node's name; to gossip it is then no other member.
                if self._told_alone and len(self._cluster.members()) > 1:
                    self._told_alone = False
                    log.info("another node is there now: this node is not alone any more")

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
        return [line for line in lines if is_ip_address(line)][:MAX_REMEMBERED]

    async def _stop_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])


def _member(member: kinship.Member) -> Member:
    return Member(
        node=NodeId(member.name),
        state=_STATES[member.state],
        gossip_address=member.addr,
        epoch=member.epoch,
        metadata=dict(member.meta),
    )


def _too_large(metadata: dict[str, str]) -> Invalid:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    message = f"the node's metadata takes {size} bytes; gossip carries at most {MAX_METADATA_BYTES} with overhead"
    return Invalid([FieldError("/metadata", message)])


def _is_news(record: logging.LogRecord) -> bool:
    """Filters kinship's lines about plaintext and seeds, which this node's log has in its own words."""
    text = record.getMessage()
    return not text.startswith(("running without encryption", "seed did not resolve"))
