"""Messages about connections that the kernel tracks (linux/netfilter/nfnetlink_conntrack.h). No I/O.

Those to a backend are known by where their answers come from.
"""

import struct
from typing import NamedTuple

from orion.adapters.netlink import codec
from orion.adapters.netlink.codec import Malformed
from orion.adapters.netlink.link import Request
from orion.model.ingress import Backend

_SUBSYSTEM = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _SUBSYSTEM | 1, _SUBSYSTEM | 2  # IPCTNL_MSG_CT_…
_INET = 2
_HEAD = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource
_TUPLE_ORIGINAL, _TUPLE_REPLY, _STATUS, _FILTER, _STATUS_MASK = 1, 2, 3, 25, 26  # CTA_…
_IP, _PROTO = 1, 2  # CTA_TUPLE_…
_IP_SOURCE = 1  # CTA_IP_V4_SRC
_PROTO_NUMBER, _PROTO_SOURCE = 1, 2  # CTA_PROTO_NUM, CTA_PROTO_SRC_PORT
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_…
# CTA_FILTER_F_CTA_IP_SRC, _PROTO_NUM, _PROTO_SRC_PORT
_WHAT_COUNTS = 1 << 0 | 1 << 3 | 1 << 4
_TRANSLATED = (1 << 5).to_bytes(4, "big")  # IPS_DST_NAT
_LENGTH = struct.Struct("=H")
# The attribute with the ends of answers: kind, source, protocol, its source port.
_REPLY = struct.Struct("=2xH8x4s16xB7x2s")


class Connection(NamedTuple):
    """`original`: its ends as it came, in the kernel's bytes."""

    backend: Backend
    protocol: int
    original: memoryview


def get() -> Request:
    """Asks for all connections whose destination was translated. Kernels before 5.15 show the others too."""
    status = codec.attribute(_STATUS, _TRANSLATED) + codec.attribute(_STATUS_MASK, _TRANSLATED)
    return Request(_GET, codec.DUMP, _HEAD.pack(_INET, 0, 0) + status)


def read(body: memoryview) -> Connection:
    """Raises Malformed. There are many: so no attribute is taken apart that is where it always is."""
    if len(body) >= _HEAD.size + _LENGTH.size:
        (length,) = _LENGTH.unpack_from(body, _HEAD.size)
        at = _HEAD.size + length
        if len(body) >= at + _REPLY.size:
            kind, address, protocol, port = _REPLY.unpack_from(body, at)
            if kind & ~codec.NESTED == _TUPLE_REPLY:
                backend = Backend(int.from_bytes(address, "big"), int.from_bytes(port, "big"))
                return Connection(backend, protocol, body[_HEAD.size + 4 : at])
    raise Malformed("a tracked connection is not shown as this kernel's interface has it")


def delete(connection: Connection) -> Request:
    original = codec.nested(_TUPLE_ORIGINAL, bytes(connection.original))
    return Request(_DELETE, codec.ACK, _HEAD.pack(_INET, 0, 0) + original)


def delete_all(backend: Backend, protocol: int) -> Request:
    """Has the kernel look for those of the backend itself, among all that there are."""
    answers = codec.nested(
        _TUPLE_REPLY,
        codec.nested(_IP, codec.attribute(_IP_SOURCE, backend.ip.to_bytes(4, "big"))),
        codec.nested(
            _PROTO,
            codec.attribute(_PROTO_NUMBER, bytes((protocol,))),
            codec.attribute(_PROTO_SOURCE, backend.port.to_bytes(2, "big")),
        ),
    )
    flags = codec.nested(_FILTER, codec.number(_ORIGINAL_FLAGS, 0), codec.number(_REPLY_FLAGS, _WHAT_COUNTS))
    return Request(_DELETE, codec.ACK, _HEAD.pack(_INET, 0, 0) + answers + flags)
