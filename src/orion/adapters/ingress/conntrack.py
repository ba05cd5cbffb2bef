"""Messages about connections that the kernel tracks (linux/netfilter/nfnetlink_conntrack.h). No I/O.

Those to a backend are known by where their answers come from: the kernel looks for them itself.
"""

import struct

from orion.adapters.netlink import codec
from orion.adapters.netlink.link import Request
from orion.model.ingress import Backend

_SUBSYSTEM = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _SUBSYSTEM | 1, _SUBSYSTEM | 2  # IPCTNL_MSG_CT_…
_INET = 2
_HEAD = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource
_TUPLE_REPLY, _FILTER = 2, 25  # CTA_…
_IP, _PROTO = 1, 2  # CTA_TUPLE_…
_IP_SOURCE = 1  # CTA_IP_V4_SRC
_PROTO_NUMBER, _PROTO_SOURCE = 1, 2  # CTA_PROTO_NUM, CTA_PROTO_SRC_PORT
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_…
# CTA_FILTER_F_CTA_IP_SRC, _PROTO_NUM, _PROTO_SRC_PORT
_WHAT_COUNTS = 1 << 0 | 1 << 3 | 1 << 4


def get(backend: Backend, protocol: int) -> Request:
    """Asks for the connections."""
    return Request(_GET, codec.DUMP, _those_of(backend, protocol))


def delete(backend: Backend, protocol: int) -> Request:
    """Deletes them all."""
    return Request(_DELETE, codec.ACK, _those_of(backend, protocol))


def _those_of(backend: Backend, protocol: int) -> bytes:
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
    return _HEAD.pack(_INET, 0, 0) + answers + flags
