"""A node's `GET /watch` on loopback, played by a test: what it tells, and how it goes."""

import contextlib
import queue
import socket
import threading

import msgspec

from orion.model.api.cluster import RaftView
from orion.model.api.watch import CurrentMessage, Noun, RowsMessage

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)

_HEAD_OF_JSON = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
)


def message(name, body):
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(body))


def rows(noun, *found, gone=(), begins=False):
    raw = [msgspec.Raw(msgspec.json.encode(row)) for row in found]
    return message("rows", RowsMessage(noun, raw, list(gone), begins))


def current(index, leader="node1"):
    return message("current", CurrentMessage(index, leader))


class WatchedNode:
    """`first`: what every stream begins with. `tell` is said on all that are open. `streams`: how many there
    were.
    """

    def __init__(self, *first, cluster="c0ffee00"):
        self.first = first
        self._raft = msgspec.json.encode(RaftView(cluster, "leader", 1, "node1", 1, 1, [], [], 1, 0, 0))
        self.streams = 0
        self._open = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        said = queue.Queue()
        with sock, contextlib.suppress(OSError):
            asked = sock.recv(64 * 1024)
            if asked.startswith(b"GET /raft"):
                sock.sendall(_HEAD_OF_JSON % (len(self._raft), self._raft))
            if not asked.startswith(b"GET /watch"):  # or somebody only tries whether it is there
                return
            with self._lock:
                self._open.append((sock, said))
                self.streams += 1
            sock.sendall(_HEAD)
            for item in self.first:
                self._send(sock, item)
            while (item := said.get()) is not None:
                self._send(sock, item)

    @staticmethod
    def _send(sock, item):
        sock.sendall(b"%x\r\n%s\r\n" % (len(item), item))

    def tell(self, *items):
        with self._lock:
            for _, said in self._open:
                for item in items:
                    said.put(item)

    def die(self):
        """As after kill -9: the kernel ends its connections, and refuses new ones."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept() holds it open else
        self._listener.close()
        with self._lock:
            for sock, said in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                said.put(None)


def all_rows(noun, *found):
    """The beginning of a stream in which this noun alone has rows."""
    begun = [rows(each, begins=True) for each in Noun]
    return [*begun, rows(noun, *found), current(1)]
