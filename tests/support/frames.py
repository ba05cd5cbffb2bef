"""Ethernet frames with a datagram in them, by hand: as nobody's kernel would send them."""

import socket
import struct

_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_ETHERNET = struct.Struct("!6s6sH")
_VXLAN = struct.Struct("!II")  # flags, network identifier (RFC 7348)
_IPV4, _WITH_IDENTIFIER = 0x0800, 0x0800_0000

End = tuple[str, int]  # address, port


def frame(target_mac: str, source_mac: str, target: End, source: End, payload: bytes) -> bytes:
    body = _UDP.pack(source[1], target[1], _UDP.size + len(payload), 0) + payload
    ends = socket.inet_aton(source[0]), socket.inet_aton(target[0])
    length = _IP.size + len(body)
    bare = _IP.pack(0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP, 0, *ends)
    total = sum(struct.unpack("!10H", bare))
    total = (total & 0xFFFF) + (total >> 16)
    head = _IP.pack(0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP, ~total & 0xFFFF, *ends)
    return _ETHERNET.pack(_mac(target_mac), _mac(source_mac), _IPV4) + head + body


def within_vxlan(identifier: int, inner: bytes) -> bytes:
    return _VXLAN.pack(_WITH_IDENTIFIER, identifier << 8) + inner


def read_vxlan(data: bytes) -> tuple[str, End, bytes]:
    """Returns the MAC that a frame is to, and the end and the payload of its datagram."""
    inner = data[_VXLAN.size :]
    packet = inner[_ETHERNET.size :]
    address = socket.inet_ntoa(packet[16:20])
    _, port, _, _ = _UDP.unpack_from(packet, _IP.size)
    return inner[:6].hex(":"), (address, port), packet[_IP.size + _UDP.size :]


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
