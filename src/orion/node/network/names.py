"""Names of jobs for this node's containers: from the state where this node follows the log, and on a worker as a
stream from a voter. Who is dead by gossip is left out, without waiting for the cluster's word. Who asks is told of
jobs that allow his on networks that he is on himself, with their addresses there: no other is there for him.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

import msgspec

from orion.model.allocation import Allocation
from orion.model.allow import is_allowed
from orion.model.errors import OrionError
from orion.model.ids import JobName, NodeId
from orion.model.job import JobKind, TaskSpec
from orion.model.network import NO_ADDRESSES, AddressRange
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.network.shared_look import SharedLook
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SILENCE_S, SignOfLife, StreamRequest
from orion.ports.clock import Clock
from orion.ports.peers import Principal
from orion.reconcile.reachable import reachable
from orion.state.tables.configs import Configs
from orion.state.tables.job_links import JobLinks
from orion.state.tables.networks import Networks
from orion.state.tables.subnets import Subnets
from orion.state.view import View

if TYPE_CHECKING:
    from orion.model.name_answers import Tasks

log = logging.getLogger(__name__)

EVERY_NETWORK = -1
MAX_ROWS = 20_000  # jobs that workers are told of
CHUNK_ROWS = 200
FRESH_MS = 50  # of what was looked up: a busy cluster changes with every query
MAX_KEPT = 2_000
AGAIN_S = 0.5

Owner = tuple[JobName, int, int]  # with the slot, and the number of the network


class NamedPlace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A ready task: its slot, its addresses, each with the number of its network, and the node that it is on."""

    slot: int
    addresses: tuple[tuple[int, int], ...]
    node: NodeId

    def on(self, network: int) -> list[int]:
        return [address for number, address in self.addresses if number == network]


class NamedJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`ports`: numbers and protocols. `networks`: the numbers of those that it is on, in its order, and those that
    tasks of a former version are on. `allowed`: who else may reach it; empty: all. `aliases`: other names, each
    with the number of the network on which it is one, or EVERY_NETWORK.
    """

    job: JobName
    slots: int
    ready: tuple[NamedPlace, ...]
    ports: tuple[tuple[int, str], ...]
    networks: tuple[int, ...]
    allowed: tuple[JobName, ...] = ()
    aliases: tuple[tuple[str, int], ...] = ()


class NamesChunk(msgspec.Struct, frozen=True, array_like=True):
    """Some of all jobs; `range`: the network's addresses, in the last chunk of a set alone."""

    jobs: tuple[NamedJob, ...]
    range: AddressRange | None = None


class WatchNames(StreamRequest[NamesChunk], frozen=True, tag=48):
    """All names, now and whenever they are others."""

    silence_s: ClassVar = SILENCE_S
    resumable: ClassVar = True


class NotKnownYet(Exception):
    """This node has just started, and knows no names."""


