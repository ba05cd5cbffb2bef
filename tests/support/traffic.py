"""Requests at a steady rate to whatever is said to be ready: each on its own connection, none tried twice."""

import asyncio
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from orion.client import Client, OrionError

ANSWER_S = 15.0  # a lost one has no answer then either, and on a busy machine others take their time
BEHIND_S = 0.25
KEPT_FAILURES = 100
AGAIN_S = 0.02
_SERVED = re.compile(rb"Served by (\w+)")
_REQUEST = b"GET / HTTP/1.0\r\nHost: web\r\n\r\n"

# nginx of images.WEB whose page /up is there, never, or only for the first 4 s, as the variable BROKEN says.
_SCRIPT = """\
mkdir -p /www
rm -f /www/up
case "$BROKEN" in
never) ;;
later) touch /www/up; (sleep 4; rm /www/up) & ;;
*) touch /www/up ;;
esac
up="location = /up { try_files /up =404; }"
sed "s|listen 80;|listen 80; root /www; $up|" /etc/nginx/nginx.conf >/tmp/nginx.conf
echo "release $RELEASE"
exec nginx -c /tmp/nginx.conf -g "daemon off;"
"""
SERVER = ["sh", "-c", _SCRIPT]


class Traffic:
    """`servers` are the host names of the containers that have answered; `failures` the last of them: seconds since
    the start, the address, the words.
    """

    def __init__(self, ready: Callable[[], Sequence[str]], rate: int) -> None:
        self._ready = ready
        self._rate = rate
        self._began = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()))
        self.sent = 0
        self.failed = 0
        self.servers: set[str] = set()
        self.failures: deque[tuple[float, str, str]] = deque(maxlen=KEPT_FAILURES)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once every request has its answer or has failed."""
        self._ending.set()
        self._thread.join()

    async def _send(self) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._ending.is_set():
                now = time.monotonic()
                due = int((now - began) * self._rate)
                if due - self.sent > self._rate * BEHIND_S:
                    # This thread was held. All that is due now would be more connections at once than a server has.
                    began, due = now - self.sent / self._rate, self.sent
                while self.sent < due:
                    self.sent += 1
                    group.create_task(self._one())
                await asyncio.sleep(1 / self._rate)

    async def _one(self) -> None:
        addresses = self._ready()
        if not addresses:
            self._count("", "nobody is ready")
            return
        address = random.choice(addresses)
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await _answer(address)
        except (OSError, TimeoutError) as error:
            self._count(address, str(error) or type(error).__name__)
            return
        served = _SERVED.search(answer)
        if served is None or not answer.startswith(b"HTTP/1.1 200 "):
            self._count(address, f"answered {answer[:80]!r}")
        else:
            self.servers.add(served[1].decode())

    def _count(self, address: str, words: str) -> None:
        self.failed += 1
        self.failures.append((round(time.monotonic() - self._began, 3), address, words))


async def _answer(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(_REQUEST)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


class Endpoints:
    """What one client knows of a job's ready tasks: it follows the stream, at another node when one is gone. Until
    it has that again it goes on with what it was told last.
    """

    def __init__(self, nodes: Sequence[str], job: str) -> None:
        self._nodes = ",".join(nodes)
        self._job = job
        self.addresses: list[str] = []
        self.changes: deque[tuple[float, list[str]]] = deque(maxlen=KEPT_FAILURES)
        self._over = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()  # ends with the process: it waits in a socket

    def end(self) -> None:
        self._over.set()

    def _follow(self) -> None:
        while not self._over.is_set():
            try:
                with Client(self._nodes) as client:
                    for endpoints in client.follow_endpoints(self._job):
                        self.addresses = [f"{each.address}:80" for each in endpoints]
                        self.changes.append((time.monotonic(), self.addresses))
                        if self._over.is_set():
                            return
            except OrionError:
                time.sleep(AGAIN_S)


@contextmanager
def traffic(ready: Callable[[], Sequence[str]], rate: int) -> Iterator[Traffic]:
    made = Traffic(ready, rate)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def following_endpoints(nodes: Sequence[str], job: str) -> Iterator[Endpoints]:
    made = Endpoints(nodes, job)
    try:
        yield made
    finally:
        made.end()
