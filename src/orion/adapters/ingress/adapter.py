"""`KernelIngress`: chains by nft; their maps, rules of routing, routes and connections by netlink."""

import asyncio
import contextlib
import errno
import functools
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from typing import TypeVar

from orion.adapters.ingress import conntrack, host, nftables
from orion.adapters.ingress.changes import changes
from orion.adapters.ingress.host import HostFailed
from orion.adapters.ingress.nftables import Stale, Table
from orion.adapters.netfilter import nft
from orion.adapters.netfilter.programs import Failed, NetfilterFailed
from orion.adapters.netfilter.sockets import open_netfilter
from orion.adapters.netlink.codec import Malformed
from orion.adapters.netlink.socket import Netlink
from orion.model.ingress import PROTOCOLS, Backend, IngressRules
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


class KernelIngress:
    """Acts on the network namespace of the thread that calls."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._thread = asyncio.Lock()
        self._table: Table | None = None  # as it was read or left last
        self._made: tuple[IngressRules, Ruleset] | None = None

    async def apply(self, rules: IngressRules) -> None:
        with _in_words("publishing ports"):
            async with self._one_at_a_time, asyncio.timeout(ANSWER_S):
                if _is_empty(rules):
                    await self._take_away()
                    return
                self._table = await self._off_loop(functools.partial(nftables.read, self._table))
                await self._off_loop(functools.partial(host.make_as_wanted, rules))
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
            async with self._one_at_a_time, asyncio.timeout(ANSWER_S):
                table = self._table = await self._off_loop(functools.partial(nftables.read, self._table))
                if _is_empty(rules):
                    return not table.shown and await self._off_loop(host.is_clean)
                return (
                    is_shown(self._chains(rules), table.shown)
                    and not missing_spreads(spreads_of(rules.ports), table.shown)
                    and (await self._off_loop(functools.partial(table.change_to, rules.ports))).is_empty
                    and await self._off_loop(functools.partial(host.is_as_wanted, rules))
                )

    def changes(self) -> AsyncGenerator[None, None]:
        return changes()

    async def cut(self, backends: Collection[Backend]) -> int:
        with _in_words("ending connections"):
            async with asyncio.timeout(ANSWER_S):
                return await self._off_loop(functools.partial(_cut, tuple(backends)))

    async def remove(self) -> None:
        with _in_words("taking published ports away"):
            async with self._one_at_a_time, asyncio.timeout(ANSWER_S):
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
        chains, counts = self._chains(rules), spreads_of(rules.ports)
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
        self._table = await self._off_loop(functools.partial(nftables.change, table, rules.ports))

    async def _load(self, script: str) -> None:
        """A table that another version or somebody else has made otherwise is made anew."""
        try:
            await nft.load(script)
        except Failed:
            await nft.remove(TABLE)
            await nft.load(script)

    def _chains(self, rules: IngressRules) -> Ruleset:
        """They do not depend on ports, and take a while to make."""
        key = IngressRules(rules.cluster_range, rules.networks, rules.hosts)
        if self._made is None or self._made[0] != key:
            self._made = key, ruleset(key)
        return self._made[1]

    async def _off_loop(self, work: Callable[[], _T]) -> _T:
        """One at a time: one that nobody waits for any more may still wait in the kernel."""
        await self._thread.acquire()
        running = asyncio.get_running_loop().run_in_executor(None, work)
        running.add_done_callback(lambda _: self._thread.release())
        return await asyncio.shield(running)


def _is_empty(rules: IngressRules) -> bool:
    return not rules.networks or not rules.ports


def _cut(backends: Collection[Backend]) -> int:
    """Counts before it deletes: the kernel does not say how many it deleted."""
    count = 0
    with Netlink(open_netfilter) as netlink:
        for backend in backends:
            for protocol in PROTOCOLS.values():
                if found := len(netlink.dump(conntrack.get(backend, protocol))):
                    (error,) = netlink.do([conntrack.delete(backend, protocol)])
                    if error:
                        raise error
                    count += found
    return count


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
