"""Requests to a node over http.client: one kept connection, errors as OrionErrors."""

import errno
import functools
import http.client
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from orion.client.silence import Silent, await_answer, notice_vanishing
from orion.client.websocket import WebSocket, head_of, new_key, upgrade_headers
from orion.model.api.problem import Problem
from orion.model.api.websocket import accept_key
from orion.model.errors import FieldError, OrionError, Refused, Unavailable, by_code
from orion.model.hosts import is_host, port_number
from orion.model.node import address_text, hosts_meant

DEFAULT_PORT = 8000
MARGIN_S = 3.0  # the node gives up first, and says why
CONNECT_S = 5.0
CHUNK_BYTES = 64 * 1024
ONCE = "Idempotency-Key"
# What http.client raises when the other side closed a kept connection before it read the request.
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest)


def parse_address(text: str) -> tuple[str, int]:
    """`host:port`, `host`, `:port` or `http://host:port` -> (host, port). Raises Refused."""
    rest = text.removeprefix("http://").rstrip("/")
    if "://" in rest or "/" in rest:
        raise Refused(f"{text[:80]!r} is not a node's address: write host:port")
    if is_host(rest) and ":" in rest:  # an IPv6 address alone
        return rest, DEFAULT_PORT
    host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon:
        host, port = rest, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]") or "localhost"
    if not port_number(port) or not is_host(host):
        raise Refused(f"{text[:80]!r} is not a node's address: write host:port with a port from 1 to 65535")
    return host, port_number(port)


def parse_addresses(text: str) -> list[tuple[str, int]]:
    """One or more, separated by commas. Raises Refused."""
    found = [parse_address(part.strip()) for part in text.split(",") if part.strip()]
    return found or [parse_address(text)]


class Answer(msgspec.Struct, frozen=True):
    """`index`: of the state it was read from, 0 where the answer names none; so `version`, from its ETag. The times
    are a config's, RFC 3339.
    """

    status: int
    index: int
    body: bytes
    version: int = 0
    created_at: str | None = None
    changed_at: str | None = None
    media: str = ""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        """Raises the OSError of the first of the host's addresses, when none takes the connection."""
        failure: OSError | None = None
        for host in hosts_meant(self.host):
            try:
                self.sock = socket.create_connection((host, self.port), self.timeout)
            except OSError as error:
                failure = failure or error
            else:
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return
        assert failure is not None, "a host means at least one address"
        raise failure


