"""What every `Engine` must do. The checks of `EngineContract` run against a real Docker Engine here, and against
the simulator's in tests/sim; what only Docker has is in test_engine_docker.py and test_engine_pull.py.
"""

import asyncio
import contextlib
import functools
import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import msgspec
import pytest

from orion.adapters.docker import Docker
from orion.model.allocation import Allocation
from orion.model.container import Attachment, Container, EngineNetwork, File, Labels, SharedNamespaces
from orion.model.errors import EngineDown, EngineError
from orion.model.ids import AllocationId, JobName, NodeId, container_name
from orion.model.job import PortBinding, TaskSpec
from orion.ports.engine import Engine
from support.dockerd import Dockerd

DEADLINE_S = 30.0
FOREVER, SUCCEEDS, CRASHES = "forever", "succeeds", "crashes"
NODE = NodeId("node1")


class Bench(Protocol):
    """An engine to be checked."""

    missing_image: str  # one that cannot be pulled

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits. Removes the containers of `new_cluster`'s clusters after."""

    def adapter(self) -> Engine:
        """A new one at each call, as every node process has its own. Closed by `run`."""

    def spec(self, kind: str) -> TaskSpec:
        """A task that runs FOREVER (and obeys a stop), one that SUCCEEDS (exit code 0) or CRASHES (1) by itself.
        Its image is there.
        """

    def new_cluster(self) -> int: ...

    def free_port(self) -> int: ...

    async def go_down(self) -> None:
        """The engine ends in order, with its containers."""

    async def come_up(self) -> None: ...


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An async check as a test."""

    def run(self: object, bench: Bench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


class Placed:
    """One allocation with a container of its own."""

    def __init__(self, cluster: int, spec: TaskSpec, *, number: int = 1, ports: tuple[int, ...] = ()) -> None:
        self.spec = spec
        # Named after the cluster, so that runs which share an engine don't meet.
        self.job = JobName(f"web-{cluster:x}")
        self.allocation = Allocation(AllocationId(number), self.job, 0, 0, NODE, ports)
        self.labels = Labels(cluster, NODE, self.job, 0, number)
        self.name = container_name(self.job, 0, AllocationId(number))

    async def create(self, engine: Engine, attach: Attachment | None = None) -> str:
        return await engine.create(self.allocation, self.spec, self.labels, name=self.name, attach=attach)


def network_of(cluster: int) -> EngineNetwork:
    return EngineNetwork(
        name=f"orion-test-{cluster:x}",
        cluster=cluster,
        node=NODE,
        subnet="10.213.77.0/24",
        gateway="10.213.77.1",
        bridge=f"ot{cluster & 0xFFFFFFFF:x}",
        mtu=1_400,
        uplink="orion.test",
    )


async def until(
    engine: Engine, container: str, holds: Callable[[Container], bool], what: str = "the state"
) -> Container:
    """Look at the container until it `holds`."""
    found: Container | None = None
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = await engine.inspect(container)
                if found is not None and holds(found):
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what} did not come; last seen: {found}") from None


async def until_exited(engine: Engine, container: str) -> Container:
    return await until(engine, container, lambda c: c.state == "exited", "the end")


async def until_it_obeys(engine: Engine, container: str) -> None:
    """Wait until its first process has a handler for SIGTERM: the kernel drops what such a process does not handle,
    and a program that has just been started has set nothing yet.
    """
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                said = await engine.exec(container, ["grep", "SigCgt", "/proc/1/status"], 10_000)
                if said.exit_code == 0 and int(said.output.split()[1], 16) & 1 << signal.SIGTERM - 1:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{container} never handled SIGTERM") from None


class Changes:
    """What the engine tells of one cluster's containers."""

    def __init__(self) -> None:
        self.told: list[str] = []  # all so far
        self.listens = asyncio.Event()
        self._new: asyncio.Queue[str] = asyncio.Queue(1_000)

    async def follow(self, engine: Engine, cluster: int) -> None:
        async for container in engine.changes(cluster):
            if not container:
                self.listens.set()
                continue
            self.told.append(container)
            self._new.put_nowait(container)

    async def of(self, container: str) -> None:
        """Wait for its next change."""
        async with asyncio.timeout(DEADLINE_S):
            while await self._new.get() != container:
                pass


