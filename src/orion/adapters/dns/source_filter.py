"""A filter on a socket, of the kernel's classic BPF, that drops what certain addresses send before it is queued: it
then costs this process nothing, and takes no room from others. It needs no privilege and no rules of the host.
"""

import array
import socket
import struct
from collections.abc import Collection

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # linux/asm-generic/socket.h
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
    program = b"".join(map(_drop, sources)) + _INSTRUCTION.pack(_RETURN, 0, 0, _ALL)
    held = array.array("B", program)
    sock.setsockopt(
        socket.SOL_SOCKET,
        _SO_ATTACH_FILTER,
        _PROGRAM.pack(len(program) // _INSTRUCTION.size, held.buffer_info()[0]),
    )


def _drop(source: bytes) -> bytes:
    """Returns the instructions that drop what is from `source`, and go on behind themselves with all else."""
    words = [source[at : at + 4] for at in range(0, len(source), 4)]
    steps = b""
    for index, word in enumerate(words):
        at = _IP_HEAD + _SOURCE_AT[len(source)] + 4 * index
        behind = 2 * (len(words) - index - 1) + 1
        steps += _INSTRUCTION.pack(_LOAD_WORD, 0, 0, at)
        steps += _INSTRUCTION.pack(_JUMP_EQUAL, 0, behind, int.from_bytes(word, "big"))
    return steps + _INSTRUCTION.pack(_RETURN, 0, 0, 0)
