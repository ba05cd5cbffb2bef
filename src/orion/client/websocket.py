"""A client's end of a WebSocket, on a socket that it waits for together with others."""

import base64
import contextlib
import http.client
import os
import select
import socket
import time

from orion.model.api.websocket import (
    BrokenWebSocket,
    Message,
    Messages,
    Opcode,
    Reason,
    close_frame,
    frame,
)
from orion.model.errors import Unavailable

READ_BYTES = 64 * 1024
SILENCE_S = 10.0  # three missed pings


def new_key() -> str:
    return base64.b64encode(os.urandom(16)).decode()


def upgrade_headers(host: str, key: str) -> dict[str, str]:
    return {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
    }


def head_of(sock: socket.socket) -> http.client.HTTPResponse:
    """The answer to a request for a WebSocket. Nothing behind its head is taken."""
    response = http.client.HTTPResponse(sock, method="GET")
    response.fp.close()
    response.fp = sock.makefile("rb", buffering=0)  # type: ignore[assignment]
    response.begin()
    return response


class WebSocket:
    """Nothing here blocks but `wait`. Raises Unavailable once the connection is broken, or silent for long."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        self._address = address
        self._messages = Messages(masked=False)
        self._unsent = bytearray()
        self._heard_at_s = time.monotonic()
        self.closed = False  # the other end has said its last
        sock.setblocking(False)

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def unsent_bytes(self) -> int:
        return len(self._unsent)

    def send(self, opcode: Opcode, data: bytes) -> None:
        """Keeps what the kernel does not take now. Whoever sends much looks at `unsent_bytes`."""
        self._unsent += frame(opcode, data, os.urandom(4))
        self._flush()

    def wait(self, inputs: tuple[int, ...] = (), timeout_s: float | None = None) -> set[int]:
        """Returns those of the `inputs`, file descriptors, that can be read now, and its own, if it can. Waits
        for one of them, at most `timeout_s`.
        """
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        for each in inputs:
            poll.register(each, select.POLLIN)
        left_s = self._heard_at_s + SILENCE_S - time.monotonic()
        wait_s = left_s if timeout_s is None else min(left_s, timeout_s)
        ready = dict(poll.poll(max(0, int(wait_s * 1000) + 1)))
        if ready.get(self.fileno(), 0) & select.POLLOUT:
            self._flush()
        if not ready and time.monotonic() - self._heard_at_s >= SILENCE_S:
            raise Unavailable(f"{self._address} has said nothing for {SILENCE_S:g} s")
        return {fd for fd, event in ready.items() if event & ~select.POLLOUT}

    def receive(self) -> list[Message]:
        """Returns the messages that have come."""
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            raise Unavailable(f"the connection to {self._address} broke")
        self._heard_at_s = time.monotonic()
        found = []
        try:
            for message in self._messages.feed(data):
                if message.opcode is Opcode.PING:
                    self.send(Opcode.PONG, message.data)
                elif message.opcode is Opcode.CLOSE:
                    self.closed = True
                else:
                    found.append(message)
        except BrokenWebSocket as error:
            raise Unavailable(f"{self._address} sent what is no WebSocket message: {error}") from None
        return found

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.send(close_frame(Reason.DONE, os.urandom(4)))
        self._sock.close()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                # What the other end has said of why is still to be read.
                self._unsent.clear()
                return
            del self._unsent[:sent]
