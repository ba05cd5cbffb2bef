"""`KernelGuard`: rules by nft, and bridges that show them what they forward, by netlink."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from orion.adapters import multicast
from orion.adapters.multicast import Source
from orion.adapters.netfilter import nft
from orion.adapters.netfilter.programs import NetfilterFailed
from orion.adapters.netfilter.sockets import GROUP_NFTABLES, open_netfilter
from orion.adapters.netlink import bridge, link
from orion.adapters.netlink.codec import Malformed
from orion.adapters.netlink.socket import Netlink, open_socket
from orion.adapters.netlink.words import in_words
from orion.model.guard import GuardRules
from orion.ports.guard import GuardFailed
from orion.reconcile.guard import TABLE, ruleset

QUIET_S = 0.05  # changes that follow on one another within it are told as one
ANSWER_S = 20.0  # of a call; what is in it has deadlines of its own
_SWITCH = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_TABLE = TABLE.encode() + b"\0"
_GROUP_LINK = 1  # RTNLGRP_LINK


class KernelGuard:
    """Acts on the network namespace of the thread that calls."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def apply(self, rules: GuardRules) -> None:
        async with _in_words("guarding tasks"), self._one_at_a_time:
            if rules.guards:
                await nft.load(ruleset(rules).script)
            elif await nft.chains(TABLE):
                await nft.remove(TABLE)
            await asyncio.to_thread(_show, rules)

    async def matches(self, rules: GuardRules) -> bool:
        async with _in_words("looking at guards of tasks"), self._one_at_a_time:
            if await nft.chains(TABLE) != (ruleset(rules).shown if rules.guards else {}):
                return False
            return await asyncio.to_thread(_all_show, rules)

    async def changes(self) -> AsyncGenerator[None, None]:
        sources = (
            Source(open_netfilter, (GROUP_NFTABLES,), lambda said: _TABLE in said),
            Source(open_socket, (_GROUP_LINK,), lambda _: True),
        )
        try:
            async with contextlib.aclosing(multicast.changes(sources, QUIET_S)) as told:
                async for _ in told:
                    yield
        except OSError as error:
            raise GuardFailed(in_words("learning of changes of rules", error)) from error

    async def remove(self) -> None:
        async with _in_words("taking guards of tasks away"), self._one_at_a_time:
            await nft.remove(TABLE)


# --- in a thread -------------------------------------------------------------------------------------------


def _show(rules: GuardRules) -> None:
    """Has bridges show to rules what they forward while there are guards, and else no more."""
    wanted = bool(rules.guards)
    if wanted and not _SWITCH.exists():
        raise GuardFailed(
            "the kernel does not show to rules what a bridge forwards, so allowFrom would not hold between tasks of"
            " this node: load its module with `modprobe br_netfilter`"
        )
    with Netlink() as netlink:
        for index, shows in _bridges(netlink, rules):
            if shows is not wanted and (error := netlink.do([bridge.show_to_rules(index, on=wanted)])[0]):
                raise error


def _all_show(rules: GuardRules) -> bool:
    wanted = bool(rules.guards)
    if wanted and not _SWITCH.exists():
        return False
    with Netlink() as netlink:
        return all(shows is wanted for _, shows in _bridges(netlink, rules))


def _bridges(netlink: Netlink, rules: GuardRules) -> Iterator[tuple[int, bool]]:
    """Yields those that are there: their index, and whether they show. One that is not there forwards nothing."""
    for network in rules.networks:
        try:
            body = netlink.one(link.get(network.bridge)).body
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
        else:
            yield link.read(body).index, bridge.shows_to_rules(body)


@contextlib.asynccontextmanager
async def _in_words(doing: str) -> AsyncGenerator[None, None]:
    try:
        async with asyncio.timeout(ANSWER_S):
            yield
    except NetfilterFailed as error:
        raise GuardFailed(error.detail) from error
    except TimeoutError as error:
        raise GuardFailed(f"{doing}: the kernel has not answered within {ANSWER_S:g} s") from error
    except (OSError, Malformed) as error:
        raise GuardFailed(in_words(doing, error)) from error
