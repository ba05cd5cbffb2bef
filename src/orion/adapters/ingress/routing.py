"""Messages about rules of routing, tables of routes and ports of bridges (linux/fib_rules.h, if_link.h). No I/O."""

import socket
import struct
from functools import lru_cache

import msgspec

from orion.adapters.netlink import codec
from orion.adapters.netlink.link import Request, ip_text
from orion.reconcile.ingress import MARK, MARK_MASK
from orion.reconcile.ingress_routes import (
    END_PRIORITY,
    MARK_PRIORITY,
    PROTOCOL,
    SKIP_PRIORITY,
    MarkRule,
)

NEWRULE, DELRULE, GETRULE = 32, 33, 34
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
_GETLINK, _SETLINK = 18, 19

# struct fib_rule_hdr and struct rtmsg: family, lengths of destination and source, TOS, table, …
_RULE = struct.Struct("=BBBBBxxBI")  # …, action, flags
_ROUTE = struct.Struct("=BBBBBBBBI")  # …, protocol, scope, type, flags
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, mask of flags

_IIF, _GOTO, _PRIORITY, _MARK, _TABLE, _MASK, _PROTOCOL = 3, 4, 6, 10, 15, 16, 21  # FRA_…
_TO_TABLE, _TO_RULE, _NOTHING = 1, 2, 3  # FR_ACT_…
_INVERT = 2
_EVERY_BIT = 0xFFFF_FFFF
_NEW = codec.ACK | codec.CREATE | codec.EXCL

_OIF, _GATEWAY, _RTA_TABLE = 4, 5, 15  # RTA_…
_UNICAST, _ONLINK, _UNIVERSE, _ANY_SCOPE = 1, 4, 0, 255

_MASTER, _LINKINFO, _PROTINFO, _IFNAME = 10, 18, 12, 3  # IFLA_…
_SLAVE_KIND, _SLAVE_DATA = 4, 5  # IFLA_INFO_…
_HAIRPIN = 4  # IFLA_BRPORT_MODE


_KEPT = 1_024  # that were read before: they are read again with every change, and seldom others


class FoundRule(msgspec.Struct, frozen=True):
    """A rule of ours as the kernel has it, whatever became of it."""

    priority: int
    bridge: str
    mark: int
    mask: int
    table: int
    action: int
    target: int
    flags: int


def wanted(rule: MarkRule) -> FoundRule:
    return FoundRule(MARK_PRIORITY, rule.bridge, rule.mark, _EVERY_BIT, rule.table, _TO_TABLE, 0, 0)


# Packets without a mark skip the rules; those with one that none of them is for go on.
SKIP = FoundRule(SKIP_PRIORITY, "", MARK, MARK_MASK, 0, _TO_RULE, END_PRIORITY, _INVERT)
END = FoundRule(END_PRIORITY, "", 0, 0, 0, _NOTHING, 0, 0)


def get_rules() -> Request:
    return Request(GETRULE, codec.DUMP, _RULE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0))


def add_rule(rule: FoundRule) -> Request:
    return Request(NEWRULE, _NEW, _rule(rule))


def remove_rule(rule: FoundRule) -> Request:
    return Request(DELRULE, codec.ACK, _rule(rule))


def _rule(rule: FoundRule) -> bytes:
    body = _RULE.pack(socket.AF_INET, 0, 0, 0, 0, rule.action, rule.flags & _INVERT)
    body += codec.number(_PRIORITY, rule.priority) + codec.attribute(_PROTOCOL, bytes((PROTOCOL,)))
    if rule.bridge:
        body += codec.text(_IIF, rule.bridge)
    if rule.mask:
        body += codec.number(_MARK, rule.mark) + codec.number(_MASK, rule.mask)
    if rule.table:
        body += codec.number(_TABLE, rule.table)
    if rule.target:
        body += codec.number(_GOTO, rule.target)
    return body


