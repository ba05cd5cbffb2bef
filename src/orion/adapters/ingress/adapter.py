"""`KernelIngress`: chains by nft; their maps, rules of routing, routes and connections by netlink."""

import asyncio
import contextlib
import errno
import functools
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from typing import NamedTuple, TypeVar

from orion.adapters.ingress import host, nftables
from orion.adapters.ingress.changes import changes
from orion.adapters.ingress.cut import cut
from orion.adapters.ingress.host import NOTHING, HostFailed, Wanted
from orion.adapters.ingress.listeners import listeners
from orion.adapters.ingress.nftables import Stale, Table
from orion.adapters.netfilter import nft
from orion.adapters.netfilter.programs import Failed, NetfilterFailed
from orion.adapters.netfilter.sockets import open_netfilter
from orion.adapters.netlink.codec import Malformed
from orion.adapters.netlink.socket import Netlink
from orion.model.ingress import Backend, IngressNetwork, IngressPort, IngressRules, Listener
from orion.ports.ingress import IngressFailed
from orion.reconcile.ingress import (
    COMMON_SPREADS,
    TABLE,
    devices_in,
    is_shown,
    missing_spreads,
    removal_of_chains,
    ruleset,
    spreads,
)
from orion.reconcile.ingress_elements import spreads_of
from orion.reconcile.nft import Ruleset

TRIES = 5  # an engine that starts changes nftables too
ANSWER_S = 20.0  # of a call; the exchanges in it have deadlines of their own

_T = TypeVar("_T")


class _Made(NamedTuple):
    """Chains, and the host as it is to be, for a range, networks and hosts."""

    key: tuple[str, tuple[IngressNetwork, ...], tuple[str, ...]]
    chains: Ruleset
    host: Wanted


def _key(rules: IngressRules) -> tuple[str, tuple[IngressNetwork, ...], tuple[str, ...]]:
    return rules.cluster_range, rules.networks, rules.hosts


def _make(rules: IngressRules) -> _Made:
    return _Made(_key(rules), ruleset(rules), host.wanted_for(rules))


