"""One connection, and the one that it is passed on by."""

import asyncio
import contextlib
import socket
import struct

CONNECT_S = 5.0
CHUNK_BYTES = 64 * 1024
# A peer that has gone without a word is given up after some two minutes, one that takes nothing any more after one.
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_ENDED = OSError, ValueError  # of a socket that was closed; the second one of uvloop
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: its end is a reset


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Until both ends are done. Where one is reset, so is the other."""
    try:
        async with asyncio.timeout(CONNECT_S):
            near_reader, near_writer = await asyncio.open_connection("127.0.0.1", port, limit=CHUNK_BYTES)
        try:
            await _both_ways(reader, writer, near_reader, near_writer)
        finally:
            near_writer.transport.close()
    except* OSError:  # TimeoutError is one
        _reset(writer)
    finally:
        writer.transport.close()


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    near_reader: asyncio.StreamReader,
    near_writer: asyncio.StreamWriter,
) -> None:
    for each in (writer, near_writer):
        _prepare(each)
    try:
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_way(reader, near_writer))
            ways.create_task(_way(near_reader, writer))
    except* OSError:
        _reset(writer)
        _reset(near_writer)


async def _way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    if not writer.is_closing():
        writer.write_eof()


def _prepare(writer: asyncio.StreamWriter) -> None:
    for level, option, value in _OPTIONS:
        with contextlib.suppress(*_ENDED):
            writer.get_extra_info("socket").setsockopt(level, option, value)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(*_ENDED):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
