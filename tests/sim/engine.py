"""A container engine, and the Engine port of one process to it. The engine outlives the processes that talk to
it, may be shared by several nodes, takes its time, fails, and once asked finishes what it was asked for even when
the asker has died meanwhile. Why a container has ended is known to who heard it and to the engine while it
remembers, which it does not over its own restart.
"""

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from hashlib import blake2b
from ipaddress import ip_address, ip_network

import msgspec

from orion.model.allocation import Allocation
from orion.model.container import (
    Attachment,
    Container,
    ContainerState,
    EndCause,
    EngineInfo,
    EngineNetwork,
    ExecResult,
    File,
    Labels,
    LogEntry,
    LogQuery,
    Mount,
    SharedNamespaces,
)
from orion.model.errors import EngineDown, EngineError, PortRefused
from orion.model.images import without_digest
from orion.model.ingress import Listener
from orion.model.job import TaskSpec
from orion.model.pull import PullProgress
from orion.model.resources import MIB, Resources
from orion.model.sessions import Exec, Purpose
from orion.model.stats import ContainerStats
from orion.ports.engine import EngineSession, PullListener
from sim import engine_sessions
from sim.firewall import SimKernel
from sim.guard import SimGuardRules
from sim.ingress import SimIngressKernel
from sim.loop import Process
from sim.overlay import HostNetwork
from sim.world import World

# Images of the simulated registry, and what their containers do when nobody stops them.
FOREVER = "web"
SUCCEEDS = "batch"  # ends with exit code 0 after a while
CRASHES = "crash"  # ends with exit code 1 after a while
MISSING = "missing"  # not in the registry
# Programs in containers that do not end well; all others do.
FAILS = "false"
HANGS = "hang"
CAPACITY = Resources(cpu_millis=4_000, memory_bytes=4_096 * MIB, disk_bytes=40_960 * MIB)
EVENT_BUFFER = 1_024
OBEYS = 0.7  # of containers that are told to end: so many do so at once and well, the others are killed
REMEMBERS = 0.7  # of the ends of leftovers: the others were too many


class Held(msgspec.Struct):
    """One container, as the engine knows it."""

    shown: Container
    name: str
    image: str
    ports: tuple[tuple[int, str], ...]  # host port and protocol
    cluster: int
    runs: int = 0  # times started
    attach: Attachment | None = None


class End(msgspec.Struct, frozen=True):
    """Which run of a container has ended, and why."""

    run: int
    cause: EndCause


