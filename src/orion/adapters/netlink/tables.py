"""Messages about what a link has: addresses, neighbours, forwarding, routes (linux/neighbour.h and rtnetlink.h). No
I/O. Requests to read ask for one link's. The kernel may answer with others' too, and the readers say whose each is.
"""

import socket
import struct

import msgspec

from orion.adapters.netlink import codec
from orion.adapters.netlink.link import Request, ip_text, mac_bytes, mac_text
from orion.model.overlay import Forwarding, Neighbour, Route

NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30

_NOARP, _PERMANENT = 0x40, 0x80  # NUD_…

_ADDRESS = struct.Struct("=BBBBi")  # struct ifaddrmsg: family, prefix length, flags, scope, interface
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_DAD_FAILED, _TENTATIVE = 0x08, 0x40

_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, interface, state, flags, type
_NDA_DST, _NDA_LLADDR, _NDA_PORT, _NDA_VNI, _NDA_IFINDEX = 1, 2, 6, 7, 8
_SELF = 0x02  # NTF_SELF: the device's own table, not that of a bridge above it

# struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags
_ROUTE = struct.Struct("=BBBBBBBBI")
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_MAIN, _BY_KERNEL, _STATIC, _UNICAST, _ONLINK = 254, 2, 4, 1, 4
_UNIVERSE, _LINK_SCOPE, _ANY_SCOPE = 0, 253, 255

_UPDATE = codec.ACK | codec.CREATE | codec.REPLACE


class Address(msgspec.Struct, frozen=True):
    """`usable`: the kernel has not found, and does not look for, another host that has it."""

    index: int
    address: str
    length: int
    usable: bool


# --- addresses ---------------------------------------------------------------------------------------------


def get_addresses(index: int = 0) -> Request:
    """Asks for all addresses of both families, or for one link's of IPv4."""
    family = socket.AF_INET if index else socket.AF_UNSPEC
    return Request(GETADDR, codec.DUMP, _ADDRESS.pack(family, 0, 0, 0, index))


def add_address(index: int, address: str) -> Request:
    return Request(NEWADDR, codec.ACK | codec.CREATE | codec.EXCL, _address(index, address))


def remove_address(index: int, address: str) -> Request:
    return Request(DELADDR, codec.ACK, _address(index, address))


def _address(index: int, address: str) -> bytes:
    host, length = _network(address)
    body = _ADDRESS.pack(socket.AF_INET, length, 0, 0, index)
    return body + codec.attribute(_IFA_LOCAL, host) + codec.attribute(_IFA_ADDRESS, host)


def read_address(body: memoryview) -> Address:
    """Raises Malformed."""
    _, length, flags, _, index = codec.fields(_ADDRESS, body)
    found = codec.attributes(body[_ADDRESS.size :])
    flags |= codec.as_number(found.get(_IFA_FLAGS))
    address = ip_text(found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS)))
    return Address(index, address, length, not flags & (_DAD_FAILED | _TENTATIVE))


# --- neighbours --------------------------------------------------------------------------------------------


def get_neighbours(index: int) -> Request:
    body = _NEIGHBOUR.pack(socket.AF_INET, 0, 0, 0, 0) + codec.number(_NDA_IFINDEX, index)
    return Request(GETNEIGH, codec.DUMP, body)


def set_neighbour(index: int, neighbour: Neighbour) -> Request:
    body = _NEIGHBOUR.pack(socket.AF_INET, index, _PERMANENT, 0, 0)
    body += codec.attribute(_NDA_DST, socket.inet_pton(socket.AF_INET, neighbour.address))
    return Request(NEWNEIGH, _UPDATE, body + codec.attribute(_NDA_LLADDR, mac_bytes(neighbour.mac)))


def remove_neighbour(index: int, neighbour: Neighbour) -> Request:
    body = _NEIGHBOUR.pack(socket.AF_INET, index, 0, 0, 0)
    body += codec.attribute(_NDA_DST, socket.inet_pton(socket.AF_INET, neighbour.address))
    return Request(DELNEIGH, codec.ACK, body)


def neighbour_link(body: memoryview) -> int:
    """Returns the index of the link of an entry of either table. Raises Malformed."""
    return codec.fields(_NEIGHBOUR, body)[1]


def read_neighbour(body: memoryview) -> Neighbour | None:
    """Returns None for an entry that is not permanent: the kernel makes and forgets those. Raises Malformed."""
    _, _, state, _, _ = codec.fields(_NEIGHBOUR, body)
    if not state & _PERMANENT:
        return None
    found = codec.attributes(body[_NEIGHBOUR.size :])
    return Neighbour(ip_text(found.get(_NDA_DST)), mac_text(found.get(_NDA_LLADDR)))


# --- forwarding --------------------------------------------------------------------------------------------


def get_forwarding(index: int) -> Request:
    return Request(GETNEIGH, codec.DUMP, _NEIGHBOUR.pack(socket.AF_BRIDGE, index, 0, 0, 0))


