"""Programs of classic BPF, by which the kernel decides about a packet by its source before it is queued. It drops
what certain addresses send, which then costs this process nothing, or puts it into a queue of its own, where it
takes no room from others. That needs no privilege and no rules of the host.
"""

import array
import socket
import struct
from collections.abc import Collection, Mapping

_SO_ATTACH_FILTER, _SO_DETACH_FILTER, _SO_ATTACH_REUSEPORT_CBPF = 26, 27, 51  # linux/asm-generic/socket.h
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_IP_HEAD = 0xFFF0_0000  # SKF_NET_OFF: offsets count from the IP head
_SOURCE_AT = {4: 12, 16: 8}
_ALL = 0xFFFF_FFFF
_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")


def set_dropped(sock: socket.socket, sources: Collection[bytes]) -> None:
    """`sources` have 4 bytes or 16, as the socket's family has; none: nothing is dropped. Raises OSError."""
    if not sources:
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        return
    _attach(sock, _SO_ATTACH_FILTER, dict.fromkeys(sources, 0), _ALL)


def steer(sock: socket.socket, queues: Mapping[bytes, int]) -> None:
    """Chooses among all sockets that are bound to the address of `sock` (SO_REUSEPORT), numbered in the order in
    which they were: `queues` has the number for each source; all else comes to the first. Raises OSError.
    """
    _attach(sock, _SO_ATTACH_REUSEPORT_CBPF, queues, 0)


def _attach(sock: socket.socket, option: int, values: Mapping[bytes, int], otherwise: int) -> None:
    """A program that is worth the value of the packet's source."""
    program = b"".join(_worth(source, value) for source, value in values.items())
    program += _INSTRUCTION.pack(_RETURN, 0, 0, otherwise)
    held = array.array("B", program)
    sock.setsockopt(
        socket.SOL_SOCKET, option, _PROGRAM.pack(len(program) // _INSTRUCTION.size, held.buffer_info()[0])
    )


def _worth(source: bytes, value: int) -> bytes:
    """Returns the instructions that return `value` for `source`, and go on behind themselves with all else."""
    words = [source[at : at + 4] for at in range(0, len(source), 4)]
    steps = b""
    for index, word in enumerate(words):
        at = _IP_HEAD + _SOURCE_AT[len(source)] + 4 * index
        behind = 2 * (len(words) - index - 1) + 1
        steps += _INSTRUCTION.pack(_LOAD_WORD, 0, 0, at)
        steps += _INSTRUCTION.pack(_JUMP_EQUAL, 0, behind, int.from_bytes(word, "big"))
    return steps + _INSTRUCTION.pack(_RETURN, 0, 0, value)
