"""A filter on a socket, of the kernel's classic BPF, that lets through what has certain bytes in its IP packet."""

import array
import socket
import struct
from collections.abc import Sequence

_SO_ATTACH_FILTER = 26  # linux/asm-generic/socket.h
_LOAD = {1: 0x30, 2: 0x28, 4: 0x20}
_JUMP_EQUAL, _RETURN = 0x15, 0x06
_IP_HEAD = 0xFFF0_0000  # SKF_NET_OFF: offsets count from the IP head
_ALL = 0xFFFF_FFFF
_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")

Bytes = tuple[int, bytes]  # an offset, and what is there: 1, 2 or a multiple of 4 bytes


def let_through(sock: socket.socket, wanted: Sequence[Bytes]) -> None:
    """All of `wanted` have to be there. Raises OSError."""
    steps = [part for each in wanted for part in _parts(*each)]
    program = bytearray()
    for index, (offset, value) in enumerate(steps):
        to_the_end = 2 * (len(steps) - index - 1) + 1
        program += _INSTRUCTION.pack(_LOAD[len(value)], 0, 0, _IP_HEAD + offset)
        program += _INSTRUCTION.pack(_JUMP_EQUAL, 0, to_the_end, int.from_bytes(value, "big"))
    program += _INSTRUCTION.pack(_RETURN, 0, 0, _ALL) + _INSTRUCTION.pack(_RETURN, 0, 0, 0)
    held = array.array("B", bytes(program))
    size = len(program) // _INSTRUCTION.size
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM.pack(size, held.buffer_info()[0]))


def _parts(offset: int, value: bytes) -> list[Bytes]:
    if len(value) <= 2:
        return [(offset, value)]
    return [(offset + at, value[at : at + 4]) for at in range(0, len(value), 4)]