class SimEngine:
    """`faults` is the probability that an operation fails for no lasting reason. `shown_id` is what it says of
    itself: that of clones is the same.
    """

    def __init__(self, world: World, id_: str, capacity: Resources = CAPACITY, *, shown_id: str = "") -> None:
        self.world = world
        self.id = id_
        self.shown_id = shown_id or id_
        self.starts = 1
        self.capacity = capacity
        self.down = ""  # else the engine's absence in words
        self.faults = 0.0
        self.slowness = 1.0
        self.ports_of_others = range(0)  # that other programs of the machine hold
        self.registry_refuses = ""  # else why it gives this engine no image now, in its words
        self.containers: dict[str, Held] = {}
        self.files: dict[str, dict[str, File]] = {}  # of each container, by path
        self.mounts: dict[str, tuple[Mount, ...]] = {}  # of each container
        self.images: dict[str, None] = {}
        self.ill: set[str] = set()  # containers that run and do not work
        self.passed: set[tuple[str, int]] = set()  # runs, by container and start, of which a check was told "well"
        self.built: set[str] = set()  # images that no registry has
        self.digests_asked: Counter[str] = Counter()
        self.on_create: Callable[[Process, Allocation, Labels], None] = lambda *_: None  # when it is asked to
        self.on_start: Callable[[Process, Held], None] = lambda *_: None  # once it has
        self.on_end: Callable[[Held], None] = lambda _: None
        self.may_start: Callable[[Held], None] = lambda _: None  # raises EngineError
        self.outages = 0  # after one, nothing of what it was asked for before is done
        self.history: list[tuple[int, str, str]] = []  # when, what, container's name
        self.remembers: dict[str, End] = {}  # by container
        self._ports: dict[tuple[int, str], str] = {}
        self._subscribers: list[_Subscriber] = []
        self.networks: dict[str, EngineNetwork] = {}
        # Its machine's.
        self.kernel = HostNetwork(world, id_, {})
        self.firewall = SimKernel()
        self.ingress = SimIngressKernel()
        self.guard = SimGuardRules()
        self._born = self._pids = 0
        self.rng: random.Random = world.rng("engine", id_)

    # --- life of the engine -------------------------------------------------------------------------------

    def go_down(self, *, containers_die: bool) -> None:
        self.down = "Cannot connect to the Docker daemon. Is the docker daemon running?"
        self.world.trace(self.id, f"engine down, containers {'die' if containers_die else 'live on'}")
        if containers_die:
            for held in list(self.containers.values()):
                self.end(held, 137, "")
        for subscriber in self._subscribers:
            subscriber.end()
        self._subscribers.clear()
        self.remembers.clear()

    def come_up(self) -> None:
        self.down = ""
        self.starts += 1
        self.world.trace(self.id, "engine up")

    def come_up_after_leftovers(self) -> None:
        """As Docker after a kill -9: it stops what runs and answers nobody until all of that has ended."""
        longest_ms = 0.0
        for held in self.running():
            obeys = self.rng.random() < OBEYS
            wait_ms = self.rng.uniform(5, 200) if obeys else self.rng.uniform(500, 12_000)
            self.world.after(wait_ms, self._end_leftover, held, held.runs, 0 if obeys else 137)
            longest_ms = max(longest_ms, wait_ms)
        self.world.after(longest_ms + 1, self.come_up)

    def _end_leftover(self, held: Held, run: int, code: int) -> None:
        if self.down and held.runs == run and held.shown.state is ContainerState.RUNNING:
            self.world.count("leftover ended by its engine")
            self.end(held, code, "")
            if self.rng.random() < REMEMBERS:
                self.remembers[held.shown.id] = End(run, EndCause.TOLD)

    def perhaps_fail(self) -> None:
        if self.faults and self.rng.random() < self.faults:
            self.world.count("engine operation failed")
            raise EngineError("OCI runtime create failed: unable to start container process")

    def subscribe(self, process: Process, cluster: int) -> "_Subscriber":
        subscriber = _Subscriber(process, cluster)
        self._subscribers.append(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: "_Subscriber") -> None:
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    # --- what happens to containers -----------------------------------------------------------------------

    def create(self, allocation: Allocation, spec: TaskSpec, labels: Labels, name: str) -> str:
        if spec.image not in self.images:
            raise EngineError(f"No such image: {spec.image}")
        for held in self.containers.values():
            if held.name == name and held.shown.labels == labels:
                return held.shown.id  # created by an earlier try whose answer was lost
            if held.name == name:
                raise EngineError(f'Conflict. The container name "/{name}" is already in use')
        self._born += 1
        id_ = f"{self.rng.getrandbits(200):050x}{self._born:014x}"
        ports = tuple((port, binding.protocol) for port, binding in zip(allocation.ports, spec.ports, strict=True))
        shown = Container(id_, labels, ContainerState.CREATED, host_ports=tuple(port for port, _ in ports))
        self.containers[id_] = Held(shown, name, spec.image, ports, labels.cluster)
        self._happened("create", self.containers[id_])
        return id_

    def start(self, id_: str) -> None:
        held = self._held(id_)
        if held.shown.state is ContainerState.RUNNING:
            return
        self.may_start(held)
        address = self._address(held)
        for port in held.ports:
            if port in self._ports:
                self.world.count("host port refused by the engine")
                raise PortRefused(
                    f"driver failed programming external connectivity on endpoint {held.name}: Bind for"
                    f" 0.0.0.0:{port[0]} failed: port is already allocated",
                    port=port[0],
                )
            if port[0] in self.ports_of_others:
                self.world.count("host port held by another program")
                raise PortRefused(f"listen tcp4 0.0.0.0:{port[0]}: bind: address already in use", port=port[0])
        for port in held.ports:
            self._ports[port] = id_
        held.runs += 1
        self._pids += 1
        self.kernel.containers[self._pids] = frozenset()
        self._change(
            held,
            state=ContainerState.RUNNING,
            pid=self._pids,
            started_at_ms=self.world.wall_ms,
            finished_at_ms=0,
            exit_code=None,
            address=address,
        )
        self.ill.discard(id_)
        self._happened("start", held)
        self._plan_end(held)

    def _plan_end(self, held: Held) -> None:
        code = {SUCCEEDS: 0, CRASHES: 1}.get(without_digest(held.image))
        if code is not None:
            run = held.runs

            def over() -> None:
                if held.runs == run:
                    self.end(held, code, "")

            self.world.after(self.rng.uniform(500, 8_000), over)

    def end(self, held: Held, exit_code: int, error: str, cause: EndCause = EndCause.ITSELF) -> None:
        """A container's process ends, whatever the reason. An engine that is down hears nothing of it."""
        if held.shown.state is not ContainerState.RUNNING:
            return
        for port in held.ports:
            if self._ports.pop(port, None) != held.shown.id:
                self.world.fail("host port once", f"{self.id}: port {port} was not {held.name}'s")
        del self.kernel.containers[held.shown.pid]
        self._change(
            held,
            state=ContainerState.EXITED,
            pid=0,
            exit_code=exit_code,
            error=error,
            finished_at_ms=self.world.wall_ms,
        )
        if not self.down:
            self.remembers[held.shown.id] = End(held.runs, cause)
        self._happened(f"die {exit_code}", held)
        self.on_end(held)

    def remove(self, id_: str) -> None:
        held = self.containers.get(id_)
        if held is not None:
            self.end(held, 137, "")
            del self.containers[id_]
            self.remembers.pop(id_, None)
            self._happened("remove", held)

    def share(self, id_: str, share: SharedNamespaces) -> None:
        """Has a container that was just made share those of others."""
        self._change(self._held(id_), shares=share)

    def ensure_network(self, network: EngineNetwork) -> None:
        known = self.networks.get(network.name)
        if known == network:
            return
        if known is not None:
            if known.cluster != network.cluster:
                raise EngineError(f"there is a network {network.name} on this engine that is of another cluster")
            self._require_empty(network.name)
            del self.kernel.underlay[known.gateway]
        self.networks[network.name] = network
        self.kernel.underlay[network.gateway] = network.mtu

    def remove_network(self, name: str, cluster: int) -> None:
        known = self.networks.get(name)
        if known is not None and known.cluster == cluster:
            self._require_empty(name)
            del self.networks[name]
            del self.kernel.underlay[known.gateway]

    def lose_network(self) -> None:
        """The machine has been off: only what the engine keeps on its disk is there again."""
        self.kernel.devices.clear()
        self.kernel.changed()
        self.firewall.put(None)
        self.ingress.put(None)
        self.guard.put(None)

    def _require_empty(self, network: str) -> None:
        held = [each.name for each in self.running() if each.attach and network in dict(each.attach.places)]
        if held:
            raise EngineError(f"containers are still on the network {network}: {', '.join(held[:3])}")

    def attach(self, id_: str, attach: Attachment) -> None:
        self._held(id_).attach = msgspec.structs.replace(attach, others=())

    def connect(self, id_: str, attach: Attachment) -> None:
        held = self._held(id_)
        if held.attach is None or held.attach.places[:1] != attach.places[:1]:
            raise EngineError("container cannot be connected to multiple networks with one of the private modes")
        held.attach = attach

    def _address(self, held: Held) -> str:
        """As it starts."""
        attach = held.attach
        if attach is None:
            return f"container-{(held.shown.shares.network or held.shown.id)[-14:]}"
        taken = {address for each in self.running() if each.attach for _, address in each.attach.places}
        for name, address in attach.places:
            network = self.networks.get(name)
            if network is None:
                raise EngineError(f"network {name} not found")
            if ip_address(address) not in ip_network(network.subnet):
                raise EngineError(f"no configured subnet contains {address}")
            if address in taken:
                raise EngineError("Address already in use")
        return attach.address

    def _held(self, id_: str) -> Held:
        held = self.containers.get(id_)
        if held is None:
            raise EngineError(f"No such container: {id_}")
        return held

    def _change(self, held: Held, **changes) -> None:
        held.shown = msgspec.structs.replace(held.shown, **changes)

    def _happened(self, what: str, held: Held) -> None:
        self.history.append((self.world.now_ms, what, held.name))
        self.world.trace(self.id, f"engine {what} {held.name} of {held.shown.labels.node}")
        if what != "create" and not what.startswith("exec "):
            for subscriber in self._subscribers:
                subscriber.tell(held, self.remembers.get(held.shown.id))

    def at(self, address: str) -> Held | None:
        """The container that runs there."""
        return next((held for held in self.running() if held.shown.address == address), None)

    def exec(self, id_: str, command: Sequence[str]) -> ExecResult:
        held = self._held(id_)
        if held.shown.state is not ContainerState.RUNNING:
            raise EngineError(f"container {id_} is not running")
        self._happened(f"exec {command[0]}", held)
        if command[0] == FAILS or id_ in self.ill:
            return ExecResult(1, "so sorry")
        self.passed.add((id_, held.shown.started_at_ms))
        return ExecResult(0, "well")

    def running(self) -> list[Held]:
        return [held for held in self.containers.values() if held.shown.state is ContainerState.RUNNING]


