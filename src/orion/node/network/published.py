"""Tasks behind the ports that are open on every node, and addresses of jobs that `allow_from` is about: from the
state where this node follows the log, and on a worker as a stream from a voter.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import ClassVar

import msgspec

from orion.model.errors import OrionError, Unavailable
from orion.model.ids import JobName
from orion.model.published import JobAddresses, Ports, PublishedPlace, PublishedPort, Told
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.read_barrier import Barrier
from orion.node.membership.directory import Directory
from orion.node.network.shared_look import SharedLook
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SILENCE_S, SignOfLife, StreamRequest
from orion.ports.peers import Principal
from orion.state.records import port_key
from orion.state.tables.ingress import Ingress
from orion.state.tables.job_links import JobLinks
from orion.state.view import View

log = logging.getLogger(__name__)

PAUSE_S = 0.05  # between two looks: what follows on one another is seen as one
CHUNK_PORTS = 50
MAX_PLACES = 2_000  # in one chunk
AGAIN_S = 0.5
BARRIER_S = 5.0


class PublishedChunk(msgspec.Struct, frozen=True, array_like=True):
    """Some of all that is told; a port that has many places may come in several, and so may a job that has many
    addresses. `whole`: the set ends with it.
    """

    ports: tuple[PublishedPort, ...]
    whole: bool
    allowed: tuple[JobAddresses, ...] = ()


class WatchPublished(StreamRequest[PublishedChunk], frozen=True, tag=58):
    """All of it, now and whenever it is other."""

    silence_s: ClassVar = SILENCE_S
    resumable: ClassVar = True


class Published:
    """`told`: what is known; None before anything is. `on_change` are called when that is another, and when gossip
    may say something else of nodes.
    """

    def __init__(
        self,
        *,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
    ) -> None:
        self._driver = driver
        self.directory = directory
        self._gossip = 0  # the directory's version when `on_change` were called last
        self._forward = forward
        self._barrier = Barrier(driver)
        self._shared = SharedLook(driver, lambda: _look(driver))
        self.told: Told | None = None
        self.on_change: list[Callable[[], None]] = []
        registry.answer_stream(WatchPublished, self._serve)

    async def run(self) -> None:
        """While there is a network here."""
        self.told = None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_gossip(), name="published-gossip")
            while True:
                try:
                    await (self._follow_state() if self._driver.is_member else self._follow_voters())
                except OrionError as error:
                    log.debug("what is published is not known: %s", error.detail)
                await asyncio.sleep(AGAIN_S)

    def _tell(self, told: Told | None) -> None:
        gossip = self.directory.version
        if told != self.told or gossip != self._gossip:
            self.told, self._gossip = told, gossip
            for each in self.on_change:
                each()

    async def _follow_state(self) -> None:
        """First it catches up: the log that it read at its start may be long past. Raises OrionError
        where nobody says how far that is.
        """
        driver = self._driver
        try:
            async with asyncio.timeout(BARRIER_S):
                await self._barrier.passed()
        except TimeoutError:
            raise Unavailable("no majority of the voters answered") from None
        while driver.is_member:
            index = driver.watch.index
            self._tell(await self._shared.now())
            if driver.watch.index == index:
                await driver.watch.changed()
            await self._shared.rest(PAUSE_S)

    async def _follow_voters(self) -> None:
        """Raises OrionError."""
        async with contextlib.aclosing(self._shared.told(self._forward, WatchPublished(), _Receiver)) as sets:
            async for told in sets:
                self._tell(told)

    async def _follow_gossip(self) -> None:
        """On a worker, which is told of nothing else by its voter than of tasks."""
        while True:
            await self._driver.watch.changed()
            if not self._driver.is_member:
                self._tell(self.told)

    def _serve(self, _request: WatchPublished, _: Principal) -> AsyncGenerator[PublishedChunk | SignOfLife, None]:
        return self._shared.chunks(chunks)


async def _look(driver: RaftDriver) -> Told:
    return Told(await published(driver), _allowed(driver.view))


async def published(driver: RaftDriver) -> Ports:
    view = driver.view
    found: list[PublishedPort] = []
    by_job: dict[JobName, set[int]] = {}
    for row in list(view.of(Ingress).rows.values()):
        by_job.setdefault(row.job, set()).add(row.key)
    for number, (job, keys) in enumerate(sorted(by_job.items())):
        if number % CHUNK_PORTS == CHUNK_PORTS - 1:
            await asyncio.sleep(0)
        found += _of_job(view, job, keys)
    return tuple(found)


def _allowed(view: View) -> tuple[JobAddresses, ...]:
    """All versions of a job count: its former tasks are guarded until they have ended."""
    named: set[JobName] = set()
    for row in view.of(JobLinks).guarded():
        named.update((row.job, *row.allowed))
    found = ((job, _addresses(view, job)) for job in sorted(named))
    return tuple(JobAddresses(job, addresses) for job, addresses in found if addresses)


def _addresses(view: View, job: JobName) -> tuple[int, ...]:
    held = (each for each in view.allocations_of_job(job) if not each.terminal)
    return tuple(sorted({address for each in held for address in each.addresses}))


def _of_job(view: View, job: JobName, keys: set[int]) -> Iterator[PublishedPort]:
    """The version of a task says which of its ports it is, the job's own whether a client stays with one."""
    found = view.job(job)
    if found is None:
        return
    places: dict[int, list[PublishedPlace]] = {key: [] for key in keys}
    for each in view.allocations_of_job(job):
        spec = view.spec(job, each.job_version)
        if each.terminal or not each.ip or spec is None:
            continue
        ready = each.wanted and each.ready_since_ms(spec) > 0
        for binding in spec.ingress:
            if (key := port_key(binding.port, binding.protocol)) in places:
                places[key].append(PublishedPlace(each.ip, binding.container_port, each.node, ready))
    sticky = {port_key(each.port, each.protocol) for each in found.task.ingress if each.sticky}
    for key, held in sorted(places.items()):
        yield PublishedPort(key >> 1, "udp" if key & 1 else "tcp", key in sticky, tuple(sorted(held, key=_order)))


