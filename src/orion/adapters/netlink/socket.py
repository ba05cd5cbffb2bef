"""A netlink socket: requests and their answers, by sequence number.

It blocks, and is for a thread. The kernel carries a request out within `send`, and waits there, however the socket
is set, for a lock that every change of any interface needs: tenths of a second while somebody removes namespaces.
"""

import contextlib
import errno
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from orion.adapters.netlink import codec
from orion.adapters.netlink.link import Request

OpenSocket = Callable[[], socket.socket]

DEADLINE_S = 5.0  # of one exchange
MAX_DUMP_MESSAGES = 100_000
MAX_DUMP_TRIES = 10
BATCH = 64  # requests in one datagram: their answers fit into the socket's buffer, which is 208 KiB by default

_SOL_NETLINK = 270
_OPTIONS = (10, 11, 12)  # NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK
_SEND_BUFFER_FORCE, _SEND_BUFFER_BYTES = 32, 32 << 20  # for a transaction, which is one datagram
_RECEIVE_BYTES = 64 * 1024  # the kernel makes no larger datagrams for a dump


class TooMuch(OSError):
    """The kernel has more entries than this reads, or changes them faster than they can be read."""


def open_socket() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


class Netlink:
    """For one exchange or a few, then closed. Raises OSError where the kernel refuses, with its own words where
    it has some; TimeoutError where it does not answer; Malformed where the answer makes no sense.
    """

    def __init__(self, opened: OpenSocket = open_socket) -> None:
        self._socket = opened()
        self._sequence = 0
        for option in _OPTIONS:
            with contextlib.suppress(OSError):  # kernels before 4.20: fewer words, and more than was asked for
                self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def one(self, request: Request) -> codec.Message:
        """Returns the answer to a question about one object."""
        (sequence,) = self._send([request])
        until = time.monotonic() + DEADLINE_S
        while True:
            for answer in self._receive(until):
                if answer.sequence != sequence:
                    continue
                if answer.kind != codec.ERROR:
                    return answer
                raise codec.refusal(answer) or codec.Malformed("netlink answers a question with nothing")

    def dump(self, request: Request) -> list[codec.Message]:
        """Returns all entries. A list that changed while the kernel wrote it down is asked for again."""
        for _ in range(MAX_DUMP_TRIES):
            found = self._dump(request)
            if found is not None:
                return found
        raise TooMuch(errno.EAGAIN, "the kernel's list changes faster than it can be read")

    def each(self, request: Request) -> Iterator[codec.Message]:
        """Yields all entries as they come, however many there are. A list that changes meanwhile is about so."""
        (sequence,) = self._send([request])
        until = time.monotonic() + DEADLINE_S
        while True:
            for answer in self._receive(until):
                if answer.sequence != sequence:
                    continue
                if answer.kind in (codec.ERROR, codec.DONE):
                    if refusal := codec.refusal(answer) if answer.body else None:
                        raise refusal
                    return
                yield answer

    def do(self, requests: Sequence[Request]) -> list[OSError | None]:
        """Carries requests out in their order, whether or not those before succeed. Returns what each came to."""
        results: list[OSError | None] = []
        for at in range(0, len(requests), BATCH):
            results += self._acknowledged(requests[at : at + BATCH])
        return results

    def transact(self, requests: Sequence[Request]) -> None:
        """Has requests carried out that the kernel takes as one: all, or none. The last but one asks for an answer,
        and what fails is told anyway. Raises the first error.
        """
        with contextlib.suppress(OSError):  # without the right to it, a large one is refused
            self._socket.setsockopt(socket.SOL_SOCKET, _SEND_BUFFER_FORCE, _SEND_BUFFER_BYTES)
        last = self._send(requests)[-2]
        until = time.monotonic() + DEADLINE_S
        while True:
            for answer in self._receive(until):
                if answer.kind != codec.ERROR:
                    continue
                if error := codec.refusal(answer):
                    raise error
                if answer.sequence == last:
                    return

    def _acknowledged(self, requests: Sequence[Request]) -> list[OSError | None]:
        sequences = self._send(requests)
        until = time.monotonic() + DEADLINE_S
        results: dict[int, OSError | None] = {}
        while len(results) < len(requests):
            for answer in self._receive(until):
                if answer.kind == codec.ERROR and answer.sequence in sequences:
                    results[answer.sequence] = codec.refusal(answer)
        return [results[sequence] for sequence in sequences]

    def _dump(self, request: Request) -> list[codec.Message] | None:
        """Returns None when the list changed meanwhile."""
        (sequence,) = self._send([request])
        until = time.monotonic() + DEADLINE_S
        found: list[codec.Message] = []
        whole = True
        while True:
            for answer in self._receive(until):
                if answer.sequence != sequence:
                    continue
                whole = whole and not answer.flags & codec.DUMP_INTERRUPTED
                if answer.kind in (codec.ERROR, codec.DONE):
                    refusal = codec.refusal(answer) if answer.body else None
                    if refusal:
                        raise refusal
                    return found if whole else None
                found.append(answer)
            if len(found) > MAX_DUMP_MESSAGES:
                raise TooMuch(errno.E2BIG, f"the kernel has more than {MAX_DUMP_MESSAGES:,} entries")

    def _send(self, requests: Sequence[Request]) -> range:
        """Returns the sequence numbers, one for each."""
        first = self._sequence + 1
        self._sequence += len(requests)
        sequences = range(first, self._sequence + 1)
        parts = [
            codec.message(request.kind, request.flags | codec.REQUEST, sequence, request.body)
            for sequence, request in zip(sequences, requests, strict=True)
        ]
        self._socket.send(b"".join(parts))
        return sequences

    def _receive(self, until: float) -> list[codec.Message]:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        data, _, flags, sender = self._socket.recvmsg(_RECEIVE_BYTES)
        if flags & socket.MSG_TRUNC:
            raise codec.Malformed(f"a netlink datagram has more than {_RECEIVE_BYTES:,} bytes")
        if sender[0] != 0:  # anybody may send to this port; the kernel's own is 0
            return []
        return list(codec.messages(data))
