"""Addresses of tasks for Caddy, by DNS. It asks for them again and again, and so follows tasks that move without
another configuration, for which it would close the connections that clients keep open.

    web.door          SRV: each ready task of job web
    x0ac80103.door    A, AAAA: the address with these bytes
"""

import contextlib
import socket
import threading

from orion.front_door.sites import Backend
from orion.model.dns import MAX_ANSWERS, NO_SUCH_NAME, NOTHING, Answer, Question, Service, Type
from orion.model.name_answers import shuffled
from orion.wire.dns.answer import write_answer
from orion.wire.dns.parts import DnsError
from orion.wire.dns.query import MAX_QUERY_BYTES, limit_bytes, read_query

ZONE = "door"
LOOPBACK = "127.0.0.1"
_LENGTHS = {int(Type.A): 4, int(Type.AAAA): 16}


class Addresses:
    """The ready tasks by job. Threads change it and read it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_job: dict[str, tuple[Backend, ...]] = {}

    def put(self, job: str, found: tuple[Backend, ...]) -> bool:
        """Returns whether it is another."""
        with self._lock:
            changed = self._of_job.get(job) != found
            self._of_job[job] = found
            return changed

    def drop(self, job: str) -> None:
        with self._lock:
            self._of_job.pop(job, None)

    @property
    def jobs(self) -> set[str]:
        with self._lock:
            return set(self._of_job)

    def of(self, job: str) -> tuple[Backend, ...] | None:
        with self._lock:
            return self._of_job.get(job)


def name_of(job: str) -> str:
    return f"{job}.{ZONE}"


def answer(question: Question, addresses: Addresses, number: int) -> Answer:
    """`number` is random, of 64 bits: of many tasks it says which ones."""
    head, _, zone = question.name.rpartition(".")
    if zone != ZONE:
        return NO_SUCH_NAME
    if (packed := _packed(head)) is not None:
        return Answer(addresses=(packed,)) if _LENGTHS.get(question.type) == len(packed) else NOTHING
    found = addresses.of(head)
    if found is None:
        return NO_SUCH_NAME
    if question.type != Type.SRV:
        return NOTHING
    drawn = shuffled(found, number)[:MAX_ANSWERS]
    return Answer(services=tuple(Service(_target(each.address), each.port) for each in drawn))


def _target(address: bytes) -> str:
    return f"x{address.hex()}.{ZONE}"


def _packed(head: str) -> bytes | None:
    """A job's name may look like it: such a job has the label of an address of 4 or 16 bytes, and no tasks."""
    if len(head) not in (9, 33) or not head.startswith("x"):
        return None
    try:
        return bytes.fromhex(head[1:])
    except ValueError:
        return None


class NameServer:
    """Answers on a free port of the loopback, in a thread of its own, for as long as the process runs."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self.address = f"udp/{LOOPBACK}:{self._socket.getsockname()[1]}"  # as Caddy writes it

    def start(self) -> None:
        threading.Thread(target=self._run, name="names", daemon=True).start()

    def _run(self) -> None:
        import secrets

        while True:
            # What is no question is not Caddy's, and an error is of one answer: it asks again.
            with contextlib.suppress(DnsError, OSError):
                data, client = self._socket.recvfrom(MAX_QUERY_BYTES + 1)
                query = read_query(data)
                found = answer(query.question, self._addresses, secrets.randbits(64))
                self._socket.sendto(write_answer(query, found, limit_bytes(query, tcp=False)), client)
