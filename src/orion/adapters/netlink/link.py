"""Messages about links: a VXLAN device, and whatever else has a name or an MTU (linux/if_link.h). No I/O."""

import socket
import struct
from typing import NamedTuple

import msgspec

from orion.adapters.netlink import codec
from orion.model.overlay import FoundDevice, OverlayDevice

NEWLINK, DELLINK, GETLINK = 16, 17, 18
KIND = "vxlan"

_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, mask of flags
_UP = 0x1  # IFF_UP
_ADDRESS, _IFNAME, _MTU, _LINKINFO, _IFALIAS = 1, 3, 4, 18, 20
_INFO_KIND, _INFO_DATA = 1, 2
_VXLAN_ID, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_PORT, _VXLAN_LOCAL6 = 1, 4, 7, 15, 17


class Link(msgspec.Struct, frozen=True):
    """Any link. `vxlan` is None for one of another `kind`."""

    index: int
    name: str
    kind: str
    mtu: int
    vxlan: FoundDevice | None


class Request(NamedTuple):
    """A message before it has a sequence number."""

    kind: int
    flags: int
    body: bytes


def get(name: str) -> Request:
    return Request(GETLINK, 0, _LINK.pack(0, 0, 0, 0, 0) + codec.text(_IFNAME, name))


def get_by_index(index: int) -> Request:
    return Request(GETLINK, 0, _LINK.pack(0, 0, index, 0, 0))


def get_all() -> Request:
    return Request(GETLINK, codec.DUMP, _LINK.pack(0, 0, 0, 0, 0))


def create(device: OverlayDevice, kind: str = KIND) -> Request:
    """Creates a VXLAN device, which is down. The kernel gives a device an alias only once it is there."""
    local = (_VXLAN_LOCAL6, socket.AF_INET6) if ":" in device.local else (_VXLAN_LOCAL, socket.AF_INET)
    data = codec.nested(
        _INFO_DATA,
        codec.number(_VXLAN_ID, device.vni),
        codec.attribute(local[0], socket.inet_pton(local[1], device.local)),
        codec.attribute(_VXLAN_LEARNING, b"\0"),
        codec.attribute(_VXLAN_PORT, device.port.to_bytes(2, "big")),
    )
    body = (
        _LINK.pack(0, 0, 0, 0, 0)
        + codec.text(_IFNAME, device.name)
        + codec.attribute(_ADDRESS, mac_bytes(device.mac))
        + codec.number(_MTU, device.mtu)
        + codec.nested(_LINKINFO, codec.text(_INFO_KIND, kind), data)
    )
    return Request(NEWLINK, codec.ACK | codec.CREATE | codec.EXCL, body)


def change(index: int, mtu: int, alias: str) -> Request:
    """Sets MTU and alias, and brings the link up."""
    body = _LINK.pack(0, 0, index, _UP, _UP) + codec.number(_MTU, mtu) + codec.attribute(_IFALIAS, alias.encode())
    return Request(NEWLINK, codec.ACK, body)


def delete(index: int) -> Request:
    return Request(DELLINK, codec.ACK, _LINK.pack(0, 0, index, 0, 0))


def read(body: memoryview) -> Link:
    """Raises Malformed."""
    _, _, index, flags, _ = codec.fields(_LINK, body)
    found = codec.attributes(body[_LINK.size :])
    info = codec.attributes(found.get(_LINKINFO, memoryview(b"")))
    kind = codec.as_text(info.get(_INFO_KIND))
    mtu = codec.as_number(found.get(_MTU))
    vxlan = None
    if kind == KIND:
        data = codec.attributes(info.get(_INFO_DATA, memoryview(b"")))
        vxlan = FoundDevice(
            vni=codec.as_number(data.get(_VXLAN_ID)),
            port=int.from_bytes(data.get(_VXLAN_PORT, b""), "big"),
            local=ip_text(data.get(_VXLAN_LOCAL, data.get(_VXLAN_LOCAL6))),
            mac=mac_text(found.get(_ADDRESS)),
            mtu=mtu,
            alias=codec.as_text(found.get(_IFALIAS)),
            learning=bool(codec.as_number(data.get(_VXLAN_LEARNING), 1)),
            up=bool(flags & _UP),
        )
    return Link(index, codec.as_text(found.get(_IFNAME)), kind, mtu, vxlan)


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(value: memoryview | None) -> str:
    return "" if value is None else value.hex(":")


def ip_text(value: memoryview | None) -> str:
    """Returns an address of either family; "" when there is none. Raises Malformed."""
    if value is None:
        return ""
    if len(value) not in _FAMILY:
        raise codec.Malformed(f"a netlink address has {len(value)} bytes")
    return socket.inet_ntop(_FAMILY[len(value)], value)


_FAMILY = {4: socket.AF_INET, 16: socket.AF_INET6}