class Transport:
    """Not for several threads at once. `addresses`: of one node or, separated by commas, of several: the next is
    asked where one does not take the connection, or stands still after that, and whichever answered is asked first
    from then on.
    """

    def __init__(self, addresses: str) -> None:
        self._addresses = parse_addresses(addresses)
        self._kept: http.client.HTTPConnection | None = None

    @property
    def address(self) -> str:
        """The address of the node that is asked now."""
        return address_text(*self._addresses[0])

    @property
    def addresses(self) -> str:
        """All addresses, separated by commas, as they were given: that of the node that is asked now first."""
        return ",".join(address_text(*address) for address in self._addresses)

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Answer:
        """The whole answer. Raises the OrionError that the node answered with, Unavailable when it does not.

        A node that stands still is passed over where the request can be made at another one as well: a read, or a
        change whose key has the cluster carry it out once, though that node goes on and does so, too.
        """
        movable = method == "GET" or ONCE in headers
        for others in reversed(range(len(self._addresses))):
            try:
                return self._asked(method, path, query, headers, body, timeout_s, moves=movable and others > 0)
            except Silent:
                self.close()
                self._turn()
        raise AssertionError("the last one is waited for")

    def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        *,
        moves: bool,
    ) -> Answer:
        """As `ask`, of one node. Raises Silent where it `moves`."""
        reused = self._kept is not None
        waits_s = timeout_s if moves else 0.0
        try:
            response = self._send(self._connection(timeout_s), method, _target(path, query), headers, body, waits_s)
        except _STALE:
            self.close()
            if not reused:
                raise Unavailable(f"{self.address} closed the connection without an answer") from None
            # Only a kept connection that timed out there; every request here can safely be sent again.
            return self._asked(method, path, query, headers, body, timeout_s, moves=moves)
        except OSError as error:
            self.close()
            words = self._unreachable(error, timeout_s)
            self._turn()
            raise words from None
        except Refused:
            self.close()
            raise
        try:
            answer = _read(response)
        except (OSError, http.client.HTTPException):
            self.close()
            raise Unavailable(f"the answer of {self.address} broke off") from None
        if response.will_close:
            self.close()
        if answer.status >= 400:
            raise _error(self.address, answer)
        return answer

    def stream(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        timeout_s: float,
        silence_s: float | None,
        media: str = "",
    ) -> Iterator[bytes]:
        """The body in pieces as they come, over a connection of its own; `media` is its type, where one is named.
        Raises Unavailable when it breaks off or is silent for longer than `silence_s`; then another address, where
        there is one, is asked the next time.
        """
        if media:
            headers = {**headers, "Accept": media}
        for others in reversed(range(len(self._addresses))):
            try:
                yield from self._streamed(path, query, headers, timeout_s, silence_s, media, moves=others > 0)
            except Silent:
                self._turn()
            else:
                return

    def _streamed(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        timeout_s: float,
        silence_s: float | None,
        media: str,
        *,
        moves: bool,
    ) -> Iterator[bytes]:
        """As `stream`, of one node. Raises Silent, before there is anything of it, where it `moves`."""
        connection = self._open(timeout_s)
        sock = connection.sock  # `connection` forgets it where the answer is its last, as behind some proxies
        address, waits_s = self.address, timeout_s
        response = None
        try:
            moves_s = timeout_s if moves else 0.0
            response = self._send(connection, "GET", _target(path, query), headers, None, moves_s)
            if response.status >= 400:
                raise _error(address, _read(response))
            if media and response.headers.get_content_type() != media:
                raise Refused(f"what answers at {address} is not an Orion of this version: it sends no {media}")
            sock.settimeout(silence_s)
            waits_s = silence_s or timeout_s
            chunks = iter(functools.partial(response.read1, CHUNK_BYTES), b"")
            if response.getheader("Content-Encoding") == "gzip":  # which `headers` accept
                # Loaded with the first stream that is squeezed.
                from orion.client.unpacking import unpacked

                chunks = unpacked(chunks, CHUNK_BYTES)
            yield from chunks
        except OSError as error:
            words = self._unreachable(error, waits_s)
            self._turn(address)
            raise words from None
        except http.client.HTTPException:
            self._turn(address)
            raise Unavailable(f"the stream from {address} broke off") from None
        except Unavailable:
            self._turn(address)
            raise
        finally:
            if response is not None:
                response.close()
            connection.close()

    def websocket(self, path: str, query: Sequence[tuple[str, str]], timeout_s: float) -> WebSocket:
        """A WebSocket on a connection of its own. Raises Unavailable, the node's OrionError."""
        connection = self._open(timeout_s)
        address, sock = self.address, connection.sock
        try:
            key = new_key()
            asked = "".join(f"{name}: {value}\r\n" for name, value in upgrade_headers(address, key).items())
            sock.sendall(f"GET {_target(path, query)} HTTP/1.1\r\n{asked}\r\n".encode("latin-1"))
            response = head_of(sock)
            if response.status >= 400:
                raise _error(address, _read(response))
            if response.status != 101 or response.getheader("Sec-WebSocket-Accept") != accept_key(key):
                raise Refused(f"what answers at {address} is not an Orion of this version: it gives no WebSocket")
            connection.sock = None  # the WebSocket's from now on
            return WebSocket(sock, address)
        except OSError as error:
            words = self._unreachable(error, timeout_s)
            self._turn(address)
            raise words from None
        except http.client.HTTPException as error:
            raise Refused(f"what answers at {address} is not Orion: {_what_else(error)}") from None
        finally:
            connection.close()

    def upload(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Iterable[bytes],
        timeout_s: float,
    ) -> Answer:
        """PUTs a body that is made as it is sent, over a connection of its own. Raises as `ask`."""
        connection = self._open(timeout_s)
        try:
            headers = {**headers, "Transfer-Encoding": "chunked"}
            response = self._send(connection, "PUT", _target(path, query), headers, body)
            answer = _read(response)
        except OSError as error:
            raise self._unreachable(error, timeout_s) from None
        except http.client.HTTPException:
            raise Unavailable(f"the answer of {self.address} broke off") from None
        finally:
            connection.close()
        if answer.status >= 400:
            raise _error(self.address, answer)
        return answer

    def _turn(self, address: str = "") -> None:
        """Another node is asked first from now on, unless the one at `address` is not asked any more anyway."""
        if not address or address == self.address:
            self._addresses.append(self._addresses.pop(0))

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._kept is None:
            self._kept = self._open(timeout_s)
        elif self._kept.sock is not None:
            self._kept.sock.settimeout(timeout_s)
        return self._kept

    def _open(self, timeout_s: float) -> http.client.HTTPConnection:
        connect_s = min(timeout_s, CONNECT_S)
        failures = []
        for _ in range(len(self._addresses)):
            connection = _Connection(*self._addresses[0], timeout=connect_s)
            try:
                connection.connect()
            except OSError as error:
                failures.append(self._unreachable(error, connect_s))
                self._turn()
            else:
                connection.sock.settimeout(timeout_s)
                notice_vanishing(connection.sock)
                return connection
        if len(failures) == 1:
            raise failures[0]
        tried = ", ".join(address_text(*address) for address in self._addresses)
        raise Unavailable(f"no Orion node answers at any of {tried}: is one running?")

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        waits_s: float = 0.0,
    ) -> http.client.HTTPResponse:
        """`waits_s`: Silent is raised where the node stands still meanwhile; 0: it is waited for."""
        chunked = "Transfer-Encoding" in headers
        try:
            connection.request(method, target, body, dict(headers), encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            # A node that won't have the whole body has answered already.
            if body is None:
                raise
        if waits_s:
            await_answer(connection.sock, waits_s)
        try:
            return connection.getresponse()
        except http.client.RemoteDisconnected:
            raise
        except http.client.HTTPException as error:
            raise Refused(f"what answers at {self.address} is not Orion: {_what_else(error)}") from None

    def _unreachable(self, error: OSError, timeout_s: float) -> Unavailable:
        if error.errno == errno.ETIMEDOUT:  # of the kernel's, not of our own waiting
            return Unavailable(f"the host of {self.address}, or the way to it, is gone")
        if isinstance(error, TimeoutError):
            return Unavailable(f"{self.address} did not answer within {timeout_s:g} s")
        if isinstance(error, socket.gaierror):
            return Unavailable(f"there is no host {self._addresses[0][0]}: name a node with --addr HOST:PORT")
        if isinstance(error, ConnectionRefusedError):
            return Unavailable(
                f"no Orion node answers at {self.address}: is it running? Any other of its cluster does as well: "
                "name it, or several, with --addr or ORION_ADDR"
            )
        return Unavailable(f"{self.address} can't be reached: {error.strerror or error}")


def _what_else(error: http.client.HTTPException) -> str:
    """Names what may have sent a head that http.client does not read."""
    match error:
        case http.client.BadStatusLine():
            return "it speaks no HTTP (one of a node's other ports, or another program's?)"
        case http.client.UnknownProtocol():
            return "it speaks another HTTP than 1.1"
        case _:  # a line too long, or too many
            return "the head of its answer is too large (another program, or a proxy that adds to it?)"


def _read(response: http.client.HTTPResponse) -> Answer:
    return Answer(
        response.status,
        _number(response.getheader("X-Orion-Index", "")),
        response.read(),
        _number(response.getheader("ETag", "").strip('"')),
        response.getheader("X-Orion-Created-At"),
        response.getheader("X-Orion-Changed-At"),
        response.getheader("Content-Type", ""),
    )


def _number(text: str) -> int:
    """0 for what is none: another program may answer. No index has more digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0


def _target(path: str, query: Mapping[str, str] | Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _error(address: str, answer: Answer) -> OrionError:
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except msgspec.MsgspecError:
        return Refused(f"what answers at {address} is not Orion (status {answer.status})")
    errors = tuple(FieldError(e.get("pointer", ""), e.get("message", "")) for e in problem.errors)
    return by_code(problem.code, problem.detail or problem.title, errors)
