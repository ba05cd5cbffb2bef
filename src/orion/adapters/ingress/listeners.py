"""Sockets of this host that listen on a published port, which takes their connections away. Blocks, and is for a
thread. Reads the network namespace of that thread.
"""

import contextlib
import os
import re
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from orion.model.ingress import IngressPort, Listener

MAX_FOUND = 1_000
# States of include/net/tcp_states.h as /proc shows them: LISTEN, and CLOSE of a socket that takes all datagrams.
_FILES = (("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07"))
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")


class _Found(NamedTuple):
    port: int
    protocol: str
    address: str
    inode: int


def listeners(ports: Collection[IngressPort]) -> tuple[Listener, ...]:
    """Returns at most MAX_FOUND, without this process's own, which pass on. Raises OSError."""
    wanted, own = {(port.protocol, port.port) for port in ports}, set(_sockets("self"))
    found = sorted(each for each in _all(wanted) if each.inode not in own)[:MAX_FOUND]
    programs = _programs({each.inode for each in found}) if found else {}
    return tuple(Listener(each.port, each.protocol, each.address, programs.get(each.inode, "")) for each in found)


def _all(wanted: set[tuple[str, int]]) -> Iterator[_Found]:
    for name, protocol, state in _FILES:
        try:
            lines = Path(f"/proc/thread-self/net/{name}").read_text().splitlines()
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines[1:]:
            words = line.split()
            host, _, number = words[1].partition(":")
            port = int(number, 16)
            if words[3] == state and (protocol, port) in wanted and (address := _address(host)):
                yield _Found(port, protocol, address, int(words[9]))


def _address(shown: str) -> str:
    """Returns "" for one that no connection by IPv4 is to."""
    words = struct.pack(f"={len(shown) // 8}I", *(int(shown[at : at + 8], 16) for at in range(0, len(shown), 8)))
    if len(words) == 4:
        return socket.inet_ntop(socket.AF_INET, words)
    text = socket.inet_ntop(socket.AF_INET6, words)
    return text if text == "::" or text.startswith("::ffff:") else ""


def _programs(inodes: set[int]) -> dict[int, str]:
    """Returns names of programs, for those sockets whose processes this one may look at."""
    found: dict[int, str] = {}
    for process in filter(str.isdecimal, _listing("/proc")):
        held = inodes.intersection(_sockets(process))
        if held:
            with contextlib.suppress(OSError):  # it has ended
                name = Path(f"/proc/{process}/comm").read_text().strip()
                found = {**dict.fromkeys(held, name), **found}
        if len(found) == len(inodes):
            break
    return found


def _sockets(process: str) -> Iterator[int]:
    """Returns the inodes of the sockets that a process has, as far as this one may look at it."""
    for descriptor in _listing(f"/proc/{process}/fd"):
        try:
            held = _SOCKET.fullmatch(os.readlink(f"/proc/{process}/fd/{descriptor}"))  # noqa: PTH115  half the time
        except OSError:  # closed meanwhile
            continue
        if held:
            yield int(held[1])


def _listing(path: str) -> Iterable[str]:
    try:
        return os.listdir(path)  # noqa: PTH208  names are enough
    except OSError:  # ended, or somebody else's
        return ()
