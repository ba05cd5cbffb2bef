"""A container that takes over an address is found at once, not a second later.

Docker's proxy takes connections on a published port before the container is on its network. The kernel then asks in
vain who has the address (ARP), asks again only after a second, and keeps connections of that second waiting. A
container that starts where another has just died is the rule here, so what was asked in vain is forgotten once it
has started.
"""

import contextlib
import errno
import os
import socket
import struct
from pathlib import Path

ARP_TABLE = Path("/proc/net/arp")

_RTM_DELNEIGH = 29
_NLM_F_REQUEST, _NLM_F_ACK = 1, 4
_NLMSG_ERROR = 2
_NDA_DST = 1
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, interface, state, flags, type
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_ERROR = struct.Struct("=i")
_INCOMPLETE = 0  # /proc/net/arp's flags: no ATF_COM
_NO_RIGHT = (errno.EPERM, errno.EACCES)


def forget_unanswered(address: str) -> bool:
    """Whether there was a question for this IPv4 address without an answer, which is now forgotten. Raises OSError
    when the kernel refuses; False where this process has no right to.
    """
    device = _asked_on(address)
    if device is None:
        return False
    try:
        _forget(address, socket.if_nametoindex(device))
    except OSError as error:
        if error.errno in _NO_RIGHT or error.errno == errno.ENOENT:  # or it has just been answered for
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


def _forget(address: str, interface: int) -> None:
    body = _NEIGHBOUR.pack(socket.AF_INET, interface, 0, 0, 0)
    raw = socket.inet_aton(address)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(raw), _NDA_DST) + raw
    head = _HEADER.pack(_HEADER.size + len(body), _RTM_DELNEIGH, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(1.0)
        netlink.send(head + body)
        answer = netlink.recv(4096)
    (code,) = _ERROR.unpack_from(answer, _HEADER.size)
    if code:
        raise OSError(-code, os.strerror(-code))