def set_forwarding(index: int, forwarding: Forwarding) -> Request:
    return Request(NEWNEIGH, _UPDATE, _forwarding(index, forwarding))


def remove_forwarding(index: int, forwarding: Forwarding) -> Request:
    return Request(DELNEIGH, codec.ACK, _forwarding(index, forwarding))


def _forwarding(index: int, forwarding: Forwarding) -> bytes:
    family = socket.AF_INET6 if ":" in forwarding.underlay else socket.AF_INET
    # Without NOARP the kernel takes it for an entry of a bridge, and refuses.
    body = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, _NOARP | _PERMANENT, _SELF, 0)
    body += codec.attribute(_NDA_LLADDR, mac_bytes(forwarding.mac))
    body += codec.attribute(_NDA_DST, socket.inet_pton(family, forwarding.underlay))
    if forwarding.port:
        body += codec.attribute(_NDA_PORT, forwarding.port.to_bytes(2, "big"))
    if forwarding.vni:
        body += codec.number(_NDA_VNI, forwarding.vni)
    return body


def read_forwarding(body: memoryview) -> Forwarding | None:
    """Returns None for an entry without a remote, by which nothing is sent. Raises Malformed."""
    _, _, state, _, _ = codec.fields(_NEIGHBOUR, body)
    found = codec.attributes(body[_NEIGHBOUR.size :])
    if _NDA_DST not in found:
        return None
    return Forwarding(
        mac_text(found.get(_NDA_LLADDR)),
        ip_text(found[_NDA_DST]),
        int.from_bytes(found.get(_NDA_PORT, b""), "big"),
        codec.as_number(found.get(_NDA_VNI)),
        permanent=bool(state & _PERMANENT),
    )


# --- routes ------------------------------------------------------------------------------------------------


def get_routes(index: int) -> Request:
    body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _MAIN, 0, 0, 0, 0)
    return Request(GETROUTE, codec.DUMP, body + codec.number(_RTA_TABLE, _MAIN) + codec.number(_RTA_OIF, index))


def get_routes_of_main() -> Request:
    return Request(GETROUTE, codec.DUMP, _ROUTE.pack(socket.AF_INET, 0, 0, 0, _MAIN, 0, 0, 0, 0))


def add_route(index: int, route: Route) -> Request:
    flags = codec.ACK | codec.CREATE | codec.EXCL
    scope, onlink = (_UNIVERSE, _ONLINK) if route.gateway else (_LINK_SCOPE, 0)
    return Request(NEWROUTE, flags, _route(index, route, _STATIC, scope, onlink))


def put_route(index: int, route: Route) -> Request:
    """Adds it, or has it take the place of the one to the same subnet."""
    scope = _UNIVERSE if route.gateway else _LINK_SCOPE
    return Request(NEWROUTE, _UPDATE, _route(index, route, _STATIC, scope, 0))


def remove_route(index: int, route: Route) -> Request:
    """Removes it whoever added it, so the protocol and the scope are left open."""
    return Request(DELROUTE, codec.ACK, _route(index, route, 0, _ANY_SCOPE, 0))


def _route(index: int, route: Route, protocol: int, scope: int, flags: int) -> bytes:
    network, length = _network(route.subnet)
    body = _ROUTE.pack(socket.AF_INET, length, 0, 0, _MAIN, protocol, scope, _UNICAST, flags)
    body += codec.attribute(_RTA_DST, network) + codec.number(_RTA_OIF, index)
    if route.gateway:
        body += codec.attribute(_RTA_GATEWAY, socket.inet_pton(socket.AF_INET, route.gateway))
    if route.metric:
        body += codec.number(_RTA_PRIORITY, route.metric)
    return body


def read_route(body: memoryview, *, by_kernel: bool = False) -> tuple[int, Route] | None:
    """Returns the link's index and the route; None for one that is not of the main table or is no way to another
    host, and one that the kernel added with an address unless those are asked for. Raises Malformed.
    """
    _, length, _, _, table, protocol, _, kind, _ = codec.fields(_ROUTE, body)
    found = codec.attributes(body[_ROUTE.size :])
    table = codec.as_number(found.get(_RTA_TABLE)) or table
    if protocol == _BY_KERNEL and not by_kernel:
        return None
    if table != _MAIN or kind != _UNICAST or _RTA_OIF not in found:
        return None
    network = ip_text(found.get(_RTA_DST)) or "0.0.0.0"  # noqa: S104  the default route has none
    metric = codec.as_number(found.get(_RTA_PRIORITY))
    return codec.as_number(found[_RTA_OIF]), Route(f"{network}/{length}", ip_text(found.get(_RTA_GATEWAY)), metric)


def _network(text: str) -> tuple[bytes, int]:
    """Returns the bytes of the address, and the length, of `10.200.3.0/24`."""
    address, _, length = text.partition("/")
    return socket.inet_pton(socket.AF_INET, address), int(length)