class Names:
    """All that is known of names, as of now."""

    def __init__(
        self,
        *,
        clock: Clock,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
    ) -> None:
        self._clock = clock
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._told: dict[JobName, NamedJob] | None = None
        self._called: dict[str, list[JobName]] = {}  # by alias, of those that were told
        self._owners: dict[int, Owner] = {}  # by address, of those that were told
        self._range = NO_ADDRESSES
        self._kept: dict[JobName, tuple[int, NamedJob | None]] = {}
        self._answers: dict[tuple[JobName, int], tuple[NamedJob, int, Tasks]] = {}  # as of gossip's version
        self._shared = SharedLook(driver, self._all)
        registry.answer_stream(WatchNames, self._serve)

    # --- what is known ------------------------------------------------------------------------------------

    def tasks(self, job: JobName, networks: tuple[int, ...]) -> "Tasks | None":
        """Returns the job with its addresses on the first of the networks that it is on; None if it is on none."""
        named, gossip = self._job(job), self._directory.version
        shared = next((each for each in networks if each in named.networks), None) if named is not None else None
        if named is None or shared is None:
            return None
        key = job, shared
        known = self._answers.get(key)
        if known is None or known[0] is not named or known[1] != gossip:
            if len(self._answers) >= MAX_KEPT:
                self._answers.clear()
            known = self._answers[key] = named, gossip, self._tasks(named, shared)
        return known[2]

    def called(self, alias: str) -> list[tuple[JobName, tuple[int, ...]]]:
        """Returns the jobs with this alias, each with the networks on which it is one, in an order that stays."""
        member = self._driver.is_member
        jobs = self._driver.view.of(JobLinks).called(alias) if member else self._called.get(alias, [])
        found = ((job, self._job(job)) for job in jobs)
        return [(job, _aliased(named, alias)) for job, named in found if named is not None]

    def may_see(self, asker: JobName | None, job: JobName) -> bool:
        """Returns whether a job is there for who asks; None is this machine itself, which sees all."""
        named = self._job(job) if asker is not None else None
        return named is None or asker is None or is_allowed(asker, job, named.allowed)

    def _tasks(self, named: NamedJob, network: int) -> "Tasks":
        from orion.model.name_answers import Place, Port, Tasks

        ports = tuple(Port(number, protocol) for number, protocol in named.ports)
        there = ((each, tuple(map(_bytes, each.on(network)))) for each in self._reachable(named.ready))
        places = (Place(each.slot, addresses, ports) for each, addresses in there if addresses)
        return Tasks(named.slots, tuple(places), ports)

    def owner(self, address: bytes, networks: tuple[int, ...]) -> tuple[JobName, int] | None:
        """Returns None too for an address on none of the networks."""
        if len(address) != 4:
            return None
        ip = int.from_bytes(address)
        if not self._driver.is_member:
            job, slot, network = self._owners.get(ip) or (None, 0, 0)
            return (job, slot) if job is not None and network in networks else None
        view = self._driver.view
        subnet = view.of(Subnets).at(ip)
        if subnet is None or subnet.network not in networks:
            return None
        held = view.allocations_of_node(subnet.node)
        return next(((each.job, each.index) for each in held if ip in each.addresses and not each.terminal), None)

    def is_ours(self, address: bytes) -> bool:
        if len(address) != 4:
            return False
        member = self._driver.is_member
        addresses = self._driver.view.of(Configs).network or NO_ADDRESSES if member else self._range
        return int.from_bytes(address) in addresses

    def _job(self, job: JobName) -> NamedJob | None:
        if not self._driver.is_member:
            if self._told is None:
                raise NotKnownYet
            return self._told.get(job)
        now_ms, kept = self._clock.now_ms(), self._kept.get(job)
        if kept is None or now_ms - kept[0] > FRESH_MS:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            named = named_job(self._driver.view, job)
            if kept is not None and kept[1] == named:
                named = kept[1]  # the same object: what was made of it stays
            kept = self._kept[job] = now_ms, named
        return kept[1]

    def _reachable(self, places: Iterable[NamedPlace]) -> list[NamedPlace]:
        directory = self._directory
        return reachable(places, lambda each: each.node, is_alive=directory.is_alive, is_gone=directory.is_gone)

    # --- on a worker --------------------------------------------------------------------------------------

    async def run(self, wanted: Callable[[], bool]) -> None:
        """`wanted`: whether there is a network, so that a worker needs to be told."""
        while True:
            if self._driver.is_member or not wanted():
                self._told = None
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                told = self._shared.told(self._forward, WatchNames(), _Receiver)
                async with contextlib.aclosing(told) as sets:
                    async for names in sets:
                        if not wanted():
                            break
                        jobs, self._range = names
                        self._told = {named.job: named for named in jobs}
                        self._owners, self._called = _owners(jobs), _called(jobs)
            except OrionError as error:
                log.debug("the stream of names ended: %s", error.detail)
            await asyncio.sleep(AGAIN_S)

    # --- nodes ask ----------------------------------------------------------------------------------------

    def _serve(self, _request: WatchNames, _: Principal) -> AsyncGenerator[NamesChunk | SignOfLife, None]:
        return self._shared.chunks(_chunks)

    async def _all(self) -> tuple[list[NamedJob], AddressRange]:
        addresses = self._driver.view.of(Configs).network or NO_ADDRESSES
        jobs: list[NamedJob] = []
        for number, name in enumerate(self._driver.view.job_names()[:MAX_ROWS]):
            if number % CHUNK_ROWS == 0:
                await asyncio.sleep(0)
            if (named := named_job(self._driver.view, name)) is not None:
                jobs.append(named)
        return jobs, addresses


