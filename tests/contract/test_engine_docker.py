"""What the Docker adapter does beyond the contract of every engine, against a real Docker Engine."""

import asyncio
import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_engine import (
    CRASHES,
    DEADLINE_S,
    FOREVER,
    SUCCEEDS,
    DockerBench,
    Placed,
    changes_of,
    checked,
    until,
    until_exited,
    until_it_obeys,
)

from orion.adapters.docker import Docker
from orion.adapters.docker.stop_detection import RING
from orion.model.container import Container, EndCause, File, LogQuery
from orion.model.errors import EngineDown, EngineError
from orion.model.folders import EntryKind
from orion.model.job import PortBinding, TaskSpec
from orion.model.resources import MIB, Resources
from support import api
from support.dockerd import Dockerd

pytestmark = pytest.mark.engine


@pytest.fixture
def bench(docker_host: str, busybox_image: str) -> DockerBench:
    return DockerBench(docker_host, busybox_image)


def shell(bench: DockerBench, script: str, **changes: object) -> TaskSpec:
    return TaskSpec(bench.spec(FOREVER).image, ("sh", "-c", script), **changes)


async def words_of(engine: Docker, container: str, query: LogQuery) -> str:
    return (await bytes_of(engine, container, query)).decode()


async def bytes_of(engine: Docker, container: str, query: LogQuery) -> bytes:
    return b"".join([entry.text async for batch in engine.logs(container, query) for entry in batch])


