"""A container that takes over an address is found at once, not a second later.

Docker's proxy takes connections on a published port before the container is on its network. The kernel then asks in
vain who has the address (ARP), asks again only after a second, and keeps connections of that second waiting. A
container that starts where another has just died is the rule here, so the kernel is told who has the address once
it has started: what waits goes out, and what is told is checked as any other entry is.
"""

import contextlib
import errno
import socket
import struct
from pathlib import Path

from orion.adapters.netlink import codec

ARP_TABLE = Path("/proc/net/arp")

_RTM_NEWNEIGH = 28
_NDA_DST, _NDA_LLADDR = 1, 2
_NUD_STALE = 4
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, interface, state, flags, type
_INCOMPLETE = 0  # /proc/net/arp's flags: no ATF_COM
_NO_MATTER = (errno.EPERM, errno.EACCES, errno.ENOENT)  # no right to, or answered for or given up by now


def answer_for(address: str, mac: str) -> bool:
    """Returns whether there was a question for this IPv4 address without an answer, which is `mac` from now on.
    Raises OSError when the kernel refuses; False where this process has no right to, ValueError for what is no MAC.
    """
    device = _asked_on(address)
    if device is None:
        return False
    try:
        _tell(address, bytes.fromhex(mac.replace(":", "")), socket.if_nametoindex(device))
    except OSError as error:
        if error.errno in _NO_MATTER:
            return False
        raise
    return True


def _asked_on(address: str) -> str | None:
    """The device; None where nothing is asked, or has been answered."""
    with contextlib.suppress(OSError):
        for line in ARP_TABLE.read_text(encoding="ascii").splitlines()[1:]:
            found, _, flags, *_, device = line.split()
            if found == address and int(flags, 16) == _INCOMPLETE:
                return device
    return None


def _tell(address: str, mac: bytes, interface: int) -> None:
    body = _NEIGHBOUR.pack(socket.AF_INET, interface, _NUD_STALE, 0, 0)
    body += codec.attribute(_NDA_DST, socket.inet_aton(address)) + codec.attribute(_NDA_LLADDR, mac)
    flags = codec.REQUEST | codec.ACK | codec.REPLACE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(1.0)
        netlink.send(codec.message(_RTM_NEWNEIGH, flags, 1, body))
        for answer in codec.messages(netlink.recv(4096)):
            if error := codec.refusal(answer):
                raise error