def _chunks(found: tuple[list[NamedJob], AddressRange]) -> Iterator[NamesChunk]:
    jobs, addresses = found
    for at in range(0, max(1, len(jobs)), CHUNK_ROWS):
        rest = at + CHUNK_ROWS >= len(jobs)
        yield NamesChunk(tuple(jobs[at : at + CHUNK_ROWS]), addresses if rest else None)


class _Receiver:
    """Puts a set together. Called with each chunk, gives the set that it completes."""

    def __init__(self, _address: str) -> None:
        self._jobs: dict[JobName, NamedJob] = {}

    def __call__(self, chunk: NamesChunk) -> tuple[list[NamedJob], AddressRange] | SignOfLife:
        if len(self._jobs) < MAX_ROWS:
            self._jobs.update((named.job, named) for named in chunk.jobs)
        if chunk.range is None:
            return ALIVE
        whole, self._jobs = self._jobs, {}
        return list(whole.values()), chunk.range


def _aliased(named: NamedJob, alias: str) -> tuple[int, ...]:
    numbers = {number for name, number in named.aliases if name == alias}
    return named.networks if EVERY_NETWORK in numbers else tuple(numbers.intersection(named.networks))


def _called(jobs: Iterable[NamedJob]) -> dict[str, list[JobName]]:
    found: dict[str, list[JobName]] = {}
    for named in jobs:
        for alias in dict.fromkeys(alias for alias, _ in named.aliases):
            found.setdefault(alias, []).append(named.job)
    return found


def _owners(jobs: Iterable[NamedJob]) -> dict[int, Owner]:
    return {
        address: (named.job, each.slot, network)
        for named in jobs
        for each in named.ready
        for network, address in each.addresses
    }


def named_job(view: View, job: JobName) -> NamedJob | None:
    """Returns None where there is no such job, or it has no tasks of its own."""
    found = view.job(job)
    if found is None or found.kind is JobKind.CRON:
        return None
    subnets = view.of(Subnets)
    ready = tuple(
        NamedPlace(each.index, _numbered(subnets, each.addresses), each.node)
        for each in view.allocations_of_job(job)
        if each.addresses and _is_ready(each, view.spec(job, each.job_version))
    )
    ports = found.task.container_ports
    networks = view.of(Networks)
    numbers = *networks.numbers(found.task), *(number for each in ready for number, _ in each.addresses)
    aliases = tuple(
        (each.name, number)
        for each in found.task.aliases
        if (number := networks.number(each.network) if each.network else EVERY_NETWORK) is not None
    )
    return NamedJob(job, found.count, ready, ports, tuple(dict.fromkeys(numbers)), found.task.allow_from, aliases)


def _numbered(subnets: Subnets, addresses: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    rows = ((subnets.at(address), address) for address in addresses)
    return tuple((row.network, address) for row, address in rows if row is not None)


def _is_ready(allocation: Allocation, spec: TaskSpec | None) -> bool:
    if spec is None or not allocation.wanted or allocation.terminal:
        return False
    return allocation.ready_since_ms(spec) > 0


def _bytes(ip: int) -> bytes:
    return ip.to_bytes(4)