class _Subscriber:
    """One reader of the engine's events, across the socket to its process."""

    def __init__(self, process: Process, cluster: int) -> None:
        self._process = process
        self._cluster = cluster
        self._ids: deque[str] = deque()
        self._moved = asyncio.Event()
        self._ended = False
        self.heard: dict[str, End] = {}

    def tell(self, held: Held, end: End | None) -> None:
        if held.cluster == self._cluster:
            self._process.post(self._put, held.shown.id, end)

    def _put(self, id_: str, end: End | None) -> None:
        if end is not None:
            self.heard[id_] = end
        self._ids.append(id_)
        self._moved.set()
        if len(self._ids) > EVENT_BUFFER:
            self.end()

    def end(self) -> None:
        self._ended = True
        self._process.post(self._moved.set)

    async def next(self) -> str | None:
        while not self._ids:
            if self._ended:
                return None
            self._moved.clear()
            await self._moved.wait()
        return self._ids.popleft()


def _digest(image: str, moved: int) -> str:
    return f"sha256:{blake2b(f'{image} {moved}'.encode(), digest_size=32).hexdigest()}"


class SimEngineClient:
    """The Engine port of one process."""

    def __init__(self, engine: SimEngine, process: Process) -> None:
        self.engine = engine
        self._process = process
        self._world = engine.world
        self._heard: dict[str, End] = {}

    async def info(self) -> EngineInfo:
        def look() -> EngineInfo:
            engine = self.engine
            return EngineInfo(engine.shown_id, "27.0-sim", engine.capacity, f"{engine.id} run {engine.starts}")

        return await self._ask(look, 1, 5)

    async def has_image(self, image: str, platform: str = "") -> bool:
        return await self._ask(lambda: image in self.engine.images, 1, 5)

    async def digest(self, image: str, *, local: bool) -> str:
        """The tag FOREVER is moved after every third time that somebody has asked for it at this engine."""
        if local and image in self.engine.built:
            return await self._ask(lambda: "", 1, 5)
        await self._ask(lambda: None, 20, 400)
        if self.engine.registry_refuses or image == MISSING:
            self._world.count("digest that the registry does not say")
            raise EngineError(self.engine.registry_refuses or f"manifest unknown: {image}")
        self.engine.digests_asked[image] += 1
        return _digest(image, self.engine.digests_asked[image] // 3 if image == FOREVER else 0)

    async def pull(self, image: str, progress: PullListener, platform: str = "") -> None:
        steps = self.engine.rng.randint(1, 4)
        for step in range(steps):
            await self._ask(lambda: None, 20, 400)
            progress(PullProgress(10_000_000 * (step + 1), 10_000_000 * steps))
        if self.engine.registry_refuses:
            self._world.count("pull refused by the registry")
            raise EngineError(f"{image} can't be pulled: {self.engine.registry_refuses}")
        if image == MISSING:
            raise EngineError(
                f"pull access denied for {image}, repository does not exist or may require 'docker login'",
                permanent=True,
            )
        await self._ask(lambda: self.engine.images.setdefault(image), 5, 50, may_fail=True)

    async def create(
        self,
        allocation: Allocation,
        spec: TaskSpec,
        labels: Labels,
        *,
        name: str,
        share: SharedNamespaces = SharedNamespaces(),  # noqa: B008 -- frozen
        attach: Attachment | None = None,
        mounts: Sequence[Mount] = (),
    ) -> str:
        self.engine.on_create(self._process, allocation, labels)
        for shared in filter(None, (share.network, share.pid)):
            if shared not in self.engine.containers:
                raise EngineError(f"No such container: {shared}")

        def create() -> str:
            made = self.engine.create(allocation, spec, labels, name)
            self.engine.share(made, share)
            self.engine.mounts[made] = tuple(mounts)
            if attach is not None:
                self.engine.attach(made, attach)
            return made

        made = await self._ask(create, 10, 100, may_fail=True)
        if attach is not None and attach.others:
            await self.connect(made, attach)
        return made

    async def connect(self, container: str, attach: Attachment) -> None:
        await self._ask(lambda: self.engine.connect(container, attach), 5, 50, may_fail=True)

    async def ensure_network(self, network: EngineNetwork) -> None:
        await self._ask(lambda: self.engine.ensure_network(network), 10, 100, may_fail=True)

    async def remove_network(self, network: str, cluster: int) -> None:
        await self._ask(lambda: self.engine.remove_network(network, cluster), 10, 100, may_fail=True)

    async def put_files(self, container: str, files: Sequence[File]) -> None:
        def put() -> None:
            self.engine.files.setdefault(container, {}).update({file.path: file for file in files})

        await self._ask(put, 5, 50, may_fail=True)

    async def start(self, container: str) -> None:
        def start() -> None:
            self.engine.start(container)
            self.engine.on_start(self._process, self.engine.containers[container])

        await self._ask(start, 30, 300, may_fail=True)

    async def exec(self, container: str, command: Sequence[str], timeout_ms: int) -> ExecResult:
        result = await self._ask(lambda: self.engine.exec(container, command), 20, 200, may_fail=True)
        if command[0] != HANGS:
            return result
        await asyncio.sleep(timeout_ms / 1000)
        return ExecResult(None)

    async def stop(self, container: str, grace_ms: int) -> None:
        held = self.engine.containers.get(container)
        if held is None or held.shown.state is not ContainerState.RUNNING:
            await self._ask(lambda: None, 1, 5)
            return
        obeys = self.engine.rng.random() < 0.9
        wait_ms = self.engine.rng.uniform(5, min(200, grace_ms + 5)) if obeys else grace_ms
        code = 143 if obeys else 137
        end = partial(self.engine.end, held, code, "", EndCause.TOLD)
        await self._ask(end, wait_ms, wait_ms + 10, may_fail=True)

    async def remove(self, container: str) -> None:
        await self._ask(lambda: self.engine.remove(container), 10, 100, may_fail=True)

    async def containers(self, cluster: int) -> list[Container]:
        return await self._ask(
            lambda: [self._shown(h) for h in self.engine.containers.values() if h.cluster == cluster], 1, 10
        )

    async def of_others(self, cluster: int) -> list[Container]:
        return await self._ask(
            lambda: [h.shown for h in self.engine.running() if h.cluster != cluster],
            1,
            10,
        )

    async def published_by_others(self, cluster: int) -> list[Listener]:
        def look() -> list[Listener]:
            others = [held for held in self.engine.running() if held.cluster != cluster]
            return [
                Listener(port, protocol, "0.0.0.0", f"container {held.name}")
                for held in others
                for port, protocol in held.ports
            ]

        return await self._ask(look, 1, 10)

    async def inspect(self, container: str) -> Container | None:
        def look() -> Container | None:
            held = self.engine.containers.get(container)
            return self._shown(held) if held is not None else None

        return await self._ask(look, 1, 5)

    def _shown(self, held: Held) -> Container:
        if held.shown.state is not ContainerState.EXITED:
            return held.shown
        known = (self.engine.remembers.get(held.shown.id), self._heard.get(held.shown.id))
        causes = [end.cause for end in known if end is not None and end.run == held.runs]
        if not causes:
            self._world.count("end that nobody saw")
        return msgspec.structs.replace(held.shown, cause=causes[0] if causes else EndCause.UNKNOWN)

    async def changes(self, cluster: int) -> AsyncIterator[str]:
        self._check()
        subscriber = self.engine.subscribe(self._process, cluster)
        subscriber.heard = self._heard
        try:
            yield ""
            while (id_ := await subscriber.next()) is not None:
                yield id_
        finally:
            self.engine.unsubscribe(subscriber)
        raise EngineDown("the container engine closed its event stream")

    async def logs(self, container: str, query: LogQuery) -> AsyncGenerator[list[LogEntry], None]:
        await self._ask(lambda: None, 1, 5)
        if container not in self.engine.containers:
            raise EngineError(f"No such container: {container}")
        yield [LogEntry("2025-01-01T00:00:00.000000000Z", stderr=False, text=b"a line of output\n")]

    @contextlib.asynccontextmanager
    async def session(self, container: str, purpose: Purpose) -> AsyncGenerator[EngineSession, None]:
        def held() -> None:
            if (found := self.engine.containers.get(container)) is None:
                raise EngineError(f"No such container: {container}")
            if found.shown.state is not ContainerState.RUNNING and isinstance(purpose, Exec):
                raise EngineError(f"container {container} is not running")

        await self._ask(held, 5, 50)
        async with engine_sessions.session(purpose, self.engine.files.setdefault(container, {})) as found:
            yield found

    async def stats(self, container: str, *, follow: bool) -> AsyncGenerator[ContainerStats, None]:
        def look() -> ContainerStats | None:
            held = self.engine.containers.get(container)
            if held is None:
                raise EngineError(f"No such container: {container}")
            running = held.shown.state is ContainerState.RUNNING
            return ContainerStats(self._world.wall_ms, 250, 64 * MIB, 0, 0, 0, 0, 0, 1) if running else None

        while (found := await self._ask(look, 900, 1_100)) is not None:
            yield found
            if not follow:
                return

    async def close(self) -> None:
        pass

    # --- one request --------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.engine.down:
            raise EngineDown(self.engine.down)

    def _ask(self, do: Callable[[], object], low_ms: float, high_ms: float, *, may_fail: bool = False) -> Awaitable:
        """The engine does it after a while, whether or not the asker still lives; then the answer is on its way."""
        engine, world = self.engine, self._world
        answer = world.loop.create_future()
        outages = engine.outages

        def serve() -> None:
            result, error = None, None
            try:
                if engine.outages != outages:
                    raise EngineDown("the container engine closed the connection")
                self._check()
                if may_fail:
                    engine.perhaps_fail()
                result = do()
            except EngineError as raised:
                error = raised
            self._process.post(settle, result, error)

        def settle(result: object, error: EngineError | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        delay_ms = engine.rng.uniform(low_ms, high_ms) * engine.slowness
        world.after(1.0 if engine.down else delay_ms, serve)
        return answer