class TestLogs:
    @checked
    async def test_logs_are_chosen_by_stream_tail_and_since(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        script = "for i in 1 2 3; do echo out $i; done; for i in 1 2; do echo err $i >&2; done"
        id_ = await Placed(bench.new_cluster(), shell(bench, script)).create(engine)
        assert await words_of(engine, id_, LogQuery()) == ""
        await engine.start(id_)
        ended = await until_exited(engine, id_)
        out, err = "out 1\nout 2\nout 3\n", "err 1\nerr 2\n"
        both = await words_of(engine, id_, LogQuery())
        assert sorted(both.splitlines()) == sorted((out + err).splitlines())
        assert await words_of(engine, id_, LogQuery(stderr=False)) == out
        assert await words_of(engine, id_, LogQuery(stdout=False)) == err
        # Docker counts the lines of both streams, whichever is asked for.
        assert len((await words_of(engine, id_, LogQuery(tail=2))).splitlines()) == 2
        last = [await words_of(engine, id_, LogQuery(tail=5, stderr=e, stdout=not e)) for e in (False, True)]
        assert last == [out, err]
        assert await words_of(engine, id_, LogQuery(tail=0)) == ""
        assert await words_of(engine, id_, LogQuery(since_ns=(ended.started_at_ms - 60_000) * 1_000_000)) == both
        assert await words_of(engine, id_, LogQuery(since_ns=(ended.finished_at_ms + 60_000) * 1_000_000)) == ""

    @checked
    async def test_following_ends_with_the_container(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        script = "trap 'echo bye; exit 0' USR1; echo hello; while :; do sleep 0.05; done"
        id_ = await Placed(bench.new_cluster(), shell(bench, script)).create(engine)
        await engine.start(id_)
        lines = ""
        async for entries in engine.logs(id_, LogQuery(follow=True)):
            lines += b"".join(entry.text for entry in entries).decode()
            if lines == "hello\n":
                await asyncio.to_thread(api.ask, bench.host, "POST", f"/containers/{id_}/kill?signal=USR1")
        assert lines == "hello\nbye\n"

    @checked
    async def test_bytes_pass_as_they_are(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        script = r"printf 'a\377\000b'; head -c 300000 /dev/zero"
        id_ = await Placed(bench.new_cluster(), shell(bench, script)).create(engine)
        await engine.start(id_)
        await until_exited(engine, id_)  # following, Docker 20.10 itself may drop the very last words
        got = await bytes_of(engine, id_, LogQuery())
        # json-file keeps text: a byte that is no UTF-8 is stored as the replacement character by Docker itself.
        assert got == "a\ufffd\0b".encode() + bytes(300_000)

    @checked
    async def test_a_hundred_followers_keep_nobody_waiting(self, bench: DockerBench) -> None:
        await a_hundred_followers(bench, bench.adapter())

    @checked
    async def test_logs_of_an_unknown_container_are_an_error(self, bench: DockerBench) -> None:
        with pytest.raises(EngineError, match="No such container"):
            await words_of(bench.adapter(), "no-such-container", LogQuery())


class TestWhoEndedIt:
    """Programs that end with 0 when they are told to."""

    # TERM comes last: once it has a handler, all have.
    OBEYS = "trap ': read the configuration again' HUP; trap 'exit 0' USR1 TERM; while :; do sleep 0.05; done"

    async def _running(self, bench: DockerBench, engine: Docker) -> tuple[int, str]:
        cluster = bench.new_cluster()
        id_ = await Placed(cluster, shell(bench, self.OBEYS)).create(engine)
        await engine.start(id_)
        await until_it_obeys(engine, id_)
        return cluster, id_

    @checked
    async def test_somebody_s_docker_stop_is_told_from_an_end_of_its_own(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        cluster, id_ = await self._running(bench, engine)
        async with changes_of(engine, cluster) as changes:
            for call in ("kill?signal=HUP", "kill?signal=USR1"):
                await asyncio.to_thread(api.ask, bench.host, "POST", f"/containers/{id_}/{call}")
            await changes.of(id_)
            ended = await until_exited(engine, id_)
            assert (ended.exit_code, ended.cause) == (0, EndCause.ITSELF), "USR1 is no word for end"
            await engine.start(id_)
            await changes.of(id_)
            await until_it_obeys(engine, id_)
            await asyncio.to_thread(api.ask, bench.host, "POST", f"/containers/{id_}/stop")
            await changes.of(id_)
            ended = await until_exited(engine, id_)
            assert (ended.exit_code, ended.cause) == (0, EndCause.TOLD)
            await engine.start(id_)
            await changes.of(id_)
            await until(engine, id_, lambda c: c.state == "running")

    @pytest.mark.root
    def test_the_engine_s_own_shutdown_is_no_end_of_the_program_s_own(self, own_engine: Dockerd) -> None:
        bench = DockerBench(own_engine.host, "orion-test/busybox", own_engine)

        async def check() -> None:
            engine = bench.adapter()
            cluster, id_ = await self._running(bench, engine)
            following = asyncio.create_task(_until_down(engine, cluster))
            await until(engine, id_, lambda c: c.state == "running")
            await asyncio.to_thread(own_engine.stop)
            await following
            await asyncio.to_thread(own_engine.start)
            (ended,) = await engine.containers(cluster)
            assert (ended.state, ended.exit_code, ended.cause) == ("exited", 0, EndCause.TOLD)

        bench.run(check)

    STUBBORN = "trap '' TERM; while :; do sleep 0.05; done"

    async def _beside_a_stubborn_one(self, bench: DockerBench, engine: Docker) -> tuple[int, str]:
        """A killed engine that is started again stops what it left, and answers nobody until that has ended."""
        cluster, id_ = await self._running(bench, engine)
        other = await Placed(cluster, shell(bench, self.STUBBORN), number=2).create(engine)
        await engine.start(other)
        for container in (id_, other):
            await until(engine, container, lambda c: c.state == "running")
        return cluster, id_

    @pytest.mark.root
    @pytest.mark.parametrize("listener", ["this adapter", "nobody"])
    def test_a_killed_engine_that_stops_what_it_left_is_no_end_of_the_program_s_own(
        self, own_engine: Dockerd, listener: str
    ) -> None:
        bench = DockerBench(own_engine.host, "orion-test/busybox", own_engine)

        async def check() -> None:
            engine = bench.adapter()
            cluster, id_ = await self._beside_a_stubborn_one(bench, engine)
            following = asyncio.create_task(_until_down(engine, cluster))
            await asyncio.to_thread(own_engine.kill_daemon)
            await following
            await asyncio.to_thread(own_engine.start)
            engine = engine if listener == "this adapter" else bench.adapter()
            async with changes_of(engine, cluster):
                ended = await _one_of(engine, cluster, id_)
                assert (ended.state, ended.exit_code, ended.cause) == ("exited", 0, EndCause.TOLD)

        bench.run(check)

    ENDS_AT_HUP = "trap 'exit 0' HUP; echo ready; while :; do sleep 0.05; done"

    @pytest.mark.root
    def test_what_ends_while_the_engine_is_away_has_ended_for_nobody_knows_what(self, own_engine: Dockerd) -> None:
        bench = DockerBench(own_engine.host, "orion-test/busybox", own_engine)

        async def check() -> None:
            engine, cluster = bench.adapter(), bench.new_cluster()
            id_ = await Placed(cluster, shell(bench, self.ENDS_AT_HUP)).create(engine)
            await engine.start(id_)
            await _says_ready(engine, id_)
            shown = await asyncio.to_thread(api.ask_json, bench.host, "GET", f"/containers/{id_}/json")
            following = asyncio.create_task(_until_down(engine, cluster))
            await asyncio.to_thread(own_engine.kill_daemon)
            await following
            os.kill(shown["State"]["Pid"], signal.SIGHUP)
            await asyncio.to_thread(_until_gone, shown["State"]["Pid"])
            await asyncio.to_thread(own_engine.start)
            async with changes_of(engine, cluster):
                ended = await _one_of(engine, cluster, id_)
                assert (ended.state, ended.exit_code, ended.cause) == ("exited", 0, EndCause.UNKNOWN)

        bench.run(check)

    @checked
    async def test_a_cause_that_nobody_heard_is_asked_of_docker(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        told, id_ = await self._running(bench, engine)
        itself = await Placed(told, bench.spec(SUCCEEDS), number=2).create(engine)
        await asyncio.to_thread(api.ask, bench.host, "POST", f"/containers/{id_}/stop")
        await engine.start(itself)
        await until_exited(engine, itself)
        found = {c.id: c.cause for c in await bench.adapter().containers(told)}
        assert found == {id_: EndCause.TOLD, itself: EndCause.ITSELF}

    @checked
    async def test_what_docker_has_forgotten_nobody_knows_but_who_heard_it(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        cluster, id_ = await self._running(bench, engine)
        async with changes_of(engine, cluster) as changes:
            await asyncio.to_thread(api.ask, bench.host, "POST", f"/containers/{id_}/stop")
            await changes.of(id_)
            await until_exited(engine, id_)
            await asyncio.to_thread(_many_events, bench.host)
            assert (await _one_of(engine, cluster, id_)).cause is EndCause.TOLD
            assert (await _one_of(bench.adapter(), cluster, id_)).cause is EndCause.UNKNOWN


async def _says_ready(engine: Docker, container: str) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        contextlib.aclosing(engine.logs(container, LogQuery(follow=True))) as logs,
    ):
        assert [entry.text for entry in await anext(logs)] == [b"ready\n"]


async def _until_down(engine: Docker, cluster: int) -> None:
    with contextlib.suppress(EngineDown):
        async for _ in engine.changes(cluster):
            pass


def _until_gone(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _many_events(host: str) -> None:
    """More than Docker remembers."""
    for _ in range(RING):
        api.ask(host, "POST", "/images/orion-test/busybox/tag?repo=orion-test/again")
    api.ask(host, "DELETE", "/images/orion-test/again")


async def _one_of(engine: Docker, cluster: int, id_: str) -> Container:
    return next(c for c in await engine.containers(cluster) if c.id == id_)


class TestEnds:
    @checked
    async def test_a_container_that_ignores_a_stop_is_killed_after_its_grace(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        id_ = await Placed(bench.new_cluster(), shell(bench, "trap '' TERM; while :; do sleep 1; done")).create(
            engine
        )
        await engine.start(id_)
        await engine.stop(id_, 100)
        stopped = await until_exited(engine, id_)
        assert stopped.exit_code == 137
        assert not stopped.oom_killed

    @checked
    async def test_a_stop_without_grace_kills_at_once(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        id_ = await Placed(bench.new_cluster(), shell(bench, "trap '' TERM; while :; do sleep 1; done")).create(
            engine
        )
        await engine.start(id_)
        await engine.stop(id_, 0)
        assert (await until_exited(engine, id_)).exit_code == 137

    @checked
    async def test_out_of_memory_is_told(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        # tail keeps the last line, and this line never ends.
        spec = shell(bench, "tail /dev/zero", resources=Resources(memory_bytes=16 * MIB))
        id_ = await Placed(bench.new_cluster(), spec).create(engine)
        await engine.start(id_)
        ended = await until_exited(engine, id_)
        assert ended.oom_killed
        assert ended.exit_code not in (0, None)

    @checked
    async def test_a_command_that_the_image_lacks_is_refused_for_good(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        spec = TaskSpec(bench.spec(FOREVER).image, ("no-such-program",))
        id_ = await Placed(bench.new_cluster(), spec).create(engine)
        with pytest.raises(EngineError, match='the image has no command "no-such-program"') as raised:
            await engine.start(id_)
        assert raised.value.permanent
        found = await engine.inspect(id_)
        assert found is not None
        assert (found.state, "no-such-program" in found.error) == ("created", True)

    @checked
    async def test_a_command_that_can_not_be_run_is_refused_for_good(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        id_ = await Placed(bench.new_cluster(), TaskSpec(bench.spec(FOREVER).image, ("/etc/passwd",))).create(
            engine
        )
        with pytest.raises(EngineError, match='the command "/etc/passwd" can\'t be run') as raised:
            await engine.start(id_)
        assert raised.value.permanent


class TestWhatATaskGets:
    @checked
    async def test_a_container_gets_its_limits_labels_and_environment(self, bench: DockerBench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        spec = shell(
            bench,
            "env",
            resources=Resources(cpu_millis=250, memory_bytes=64 * MIB),
            env=(("GREETING", "hello = world"), ("ORION_NODE", "mine")),
            stop_grace_ms=2_500,
        )
        placed = Placed(cluster, spec, number=0xBEEF)
        id_ = await placed.create(engine)
        shown = await asyncio.to_thread(api.ask_json, bench.host, "GET", f"/containers/{id_}/json")
        assert shown["Name"] == f"/{placed.name}"
        assert (
            shown["Config"]["Labels"]
            | {
                "dev.orion.cluster": f"{cluster:016x}",
                "dev.orion.node": "node1",
                "dev.orion.job": placed.job,
                "dev.orion.task": f"{placed.job}/0",
                "dev.orion.allocation": "0000beef",
            }
            == shown["Config"]["Labels"]
        )
        host = shown["HostConfig"]
        assert (host["Memory"], host["MemorySwap"]) == (64 * MIB, 64 * MIB)
        assert host["CpuShares"] == 256
        assert host["RestartPolicy"]["Name"] == "no"
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
        assert shown["Config"]["StopTimeout"] == 3
        await engine.start(id_)
        await until_exited(engine, id_)
        environment = (await words_of(engine, id_, LogQuery())).splitlines()
        for line in (
            "GREETING=hello = world",
            "ORION_ALLOCATION=0000beef",
            "ORION_ALLOC_INDEX=0",
            "ORION_NODE=mine",
            f"ORION_TASK={placed.job}/0",
        ):
            assert line in environment

    @checked
    async def test_too_little_memory_is_refused_for_good(self, bench: DockerBench) -> None:
        spec = TaskSpec(bench.spec(FOREVER).image, resources=Resources(memory_bytes=1_000))
        with pytest.raises(EngineError, match=r"[Mm]inimum memory limit") as raised:
            await Placed(bench.new_cluster(), spec).create(bench.adapter())
        assert raised.value.permanent

    def test_its_port_answers(self, docker_host: str, web_image: str) -> None:
        bench = DockerBench(docker_host, web_image)

        async def check() -> None:
            engine, ports = bench.adapter(), (bench.free_port(), bench.free_port())
            spec = TaskSpec(web_image, ports=(PortBinding(80, "tcp", ports[0]), PortBinding(443, "tcp", ports[1])))
            id_ = await Placed(bench.new_cluster(), spec, ports=ports).create(engine)
            await engine.start(id_)
            found = await until(engine, id_, lambda c: c.state == "running")
            assert found.host_ports == ports
            assert found.address
            assert id_[:12] in await page(ports[0])

        bench.run(check)

    def test_its_port_answers_on_its_address_only(self, docker_host: str, web_image: str) -> None:
        bench = DockerBench(docker_host, web_image)

        async def check() -> None:
            engine, port = bench.adapter(), bench.free_port()
            spec = TaskSpec(web_image, ports=(PortBinding(80, "tcp", port, "127.0.0.1"),))
            id_ = await Placed(bench.new_cluster(), spec, ports=(port,)).create(engine)
            await engine.start(id_)
            found = await until(engine, id_, lambda c: c.state == "running")
            assert found.host_ports == (port,)
            assert id_[:12] in await page(port)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port), timeout=DEADLINE_S)

        bench.run(check)

    @checked
    async def test_an_address_of_another_machine_is_refused_by_name(self, bench: DockerBench) -> None:
        engine, image = bench.adapter(), bench.spec(FOREVER).image
        spec = TaskSpec(image, ports=(PortBinding(80, "tcp", 8085, "192.0.2.9"),))
        id_ = await Placed(bench.new_cluster(), spec, ports=(8085,)).create(engine)
        with pytest.raises(EngineError, match=r"^192\.0\.2\.9 is not an address of this machine"):
            await engine.start(id_)

    @checked
    async def test_a_port_of_another_program_is_refused_by_number(self, bench: DockerBench) -> None:
        engine, image = bench.adapter(), bench.spec(FOREVER).image
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            spec = TaskSpec(image, ports=(PortBinding(80, "tcp", port),))
            id_ = await Placed(bench.new_cluster(), spec, ports=(port,)).create(engine)
            with pytest.raises(EngineError, match=f"port {port} is taken on this machine by another program"):
                await engine.start(id_)


async def page(port: int) -> str:
    """Docker's proxy takes connections a moment before the server inside listens."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return await asyncio.to_thread(get, port)
            await asyncio.sleep(0.02)


def get(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class TestTheEngineItself:
    @checked
    async def test_info_tells_the_engine_s_id_version_and_resources(self, bench: DockerBench) -> None:
        info = await bench.adapter().info()
        assert info.id
        assert info.version[0].isdigit()
        assert info.resources.cpu_millis >= 1_000
        assert info.resources.memory_bytes > 64 * MIB
        assert info.resources.disk_bytes > 64 * MIB

    @checked
    async def test_a_container_runs_over_tcp(self, bench: DockerBench) -> None:
        here = await bench.adapter().info()
        async with over_tcp(bench.host) as engine:
            info = await engine.info()
            assert (info.id, info.resources.memory_bytes) == (here.id, here.resources.memory_bytes)
            assert info.resources.disk_bytes == 0  # its disk is not this machine's
            id_ = await Placed(bench.new_cluster(), bench.spec(CRASHES)).create(engine)
            await engine.start(id_)
            await until_exited(engine, id_)
            assert await words_of(engine, id_, LogQuery()) == "so sorry\n"

    @checked
    async def test_a_hundred_followers_over_tcp_keep_nobody_waiting(self, bench: DockerBench) -> None:
        async with over_tcp(bench.host) as engine:
            await a_hundred_followers(bench, engine)

    def test_a_hundred_followers_over_tls_keep_nobody_waiting(
        self, bench: DockerBench, certificates: Path, monkeypatch
    ) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
        tls.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        tls.verify_mode = ssl.CERT_REQUIRED
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))

        async def check() -> None:
            async with over_tcp(bench.host, tls) as engine:
                await a_hundred_followers(bench, engine)

        bench.run(check)

    def test_tls_without_its_certificates_is_told(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        for folder in (str(tmp_path), None):
            monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
            if folder is not None:
                monkeypatch.setenv("DOCKER_CERT_PATH", folder)
            with pytest.raises(EngineDown, match="certificates"):
                asyncio.run(Docker("tcp://127.0.0.1:1").info())

    @pytest.mark.root
    def test_two_engines_are_told_apart(self, docker_host: str, own_engine: Dockerd) -> None:
        async def id_of(host: str) -> str:
            engine = Docker(host)
            try:
                return (await engine.info()).id
            finally:
                await engine.close()

        assert asyncio.run(id_of(docker_host)) != asyncio.run(id_of(own_engine.host))

    @pytest.mark.root
    def test_a_stream_of_an_engine_that_is_killed_means_that_it_is_down(self, own_engine: Dockerd) -> None:
        bench = DockerBench(own_engine.host, "orion-test/busybox", own_engine)

        async def check() -> None:
            engine = bench.adapter()
            id_ = await Placed(bench.new_cluster(), shell(bench, "echo hello; sleep 1000000")).create(engine)
            await engine.start(id_)
            logs = engine.logs(id_, LogQuery(follow=True))
            assert [entry.text for entry in await anext(logs)] == [b"hello\n"]
            await asyncio.to_thread(own_engine.kill)
            with pytest.raises(EngineDown):
                await anext(logs)
            await asyncio.to_thread(own_engine.start)
            found = await engine.inspect(id_)
            assert found is not None
            assert found.state == "exited"

        bench.run(check)

    @checked
    async def test_many_containers_are_listed_and_removed(self, bench: DockerBench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(Placed(cluster, bench.spec(CRASHES), number=number).create(engine))
        found = await engine.containers(cluster)
        assert sorted(c.labels.allocation for c in found) == list(range(30))


async def a_hundred_followers(bench: DockerBench, engine: Docker) -> None:
    id_ = await Placed(bench.new_cluster(), shell(bench, "echo hello; sleep 1000000")).create(engine)
    await engine.start(id_)
    followers = [engine.logs(id_, LogQuery(follow=True)) for _ in range(110)]
    assert {entry.text for f in followers for entry in await anext(f)} == {b"hello\n"}
    assert (await engine.inspect(id_)) is not None
    for follower in followers:
        await follower.aclose()


@contextlib.asynccontextmanager
async def over_tcp(host: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Docker]:
    """An adapter that reaches the engine through a port of this machine."""
    assert host.startswith("unix://")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(sink):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(host.removeprefix("unix://"))
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, up_writer))
            group.create_task(pump(up_reader, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0, ssl=tls) as server:
        engine = Docker(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            yield engine
        finally:
            await engine.close()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """For DOCKER_CERT_PATH: one certificate for the engine, the client and the authority."""
    request = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=orion-test -addext subjectAltName=IP:127.0.0.1"
    made = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    subprocess.run([*request.split(), *made], check=True, capture_output=True)
    shutil.copy(tmp_path / "cert.pem", tmp_path / "ca.pem")
    return tmp_path


@pytest.fixture
def mute_engine(tmp_path) -> Iterator[str]:
    """Takes connections and never answers."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield f"unix://{path}"


class TestNoEngine:
    def refusal(self, host: str, **tuning: float) -> str:
        async def ask() -> str:
            engine = Docker(host, **tuning)
            try:
                with pytest.raises(EngineDown) as raised:
                    await engine.info()
                return raised.value.detail
            finally:
                await engine.close()

        return asyncio.run(ask())

    def test_a_missing_socket_is_told(self, tmp_path) -> None:
        assert self.refusal(f"unix://{tmp_path}/docker.sock").startswith("there is no Docker Engine at unix://")

    def test_a_socket_without_a_listener_refuses(self, tmp_path) -> None:
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        assert "refuses connections" in self.refusal(f"unix://{path}")

    def test_a_port_without_a_listener_refuses(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        assert "refuses connections" in self.refusal(f"tcp://127.0.0.1:{port}")

    def test_an_address_that_is_none_is_told(self) -> None:
        assert "is no address of a Docker Engine" in self.refusal("somewhere")

    def test_an_engine_that_never_answers_is_told(self, mute_engine: str) -> None:
        assert "did not answer within" in self.refusal(mute_engine, call_s=0.2)

    @pytest.mark.parametrize(
        ("babble", "says"),
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi", "is no Docker Engine"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "is no Docker"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "is no Docker Engine"),
        ],
    )
    def test_a_program_that_is_no_engine_is_told(self, tmp_path, babble: bytes, says: str) -> None:
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()

            def answer() -> None:
                taken, _ = listener.accept()
                with taken:
                    taken.recv(1_000)
                    taken.sendall(babble)

            thread = threading.Thread(target=answer)
            thread.start()
            try:
                assert says in self.refusal(f"unix://{path}")
            finally:
                thread.join()


class TestCopies:
    """`docker commit` puts a container's labels into the image, and so into whatever is made of it."""

    @checked
    async def test_a_container_of_an_image_that_was_committed_is_somebody_else_s(self, bench: DockerBench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        placed = Placed(cluster, bench.spec(FOREVER))
        id_ = await placed.create(engine)
        image = f"orion-test/committed:{cluster:x}"
        repository, _, tag = image.partition(":")

        def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
            return api.ask_json(bench.host, method, path, body)

        await asyncio.to_thread(ask, "POST", f"/commit?container={id_}&repo={repository}&tag={tag}")
        body = {"Image": image, "Cmd": ["true"]}
        ports = {"PortBindings": {"80/tcp": [{"HostPort": "8000-8010"}]}}
        copies = []
        try:
            for more in ({}, {"HostConfig": ports}):
                made = await asyncio.to_thread(ask, "POST", "/containers/create", body | more)
                copies.append(made["Id"])
                shown = await asyncio.to_thread(ask, "GET", f"/containers/{copies[-1]}/json")
                assert shown["Config"]["Labels"]["dev.orion.allocation"] == "00000001"
            assert [c.id for c in await engine.containers(cluster)] == [id_]
            assert [await engine.inspect(copy) for copy in copies] == [None, None]
        finally:
            for copy in copies:
                await asyncio.to_thread(ask, "DELETE", f"/containers/{copy}?force=1")
            await asyncio.to_thread(ask, "DELETE", f"/images/{image}?force=1")

    @checked
    async def test_one_that_was_renamed_is_let_go_until_it_has_its_name_again(self, bench: DockerBench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        placed = Placed(cluster, bench.spec(FOREVER))
        id_ = await placed.create(engine)

        async def rename(name: str) -> None:
            await asyncio.to_thread(api.ask, bench.host, "POST", f"/containers/{id_}/rename?name={name}")

        await rename(f"{placed.job}-mine")
        try:
            assert await engine.containers(cluster) == []
            other = await placed.create(engine)
            assert other != id_
            await engine.remove(other)
        finally:
            await rename(placed.name)
        assert [c.id for c in await engine.containers(cluster)] == [id_]


class TestFiles:
    @checked
    async def test_files_are_there_when_it_starts(self, bench: DockerBench) -> None:
        """With their bytes and modes, in folders that were missing too; what was beside them is untouched."""
        engine = bench.adapter()
        stats = "stat -c '%a %u %n' /etc /etc/app.conf /made/for/it/x /made/for; stat -c '%a %u %g' /owned"
        script = f"{stats}; cat /etc/app.conf; wc -c < /made/for/it/x"
        id_ = await Placed(bench.new_cluster(), shell(bench, script)).create(engine)
        binary = bytes(range(256)) * 256
        await engine.put_files(
            id_,
            [
                File("/etc/app.conf", b"hello\n", 0o600),
                File("/made/for/it/x", binary, 0o444),
                File("/owned", b"x", 0o640, 101, 3_000_000),
            ],
        )
        await engine.start(id_)
        await until_exited(engine, id_)
        *shown, text, size = (await words_of(engine, id_, LogQuery())).splitlines()
        assert shown[0].startswith("755 0")
        assert shown[1:] == [
            "600 0 /etc/app.conf",
            "444 0 /made/for/it/x",
            "755 0 /made/for",
            "640 101 3000000",
        ]
        assert text == "hello"
        assert int(size) == len(binary)

    @checked
    async def test_folders_and_links_have_their_modes_and_owners(self, bench: DockerBench) -> None:
        """One that the image has too gets the mode and the owner that are given; what is in it stays."""
        engine = bench.adapter()
        stats = "stat -c '%a %u %g %Y %n' /site/css /site/css/a /etc; readlink /site/latest; cat /site/latest"
        id_ = await Placed(bench.new_cluster(), shell(bench, f"{stats}; ls /etc/passwd")).create(engine)
        owner = (101, 102, 1_700_000_000)
        await engine.put_files(
            id_,
            [
                File("/etc", b"", 0o751, *owner, EntryKind.FOLDER),
                File("/site/css", b"", 0o750, *owner, EntryKind.FOLDER),
                File("/site/css/a", b"one\n", 0o640, *owner),
                File("/site/latest", b"", 0o777, *owner, EntryKind.LINK, "css/a"),
            ],
        )
        await engine.start(id_)
        await until_exited(engine, id_)
        lines = (await words_of(engine, id_, LogQuery())).splitlines()
        at = "1700000000"
        assert lines[:2] == [f"750 101 102 {at} /site/css", f"640 101 102 {at} /site/css/a"]
        assert lines[2].startswith("751 101 102 ")
        assert lines[3:] == ["css/a", "one", "/etc/passwd"]

    @checked
    async def test_a_file_is_replaced_and_a_folder_is_not(self, bench: DockerBench) -> None:
        engine = bench.adapter()
        id_ = await Placed(bench.new_cluster(), shell(bench, "cat /etc/passwd; ls -d /etc")).create(engine)
        await engine.put_files(id_, [File("/etc/passwd", b"first\n", 0o644)])
        await engine.put_files(id_, [File("/etc/passwd", b"second\n", 0o644)])
        with pytest.raises(EngineError):
            await engine.put_files(id_, [File("/etc", b"x", 0o644)])
        await engine.start(id_)
        await until_exited(engine, id_)
        assert await words_of(engine, id_, LogQuery()) == "second\n/etc\n"

    @checked
    async def test_files_for_a_container_that_is_gone_are_an_error(self, bench: DockerBench) -> None:
        with pytest.raises(EngineError, match="No such container"):
            await bench.adapter().put_files("0123456789ab", [File("/x", b"", 0o644)])
