"""Published ports on the two hosts of support/overlay.py: rules for each, servers in containers, and clients."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from typing import Self

from orion.model.ingress import Backend, IngressNetwork, IngressPeer, IngressPort, IngressRules
from support.overlay import BRIDGES, CONTAINERS, HOSTS, RANGE, VXLAN, Overlay, host_address, subnet

DEADLINE_S = 30.0
NETWORK = "a"
TARGET = 7100  # at which servers of containers listen


def backend(name: str, port: int = TARGET) -> Backend:
    return Backend(int.from_bytes(socket.inet_aton(CONTAINERS[name].address)), port)


def rules_for(host: str, *ports: IngressPort) -> IngressRules:
    others = [each for each in HOSTS if each != host]
    peers = tuple(IngressPeer(f"02:4f:52:00:00:{HOSTS[each]:02x}", f"10.200.{HOSTS[each]}.0") for each in others)
    network = IngressNetwork(BRIDGES[NETWORK], VXLAN, subnet(NETWORK, host), peers)
    return IngressRules(RANGE, (network,), tuple(host_address(each) for each in others), ports)


class Server:
    """Answers in a container, by TCP and UDP: the container's name, who asked, and the message."""

    def __init__(self, overlay: Overlay, name: str, port: int = TARGET) -> None:
        self.name = name
        self._selector = selectors.DefaultSelector()
        self._stop, self._stopped = socket.socketpair()
        self._sockets = [overlay.socket(name, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        for each in self._sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("0.0.0.0", port))
        self._sockets[0].listen(64)
        for each, take in zip(self._sockets, (self._accept, self._datagram), strict=True):
            self._selector.register(each, selectors.EVENT_READ, take)
        self._selector.register(self._stopped, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._stop.send(b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._stop.close()
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                with contextlib.suppress(BlockingIOError):
                    key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        self._selector.register(accepted, selectors.EVENT_READ, self._speak)

    def _speak(self, accepted: socket.socket) -> None:
        try:
            said = accepted.recv(1_000)
            if said:
                accepted.sendall(self._answer(accepted.getpeername(), said))
                return
        except OSError:
            pass
        self._selector.unregister(accepted)
        accepted.close()

    def _datagram(self, ear: socket.socket) -> None:
        said, sender = ear.recvfrom(1_000)
        ear.sendto(self._answer(sender, said), sender)

    def _answer(self, sender: tuple[str, int], said: bytes) -> bytes:
        return f"{self.name} {sender[0]} {sender[1]} ".encode() + said


@contextlib.contextmanager
def serving(overlay: Overlay, *names: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.callback(Server(overlay, name).close)
        yield


class Client:
    """One connection, or one socket for datagrams, of a place to an address and port."""

    def __init__(
        self,
        overlay: Overlay,
        place: str,
        address: str,
        port: int,
        protocol: str = "tcp",
        source: tuple[str, int] | None = None,
    ) -> None:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        self.socket = overlay.socket(place, kind)
        self.socket.settimeout(DEADLINE_S)
        if source is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(source)
        try:
            self.socket.connect((address, port))
        except BaseException:
            self.socket.close()
            raise

    def ask(self, words: str = "x") -> tuple[str, str]:
        """Returns who answers, and from which address this looks to be."""
        return self.ask_whole(words)[:2]

    def ask_whole(self, words: str = "x") -> tuple[str, str, int]:
        self.socket.send(words.encode())
        name, address, port, said = self.socket.recv(2_000).decode().split(" ", 3)
        assert said == words
        return name, address, int(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