def _order(place: PublishedPlace) -> tuple[int, int]:
    return place.ip, place.port


def chunks(told: Told) -> Iterator[PublishedChunk]:
    """Returns what is told in parts that fit into frames: ports first."""
    ports: list[PublishedPort] = []
    allowed: list[JobAddresses] = []
    room = MAX_PLACES
    parts: list[PublishedPort | JobAddresses] = [*_port_parts(told), *_job_parts(told)]
    for each in parts:
        size = len(each.places if isinstance(each, PublishedPort) else each.addresses)
        if (ports or allowed) and size > room:
            yield PublishedChunk(tuple(ports), whole=False, allowed=tuple(allowed))
            ports, allowed, room = [], [], MAX_PLACES
        if isinstance(each, PublishedPort):
            ports.append(each)
        else:
            allowed.append(each)
        room -= max(1, size)
    yield PublishedChunk(tuple(ports), whole=True, allowed=tuple(allowed))


def _port_parts(told: Told) -> Iterator[PublishedPort]:
    for port in told.ports:
        for at in range(0, max(1, len(port.places)), MAX_PLACES):
            yield PublishedPort(port.port, port.protocol, port.sticky, port.places[at : at + MAX_PLACES])


def _job_parts(told: Told) -> Iterator[JobAddresses]:
    for each in told.allowed:
        for at in range(0, len(each.addresses), MAX_PLACES):
            yield JobAddresses(each.job, each.addresses[at : at + MAX_PLACES])


class _Receiver:
    """Puts a set together. Called with each chunk, gives the set that it completes."""

    def __init__(self, _address: str) -> None:
        self._ports: dict[tuple[int, str], PublishedPort] = {}
        self._allowed: dict[JobName, tuple[int, ...]] = {}

    def __call__(self, chunk: PublishedChunk) -> Told | SignOfLife:
        for port in chunk.ports:
            known = self._ports.get((port.port, port.protocol))
            places = (*known.places, *port.places) if known is not None else port.places
            whole = PublishedPort(port.port, port.protocol, port.sticky, places)
            self._ports[port.port, port.protocol] = whole
        for each in chunk.allowed:
            self._allowed[each.job] = (*self._allowed.get(each.job, ()), *each.addresses)
        if not chunk.whole:
            return ALIVE
        told = Told(tuple(self._ports.values()), tuple(JobAddresses(*each) for each in self._allowed.items()))
        self._ports, self._allowed = {}, {}
        return told