@contextlib.asynccontextmanager
async def changes_of(engine: Engine, cluster: int) -> AsyncIterator[Changes]:
    changes = Changes()
    runner = asyncio.create_task(changes.follow(engine, cluster))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await changes.listens.wait()
        yield changes
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


class EngineContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    @checked
    async def test_a_container_lives_and_is_seen(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        placed = Placed(cluster, bench.spec(FOREVER))
        id_ = await placed.create(engine)
        (created,) = await engine.containers(cluster)
        assert (created.id, created.labels, created.state) == (id_, placed.labels, "created")
        assert (created.exit_code, created.started_at_ms, created.finished_at_ms) == (None, 0, 0)

        await engine.start(id_)
        running = await until(engine, id_, lambda c: c.state == "running")
        assert running.exit_code is None
        assert running.started_at_ms > 0
        assert running.finished_at_ms == 0
        assert await engine.containers(cluster) == [running]
        await engine.start(id_)  # again is fine

        await engine.stop(id_, 5_000)
        stopped = await until_exited(engine, id_)
        assert stopped.exit_code is not None
        assert stopped.finished_at_ms >= stopped.started_at_ms == running.started_at_ms
        await engine.start(id_)
        await until(engine, id_, lambda c: c.state == "running" and c.exit_code is None)

        await engine.remove(id_)  # running as it is
        assert await engine.inspect(id_) is None
        assert await engine.containers(cluster) == []

    @checked
    async def test_who_has_the_network_of_another_container_has_its_address(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        other = await Placed(cluster, bench.spec(FOREVER)).create(engine)
        beside = Placed(cluster, bench.spec(FOREVER), number=2)
        id_ = await engine.create(
            beside.allocation, beside.spec, beside.labels, name=beside.name, share=SharedNamespaces(network=other)
        )
        await engine.start(other)
        await engine.start(id_)
        running = await until(engine, id_, lambda c: c.state == "running")
        found = {each.id: each for each in await engine.containers(cluster)}
        assert found[other].address == found[id_].address == running.address != ""
        assert running.shares == SharedNamespaces(network=other)
        assert found[other].shares == SharedNamespaces()

    @checked
    async def test_a_container_has_the_address_that_it_is_given_on_a_network(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        network = network_of(cluster)
        await engine.ensure_network(network)
        try:
            await engine.ensure_network(network)
            one, two = Placed(cluster, bench.spec(FOREVER)), Placed(cluster, bench.spec(FOREVER), number=2)
            id_ = await one.create(engine, Attachment(network.name, "10.213.77.9"))
            await engine.start(id_)
            running = await until(engine, id_, lambda c: c.state == "running")
            assert running.address == "10.213.77.9"
            with pytest.raises(EngineError, match="still on the network"):
                await engine.remove_network(network.name, cluster)
            with pytest.raises(EngineError):  # some engines see it when it is made, others when it starts
                await engine.start(await two.create(engine, Attachment(network.name, "10.213.77.9")))
            with pytest.raises(EngineError, match="another cluster"):
                await bench.adapter().ensure_network(msgspec.structs.replace(network, cluster=cluster + 1))
            await engine.remove_network(network.name, cluster + 1)
            with pytest.raises(EngineError, match="still on the network"):
                await engine.ensure_network(msgspec.structs.replace(network, mtu=1_300))
            await engine.stop(id_, 100)
            await until_exited(engine, id_)
            await engine.start(id_)
            assert (await until(engine, id_, lambda c: c.state == "running")).address == "10.213.77.9"
            await engine.remove(id_)
            await engine.ensure_network(msgspec.structs.replace(network, mtu=1_300))
        finally:
            for each in await engine.containers(cluster):
                await engine.remove(each.id)
            await engine.remove_network(network.name, cluster)
        await engine.remove_network(network.name, cluster)
        with pytest.raises(EngineError):
            await engine.start(await one.create(engine, Attachment(network.name, "10.213.77.9")))

    @checked
    async def test_an_ended_container_tells_its_exit_code_and_times(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        for number, (kind, code) in enumerate({SUCCEEDS: 0, CRASHES: 1}.items()):
            id_ = await Placed(cluster, bench.spec(kind), number=number).create(engine)
            await engine.start(id_)
            ended = await until_exited(engine, id_)
            assert (ended.exit_code, ended.oom_killed) == (code, False)
            assert ended.finished_at_ms >= ended.started_at_ms > 0

    @checked
    async def test_changes_tell_of_start_end_and_removal(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        async with changes_of(engine, cluster) as changes:
            id_ = await Placed(cluster, bench.spec(SUCCEEDS)).create(engine)
            await engine.start(id_)
            await changes.of(id_)
            await changes.of(id_)
            assert (await until_exited(engine, id_)).exit_code == 0
            await engine.remove(id_)
            await changes.of(id_)
            assert await engine.inspect(id_) is None

    @checked
    async def test_a_new_adapter_finds_what_an_earlier_one_started(self, bench: Bench) -> None:
        earlier, cluster = bench.adapter(), bench.new_cluster()
        placed = Placed(cluster, bench.spec(FOREVER))
        id_ = await placed.create(earlier)
        await earlier.start(id_)
        await earlier.close()
        later = bench.adapter()
        (found,) = await later.containers(cluster)
        assert (found.id, found.labels, found.state) == (id_, placed.labels, "running")

    @checked
    async def test_create_repeated_gives_the_same_container(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        placed = Placed(cluster, bench.spec(FOREVER))
        id_ = await placed.create(engine)
        await engine.start(id_)
        assert await placed.create(bench.adapter()) == id_
        found = await engine.inspect(id_)
        assert found is not None
        assert found.state == "running"

    @checked
    async def test_a_name_that_is_anothers_is_refused(self, bench: Bench) -> None:
        engine = bench.adapter()
        mine, other = (Placed(bench.new_cluster(), bench.spec(FOREVER)) for _ in range(2))
        other.name = mine.name
        id_ = await mine.create(engine)
        with pytest.raises(EngineError, match="already in use"):
            await other.create(engine)
        assert await engine.inspect(id_) is not None

    @checked
    async def test_stopping_or_removing_what_is_gone_is_fine(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        id_ = await Placed(cluster, bench.spec(SUCCEEDS)).create(engine)
        await engine.start(id_)
        await until_exited(engine, id_)
        await engine.stop(id_, 1_000)
        await engine.remove(id_)
        await engine.remove(id_)
        await engine.stop(id_, 1_000)
        assert await engine.inspect(id_) is None

    @checked
    async def test_starting_what_is_gone_is_an_error(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        id_ = await Placed(cluster, bench.spec(FOREVER)).create(engine)
        await engine.remove(id_)
        with pytest.raises(EngineError, match="No such container"):
            await engine.start(id_)

    @checked
    async def test_removals_at_once_all_return_when_it_is_gone(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        id_ = await Placed(cluster, bench.spec(FOREVER)).create(engine)
        await engine.start(id_)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(engine.remove(id_))
        assert await engine.inspect(id_) is None

    @checked
    async def test_an_image_that_no_registry_has_gives_no_digest(self, bench: Bench) -> None:
        with pytest.raises(EngineError):
            await bench.adapter().digest(bench.missing_image, local=True)

    @checked
    async def test_only_images_that_are_there_can_be_used(self, bench: Bench) -> None:
        engine = bench.adapter()
        assert await engine.has_image(bench.spec(FOREVER).image)
        assert not await engine.has_image(bench.missing_image)
        placed = Placed(bench.new_cluster(), TaskSpec(bench.missing_image))
        with pytest.raises(EngineError):
            await placed.create(engine)

    @checked
    async def test_a_taken_port_is_said_and_can_be_had_once_free(self, bench: Bench) -> None:
        engine, cluster, port = bench.adapter(), bench.new_cluster(), bench.free_port()
        spec = TaskSpec(
            bench.spec(FOREVER).image, bench.spec(FOREVER).command, ports=(PortBinding(80, "tcp", port),)
        )
        first, second = (Placed(cluster, spec, number=n, ports=(port,)) for n in (1, 2))
        holder = await first.create(engine)
        await engine.start(holder)
        waiting = await second.create(engine)
        with pytest.raises(EngineError, match=f"{port}.*port is already allocated") as raised:
            await engine.start(waiting)
        assert not raised.value.permanent
        assert not isinstance(raised.value, EngineDown)
        await engine.remove(holder)
        await engine.start(waiting)  # at once: a removal returns when the port is free
        found = await until(engine, waiting, lambda c: c.state == "running")
        assert found.host_ports == (port,)

    @checked
    async def test_two_clusters_never_see_each_other(self, bench: Bench) -> None:
        engine, ours, theirs = bench.adapter(), bench.new_cluster(), bench.new_cluster()
        async with changes_of(engine, ours) as our_changes, changes_of(engine, theirs) as their_changes:
            our_id = await Placed(ours, bench.spec(FOREVER)).create(engine)
            their_id = await Placed(theirs, bench.spec(FOREVER)).create(engine)
            await engine.start(their_id)
            await their_changes.of(their_id)
            await engine.start(our_id)
            await our_changes.of(our_id)
            assert [c.id for c in await engine.containers(ours)] == [our_id]
            assert [c.id for c in await engine.containers(theirs)] == [their_id]
            await engine.remove(our_id)
            await engine.stop(their_id, 5_000)
            await their_changes.of(their_id)
            assert set(our_changes.told) == {our_id}
            assert set(their_changes.told) == {their_id}

    @checked
    async def test_files_are_put_before_a_start(self, bench: Bench) -> None:
        engine = bench.adapter()
        id_ = await Placed(bench.new_cluster(), bench.spec(SUCCEEDS)).create(engine)
        for content in (b"one", b"two"):
            await engine.put_files(
                id_, [File("/etc/orion-test", content, 0o600), File("/new/folder/x", b"", 0o644)]
            )
        await engine.start(id_)
        assert (await until_exited(engine, id_)).exit_code == 0

    @checked
    async def test_a_command_in_a_container_runs_to_its_end(self, bench: Bench) -> None:
        engine = bench.adapter()
        id_ = await Placed(bench.new_cluster(), bench.spec(FOREVER)).create(engine)
        with pytest.raises(EngineError, match="not running"):
            await engine.exec(id_, ["true"], 5_000)
        await engine.start(id_)
        assert (await engine.exec(id_, ["true"], 5_000)).exit_code == 0
        assert (await engine.exec(id_, ["false"], 5_000)).exit_code == 1
        await engine.remove(id_)
        with pytest.raises(EngineError, match="No such container"):
            await engine.exec(id_, ["true"], 5_000)

    @checked
    async def test_running_containers_of_other_clusters_are_shown(self, bench: Bench) -> None:
        engine, mine, other = bench.adapter(), bench.new_cluster(), bench.new_cluster()
        placed = [Placed(cluster, bench.spec(FOREVER)) for cluster in (mine, other, other)]
        running, of_other, _ = [await each.create(engine) for each in placed]
        await engine.start(running)
        await engine.start(of_other)
        shown = {found.id: found for found in await engine.of_others(mine) if found.labels.cluster in (mine, other)}
        assert list(shown) == [of_other]
        assert (shown[of_other].labels, shown[of_other].state) == (placed[1].labels, "running")

    @checked
    async def test_host_ports_of_containers_that_are_not_this_clusters_are_shown(self, bench: Bench) -> None:
        engine, mine, other, port = bench.adapter(), bench.new_cluster(), bench.new_cluster(), bench.free_port()
        plain = bench.spec(FOREVER)
        spec = TaskSpec(plain.image, plain.command, ports=(PortBinding(80, "tcp", port),))
        placed = Placed(other, spec, ports=(port,))
        id_ = await placed.create(engine)
        assert port not in {each.port for each in await engine.published_by_others(mine)}, "it does not run yet"
        await engine.start(id_)
        (found,) = (each for each in await engine.published_by_others(mine) if each.port == port)
        assert (found.protocol, found.address) == ("tcp", "0.0.0.0")
        assert found.program.startswith("container ")
        assert port not in {each.port for each in await engine.published_by_others(other)}


class EngineAbsence:
    """For benches whose engine may be taken down."""

    @checked
    async def test_an_engine_goes_away_and_comes_back(self, bench: Bench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        before = await engine.info()
        id_ = await Placed(cluster, bench.spec(FOREVER)).create(engine)
        changes = Changes()
        runner = asyncio.create_task(changes.follow(engine, cluster))
        async with asyncio.timeout(DEADLINE_S):
            await changes.listens.wait()
        await engine.start(id_)
        await changes.of(id_)
        await bench.go_down()
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(EngineDown):
                await runner
        for call in (
            engine.info(),
            engine.has_image("web"),
            engine.containers(cluster),
            engine.inspect(id_),
            engine.put_files(id_, [File("/x", b"", 0o644)]),
            engine.start(id_),
            engine.exec(id_, ["true"], 1_000),
            engine.stop(id_, 1_000),
            engine.remove(id_),
        ):
            with pytest.raises(EngineDown):
                await call
        with pytest.raises(EngineDown):
            await anext(engine.changes(cluster))

        await bench.come_up()
        after = await engine.info()
        assert msgspec.structs.replace(after, run=before.run) == before
        assert after.run != before.run, "by which an engine is told from a clone of its machine"
        assert after == await engine.info()
        (found,) = await engine.containers(cluster)
        assert (found.id, found.state) == (id_, "exited")
        await engine.start(id_)
        await until(engine, id_, lambda c: c.state == "running")


# --- Docker ------------------------------------------------------------------------------------------------

# A shell that obeys SIGTERM at once: as process 1 it would ignore it without a handler.
_OBEYS = "trap 'exit 0' TERM; sleep 1000000 & wait"
_COMMANDS = {
    FOREVER: ("sh", "-c", _OBEYS),
    SUCCEEDS: ("true",),
    CRASHES: ("sh", "-c", "echo so sorry >&2; exit 1"),
}


class DockerBench:
    missing_image = "localhost:1/orion-test/no-such-image:latest"

    def __init__(self, host: str, image: str, dockerd: Dockerd | None = None) -> None:
        self.host = host
        self._image = image
        self._dockerd = dockerd
        self._clusters: list[int] = []
        self._adapters: list[Docker] = []

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        asyncio.run(self._run(check))

    async def _run(self, check: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(120):
                await check()
        finally:
            try:
                await self._clean(self.adapter())
            finally:
                for adapter in self._adapters:
                    await adapter.close()

    async def _clean(self, engine: Docker) -> None:
        for cluster in self._clusters:
            for container in await engine.containers(cluster):
                await engine.remove(container.id)

    def adapter(self) -> Docker:
        self._adapters.append(Docker(self.host))
        return self._adapters[-1]

    def spec(self, kind: str) -> TaskSpec:
        return TaskSpec(self._image, _COMMANDS[kind])

    def new_cluster(self) -> int:
        self._clusters.append(random.SystemRandom().getrandbits(64))
        return self._clusters[-1]

    def free_port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    async def go_down(self) -> None:
        assert self._dockerd is not None
        await asyncio.to_thread(self._dockerd.stop)

    async def come_up(self) -> None:
        assert self._dockerd is not None
        await asyncio.to_thread(self._dockerd.start)


@pytest.mark.engine
class TestDocker(EngineContract):
    @pytest.fixture
    def bench(self, docker_host: str, busybox_image: str) -> DockerBench:
        return DockerBench(docker_host, busybox_image)


@pytest.mark.engine
@pytest.mark.root
class TestDockerAbsence(EngineAbsence):
    @pytest.fixture
    def bench(self, own_engine: Dockerd) -> DockerBench:
        return DockerBench(own_engine.host, "orion-test/busybox", own_engine)