class KernelIngress:
    """Acts on the network namespace of the thread that calls."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._thread = asyncio.Lock()
        self._table: Table | None = None  # as it was read or left last
        self._made: _Made | None = None

    async def apply(self, rules: IngressRules) -> None:
        with _in_words("publishing ports"):
            async with asyncio.timeout(ANSWER_S), self._one_at_a_time:
                if _is_empty(rules):
                    await self._take_away()
                    return
                self._table = await self._off_loop(functools.partial(nftables.read, self._table))
                made = await self._make(rules)
                await self._off_loop(functools.partial(host.make_as_wanted, made.host))
                for left in range(TRIES - 1, -1, -1):
                    try:
                        await self._change_table(rules)
                    except Stale:
                        if not left:
                            raise
                    else:
                        return

    async def matches(self, rules: IngressRules) -> bool:
        with _in_words("looking at published ports"):
            async with asyncio.timeout(ANSWER_S), self._one_at_a_time:
                table = self._table = await self._off_loop(functools.partial(nftables.read, self._table))
                if _is_empty(rules):
                    return not table.shown and await self._off_loop(functools.partial(host.is_as_wanted, NOTHING))
                made = await self._make(rules)
                return (
                    is_shown(made.chains, table.shown)
                    and not missing_spreads(spreads_of(rules.ports), table.shown)
                    and await self._off_loop(functools.partial(table.is_of, rules.ports))
                    and await self._off_loop(functools.partial(host.is_as_wanted, made.host))
                )

    def changes(self) -> AsyncGenerator[None, None]:
        return changes()

    async def cut(self, backends: Collection[Backend]) -> int:
        with _in_words("ending connections"):
            async with asyncio.timeout(ANSWER_S):
                return await self._off_loop(functools.partial(cut, tuple(backends)))

    async def listeners(self, ports: Collection[IngressPort]) -> tuple[Listener, ...]:
        with _in_words("looking for programs that listen on published ports"):
            async with asyncio.timeout(ANSWER_S):
                return await self._off_loop(functools.partial(listeners, tuple(ports)))

    async def remove(self) -> None:
        with _in_words("taking published ports away"):
            async with asyncio.timeout(ANSWER_S), self._one_at_a_time:
                await self._take_away()

    async def _take_away(self) -> None:
        table = await self._off_loop(functools.partial(nftables.read, None))
        self._table = None
        if table.shown:
            await nft.remove(TABLE)
        await self._off_loop(functools.partial(host.take_away, devices_in(table.shown)))

    async def _change_table(self, rules: IngressRules) -> None:
        """Raises Stale."""
        table = await self._off_loop(functools.partial(nftables.read, self._table))
        chains, counts = (await self._make(rules)).chains, spreads_of(rules.ports)
        script, missing = "", missing_spreads(counts, table.shown)
        if not is_shown(chains, table.shown):
            common = spreads(sorted({*COMMON_SPREADS, *counts}))
            script = removal_of_chains(chains, table.shown) + chains.script + common
        elif missing:
            script = spreads(missing)
        if script:
            former = devices_in(table.shown)
            await self._load(script)
            table = await self._off_loop(functools.partial(nftables.read, None))
            if gone := former - devices_in(table.shown):
                await self._off_loop(functools.partial(host.reset, gone))
        self._table = table
        netlink = Netlink(open_netfilter)
        work = functools.partial(nftables.change, netlink, table, rules.ports)
        self._table = await self._off_loop(work, netlink.close)

    async def _load(self, script: str) -> None:
        """A table that another version or somebody else has made otherwise is made anew."""
        try:
            await nft.load(script)
        except Failed:
            await nft.remove(TABLE)
            await nft.load(script)

    async def _make(self, rules: IngressRules) -> "_Made":
        """It does not depend on ports, and takes a while."""
        if self._made is None or self._made.key != _key(rules):
            self._made = await self._off_loop(functools.partial(_make, rules))
        return self._made

    async def _off_loop(self, work: Callable[[], _T], close: Callable[[], None] | None = None) -> _T:
        """One at a time: one that nobody waits for any more may still wait in the kernel. `close` is not waited
        for: the kernel closes a socket of netfilter only once nobody can see any more what was removed by it, which
        takes several milliseconds.
        """
        loop = asyncio.get_running_loop()
        await self._thread.acquire()
        running = loop.run_in_executor(None, work)
        running.add_done_callback(lambda _: self._thread.release())
        if close is not None:
            running.add_done_callback(lambda _: loop.run_in_executor(None, close))
        return await asyncio.shield(running)


def _is_empty(rules: IngressRules) -> bool:
    return not rules.networks or not rules.ports


@contextlib.contextmanager
def _in_words(doing: str) -> Iterator[None]:
    try:
        yield
    except NetfilterFailed as error:
        raise IngressFailed(error.detail) from error
    except (HostFailed, Malformed) as error:
        raise IngressFailed(f"{doing}: {error}") from error
    except Stale as error:
        raise IngressFailed(f"{doing}: others change this machine's nftables all the time") from error
    except TimeoutError as error:
        raise IngressFailed(f"{doing}: the kernel has not answered within {ANSWER_S:g} s") from error
    except OSError as error:
        raise IngressFailed(f"{doing}: {_why(error)}") from error


def _why(error: OSError) -> str:
    if error.errno in {errno.EPERM, errno.EACCES}:
        return "this process may not change this machine's network: run orion as root, or with CAP_NET_ADMIN"
    if error.errno in {errno.EPROTONOSUPPORT, errno.EOPNOTSUPP}:
        return f"the kernel has no nf_tables ({error.strerror}): load its module with `modprobe nf_tables`"
    if error.filename:
        return f"{error.filename} can't be written: {error.strerror}"
    return f"the kernel says: {error.strerror or error}"
