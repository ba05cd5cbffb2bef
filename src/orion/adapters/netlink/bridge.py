"""Messages about bridges: whether they show what they forward to the rules of IP (linux/if_link.h). No I/O.

A bridge does so by its own switch or by the machine's (`net.bridge.bridge-nf-call-iptables`), as either says.
"""

import struct

from orion.adapters.netlink import codec
from orion.adapters.netlink.link import NEWLINK, Request

KIND = "bridge"
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_LINKINFO, _INFO_KIND, _INFO_DATA, _NF_CALL_IPTABLES = 18, 1, 2, 36


def shows_to_rules(body: memoryview) -> bool:
    """Returns whether the own switch of the bridge that is answered about is on. Raises Malformed."""
    codec.fields(_LINK, body)
    info = codec.attributes(codec.attributes(body[_LINK.size :]).get(_LINKINFO, memoryview(b"")))
    data = codec.attributes(info.get(_INFO_DATA, memoryview(b"")))
    if codec.as_text(info.get(_INFO_KIND)) != KIND:
        return False
    return bool(codec.as_number(data.get(_NF_CALL_IPTABLES), 1))


def show_to_rules(index: int, *, on: bool) -> Request:
    data = codec.nested(_INFO_DATA, codec.attribute(_NF_CALL_IPTABLES, bytes([on])))
    body = _LINK.pack(0, 0, index, 0, 0) + codec.nested(_LINKINFO, codec.text(_INFO_KIND, KIND), data)
    return Request(NEWLINK, codec.ACK, body)
