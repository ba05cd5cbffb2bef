"""Ports of tasks' containers on this machine."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Sequence

from orion.client.client import Client
from orion.client.container_session import ContainerSession
from orion.model.errors import OrionError, Refused

READ_BYTES = 64 * 1024
MOST_CONNECTIONS = 64


class Forwarding:
    """Each of `ports` (here, in the container) of a task listens at `bind`; a port 0 here is any that is free.
    Raises Refused for one that can't be had.

    `tell` is told, from other threads, what went wrong with a connection.
    """

    def __init__(
        self, client: Client, task: str, ports: Sequence[tuple[int, int]], bind: str, tell: Callable[[str], None]
    ) -> None:
        self.task = task
        self.bind = bind
        self.ports: list[tuple[int, int]] = []
        self._client = client
        self._tell = tell
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._selector = selectors.DefaultSelector()
        self._awake, self._waker = socket.socketpair()
        self._listeners: list[socket.socket] = []
        try:
            for here, port in ports:
                self._listen(here, port)
        except Refused:
            self._release()
            raise
        self._selector.register(self._awake, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Returns once it is closed, by whichever thread."""
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.data is None:
                        return
                    self._room.acquire()
                    connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                    arguments = (self._client.again(), key.data, connection)
                    threading.Thread(target=self._serve, args=arguments, daemon=True).start()
        finally:
            self._release()

    def close(self) -> None:
        """Listens no more, soon. Connections that are there go on to their ends."""
        with contextlib.suppress(OSError):
            self._waker.send(b"x")

    def _listen(self, here: int, port: int) -> None:
        try:
            listener = socket.create_server((self.bind, here))
        except OSError as error:
            raise Refused(f"can't listen on {self.bind}:{here}: {error.strerror or error}") from None
        self._listeners.append(listener)
        self._selector.register(listener, selectors.EVENT_READ, port)
        self.ports.append((listener.getsockname()[1], port))

    def _release(self) -> None:
        self._selector.close()
        for each in (*self._listeners, self._awake, self._waker):
            each.close()

    def _serve(self, client: Client, port: int, connection: socket.socket) -> None:
        try:
            with client, connection, client.connect(self.task, port) as session:
                _carry(session, connection)
        except OrionError as error:
            self._tell(error.detail)
        except OSError as error:  # of whoever connected here
            self._tell(f"a connection to port {port} broke: {error.strerror or error}")
        finally:
            self._room.release()


def _carry(session: ContainerSession, connection: socket.socket) -> None:
    source = connection.fileno()
    while session.exit_code is None:
        ready = session.wait((source,) if source >= 0 and not session.full else ())
        if source in ready:
            if data := connection.recv(READ_BYTES):
                session.write(data)
            else:
                session.end_input()
                source = -1
        if session.fileno() in ready:
            for output in session.outputs():
                connection.sendall(output.data)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
