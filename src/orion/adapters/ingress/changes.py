"""Word from the kernel that something changed that published ports may need."""

import contextlib
from collections.abc import AsyncGenerator

from orion.adapters import multicast
from orion.adapters.ingress import routing
from orion.adapters.multicast import Source
from orion.adapters.netfilter.sockets import GROUP_NFTABLES, open_netfilter
from orion.adapters.netlink import codec
from orion.adapters.netlink.socket import open_socket
from orion.ports.ingress import IngressFailed
from orion.reconcile.ingress import TABLE

QUIET_S = 0.05  # changes that follow on one another within it are told as one
_LINK_GROUPS = (1, 7, 8)  # RTNLGRP_LINK, IPV4_ROUTE, IPV4_RULE
_TABLE = TABLE.encode() + b"\0"


async def changes() -> AsyncGenerator[None, None]:
    """As `Ingress.changes` says."""
    sources = (
        Source(open_netfilter, (GROUP_NFTABLES,), lambda said: _TABLE in said),
        Source(open_socket, _LINK_GROUPS, _matters),
    )
    try:
        async with contextlib.aclosing(multicast.changes(sources, QUIET_S)) as told:
            async for _ in told:
                yield
    except OSError as error:
        raise IngressFailed(
            f"the kernel does not tell of changes of its rules ({error.strerror}): published ports need one with "
            "nf_tables"
        ) from error


def _matters(data: bytes) -> bool:
    """All links do: ports of bridges come and go. Of rules and routes only ours."""
    try:
        return any(_is_ours(message) for message in codec.messages(data))
    except codec.Malformed:
        return True  # a look does no harm


def _is_ours(message: codec.Message) -> bool:
    if message.kind in {routing.NEWRULE, routing.DELRULE}:
        return routing.read_rule(message.body) is not None
    if message.kind in {routing.NEWROUTE, routing.DELROUTE}:
        return routing.read_route(message.body) is not None
    return True
