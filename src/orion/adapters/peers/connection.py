"""One TCP connection, at either end: first the hellos, then frames for the lane that takes the connection over."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from orion.adapters.peers.handshake import Greeter, ThrottledLog
from orion.ports.peers import Principal
from orion.process.tcp_info import Socket, tcp_info
from orion.wire.envelopes import (
    LANE_STREAM,
    Hello,
    Refusal,
    decode_hello,
    decode_refusal,
    encode_hello,
    encode_refusal,
)
from orion.wire.frames import MAX_FRAME_BYTES, MAX_HELLO_BYTES, Frame, FrameError, FrameReader, Kind

HELLO_TIMEOUT_S = 2.0
USER_TIMEOUT_MS = 3_000  # the connection ends when sent data is not acknowledged for this long
KEEPALIVE_S = 1  # of silence before the first probe; three unanswered probes a second apart end the connection
READER_LOOK_S = 2.0  # between two looks whether the host at the other end of a stream is still there
GATHER_BYTES = 64 * 1024  # once so much is gathered, it goes out before the turn of the loop ends
WRITE_HIGH_BYTES = 1024 * 1024  # past this, writers wait

OnFrame = Callable[[Frame], None]


class Connection(asyncio.Protocol):
    """One end of a connection. On the accepting end `lane` is None until the hello has come.

    `on_open` is called once the hellos are exchanged. It sets `on_frame`, and `on_lost` and `on_writable` if it
    needs them.
    """

    def __init__(
        self,
        greeter: Greeter,
        throttled: ThrottledLog,
        on_open: "Callable[[Connection], None]",
        lane: str | None = None,
    ) -> None:
        self._greeter = greeter
        self._log = throttled
        self._on_open = on_open
        self._reader = FrameReader(MAX_HELLO_BYTES)
        self._transport: asyncio.Transport
        self._made = False
        self._deadline: asyncio.TimerHandle | None = None
        self._watcher: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None  # set while writers wait
        self._turn_over: asyncio.Handle | None = None  # set from the first write of a turn to its end
        self._turn_bytes = 0  # written in this turn
        self._gathered = bytearray()  # the later writes of the turn
        self._dialled = lane is not None
        self.lane = lane
        self.remote = "?"
        self.hello: Hello
        self._asked_ms: int | None = None  # by the clock on the wall, where this end said hello first
        self.opened = False
        self.paused = False
        self._held = False  # frames wait until `release`
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed_here = False
        self.fault = ""  # why it was refused, when it was
        self.on_made: Callable[[], None] = lambda: None
        self.on_frame: OnFrame = lambda _: None
        self.on_lost: Callable[[], None] = lambda: None
        self.on_writable: Callable[[], None] = lambda: None

    # --- asyncio.Protocol ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._made = True
        if self.closed_here:  # closed before it was made
            self._transport.close()
            return
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        name = transport.get_extra_info("peername")
        self.remote = f"{name[0]}:{name[1]}" if name else "?"
        self._deadline = asyncio.get_running_loop().call_later(HELLO_TIMEOUT_S, self._too_late)
        if self.lane is not None:
            hello = self._greeter.hello(self.lane)
            self._asked_ms = hello.wall_ms
            self._transport.write(encode_hello(hello))
        self.on_made()

    def data_received(self, data: bytes) -> None:
        self._reader.push(data)
        self._take()

    def _take(self) -> None:
        try:
            while not (self.closed_here or self._held) and (frame := self._reader.pop()) is not None:
                if not self.opened:
                    self._greet(frame)
                elif self._dialled and frame.kind == Kind.REFUSED:
                    self._greeter.turned_away(decode_refusal(frame.payload))
                else:
                    self.on_frame(frame)
        except FrameError as error:
            self._refuse(str(error))

    def eof_received(self) -> None:
        """Lets the transport close itself: a peer that sends no more is gone."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._cancel_deadline()
        if self._watcher is not None:
            self._watcher.cancel()
        self.paused = False
        self._wake_writers()
        self.over.set_result(None)
        if not self._greeted.done():
            self._greeted.set_result(None)
        self.on_lost()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._wake_writers()
        self.on_writable()

    # --- for the lane that took it over -------------------------------------------------------------------

    @property
    def lost(self) -> bool:
        return self.over.done()

    @property
    def principal(self) -> Principal:
        """Who asks, for whom the other end is."""
        return Principal(self.hello.node)

    async def greeted(self) -> None:
        """Returns once the hellos are exchanged. Raises ConnectionError when the other end hung up instead."""
        await asyncio.shield(self._greeted)
        if not self.opened or self.lost:
            raise ConnectionError(self.fault or "it hung up")

    def write(self, data: bytes) -> None:
        """Writes. The first write of a turn of the loop goes out at once. The others of the turn go out together at
        its end: each would be a system call of its own, and sixty replies are often ready in one turn.
        """
        if self.over.done():
            return
        self._turn_bytes += len(data)
        if self._turn_over is None:
            self._turn_over = asyncio.get_running_loop().call_soon(self._end_turn)
            self._transport.write(data)
            return
        self._gathered += data
        if len(self._gathered) >= GATHER_BYTES:
            self._flush()

    def write_all(self, frames: list[bytes]) -> None:
        self.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _end_turn(self) -> None:
        self._turn_over = None
        self._turn_bytes = 0
        self._flush()

    def _flush(self) -> None:
        if self._gathered and not self.over.done():
            self._transport.write(bytes(self._gathered))
        self._gathered.clear()

    async def drained(self) -> None:
        """Returns when there is room to write again, or the connection is lost."""
        if self._transport.is_closing():
            # A write has failed, or the other end hung up. Without a wait here a runner that only writes would
            # never let the loop tell it so.
            await asyncio.shield(self.over)
        if self._turn_bytes > WRITE_HIGH_BYTES:
            await asyncio.sleep(0)  # a transport may need the loop to see that it is full: uvloop's over TLS does
        while self.paused:
            if self._writable is None:
                self._writable = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        if not self.over.done():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.over.done():
            self._transport.resume_reading()

    def hold(self) -> None:
        """Stops reading, and keeps frames that were read from `on_frame`, until `release` or `turn_away`."""
        self._held = True
        self.pause_reading()

    def release(self) -> None:
        self._held = False
        self._take()
        if not self._transport.is_closing():
            self.resume_reading()

    def turn_away(self, refusal: Refusal) -> None:
        """Tells the other end why it is not let in, and closes."""
        self.write(encode_refusal(refusal))
        self.close()

    def close(self) -> None:
        """Sends all that was written, then closes."""
        self.closed_here = True
        if self._made:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        self.closed_here = True
        self._transport.abort()

    # --- hellos -------------------------------------------------------------------------------------------

    def _greet(self, frame: Frame) -> None:
        hello = decode_hello(frame)
        if not self._dialled:
            self.lane = hello.lane
            self._transport.write(encode_hello(self._greeter.hello(hello.lane)))
        elif hello.lane != self.lane:
            raise FrameError("it answered for another lane")
        self._greeter.meet(hello, self._asked_ms)
        self.hello = hello
        self._cancel_deadline()
        self._set_options()
        self._reader.max_frame_bytes = MAX_FRAME_BYTES
        self.opened = True
        self._on_open(self)
        self._greeted.set_result(None)

    def _set_options(self) -> None:
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # lost already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
            if self.lane == LANE_STREAM:
                # Not TCP_USER_TIMEOUT: for Linux a full receive window counts too, and a stream's reader may be
                # slow.
                self._watch_reader(sock)
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    def _watch_reader(self, sock: Socket) -> None:
        """Aborts the connection when the other end's host is gone. Keepalive does not probe while data is on its
        way.
        """
        if (told := tcp_info(sock)) is None:
            return
        if told.gone:
            self._transport.abort()
        else:
            self._watcher = asyncio.get_running_loop().call_later(READER_LOOK_S, self._watch_reader, sock)

    def _too_late(self) -> None:
        self._refuse(f"no hello within {HELLO_TIMEOUT_S:.0f} s")

    def _refuse(self, why: str) -> None:
        self.fault = why
        host = self.remote.rpartition(":")[0]
        way = "to" if self._dialled else "from"
        self._log.warning(f"{way} {host}", "closed a peer connection %s %s: %s", way, self.remote, why)
        self.close()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _wake_writers(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