def read_rule(body: memoryview) -> FoundRule | None:
    """Returns None for one of others. Raises Malformed."""
    return _read_rule(bytes(body))


@lru_cache(maxsize=_KEPT)
def _read_rule(data: bytes) -> FoundRule | None:
    body = memoryview(data)
    fields = codec.fields(_RULE, body)
    found = codec.attributes(body[_RULE.size :])
    if codec.as_number(found.get(_PROTOCOL), 1) != PROTOCOL:
        return None
    return FoundRule(
        priority=codec.as_number(found.get(_PRIORITY)),
        bridge=codec.as_text(found.get(_IIF)),
        mark=codec.as_number(found.get(_MARK)),
        mask=codec.as_number(found.get(_MASK)),
        table=codec.as_number(found.get(_TABLE)),
        action=fields[5],
        target=codec.as_number(found.get(_GOTO)),
        flags=fields[6] & _INVERT,
    )


# --- routes ------------------------------------------------------------------------------------------------


def get_routes() -> Request:
    """Asks for ours, in all tables."""
    return Request(GETROUTE, codec.DUMP, _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, PROTOCOL, 0, 0, 0))


def add_route(table: int, index: int, gateway: str) -> Request:
    """`index`: of the VXLAN device."""
    return Request(NEWROUTE, codec.ACK | codec.CREATE | codec.REPLACE, _route(table, index, gateway, _UNIVERSE))


def remove_route(table: int, index: int, gateway: str) -> Request:
    return Request(DELROUTE, codec.ACK, _route(table, index, gateway, _ANY_SCOPE))


def _route(table: int, index: int, gateway: str, scope: int) -> bytes:
    body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, PROTOCOL, scope, _UNICAST, _ONLINK)
    body += codec.number(_RTA_TABLE, table) + codec.number(_OIF, index)
    return body + codec.attribute(_GATEWAY, socket.inet_pton(socket.AF_INET, gateway))


def read_route(body: memoryview) -> tuple[int, int, str] | None:
    """Returns the table, the index of the device and the gateway; None for a route of others. Raises Malformed."""
    return _read_route(bytes(body))


@lru_cache(maxsize=_KEPT)
def _read_route(data: bytes) -> tuple[int, int, str] | None:
    body = memoryview(data)
    _, length, _, _, table, protocol, *_ = codec.fields(_ROUTE, body)
    if protocol != PROTOCOL or length:
        return None
    found = codec.attributes(body[_ROUTE.size :])
    table = codec.as_number(found.get(_RTA_TABLE)) or table
    return table, codec.as_number(found.get(_OIF)), ip_text(found.get(_GATEWAY))


# --- ports of bridges --------------------------------------------------------------------------------------


def get_ports(bridge: int) -> Request:
    """Asks for the links that are ports of the bridge with this index."""
    return Request(_GETLINK, codec.DUMP, _LINK.pack(0, 0, 0, 0, 0) + codec.number(_MASTER, bridge))


def read_port(body: memoryview, bridge: int) -> tuple[int, bool] | None:
    """Returns a port's index, and whether it sends back where a packet came from; None for one that is none of this
    bridge. Raises Malformed.
    """
    _, _, index, _, _ = codec.fields(_LINK, body)
    found = codec.attributes(body[_LINK.size :])
    info = codec.attributes(found.get(_LINKINFO, memoryview(b"")))
    if codec.as_number(found.get(_MASTER)) != bridge or codec.as_text(info.get(_SLAVE_KIND)) != "bridge":
        return None
    data = codec.attributes(info.get(_SLAVE_DATA, memoryview(b"")))
    return index, bool(codec.as_number(data.get(_HAIRPIN), 1))


def set_hairpin(port: int) -> Request:
    body = _LINK.pack(socket.AF_BRIDGE, 0, port, 0, 0)
    return Request(_SETLINK, codec.ACK, body + codec.nested(_PROTINFO, codec.attribute(_HAIRPIN, b"\x01")))
