"""A real Docker Engine of which one container hangs or is damaged: calls about it, and no others, get no answer or
an error. Docker does so while a start, a stop or a removal holds the container's lock.
"""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from test_engine import (
    CRASHES,
    FOREVER,
    DockerBench,
    Placed,
    changes_of,
    checked,
    until,
    until_exited,
    until_it_obeys,
)

from orion.adapters.docker import Docker
from orion.model.container import File, LogQuery
from orion.model.errors import EngineDown, EngineError
from orion.model.job import PortBinding, TaskSpec
from support import api

pytestmark = pytest.mark.engine

SHORT_S = 0.5  # a deadline for what is never answered
HANGS = 0


@dataclass
class Between:
    """Stands before the engine and passes on all but what `meddle` names by its beginning, as method and path
    without the version. It maps to HANGS, the HTTP status of an error, or the JSON of another answer.
    """

    host: str
    meddle: dict[str, int | bytes] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of a connection, which ends with its answer."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: ([0-9]+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            method, path = head.decode().split(" ")[:2]
            asked = f"{method} {re.sub(r'^/v1[.][0-9]+', '', path)}"
            for beginning, answer in self.meddle.items():
                if asked.startswith(beginning):
                    await self._meddle(answer, writer)
                    return
            await self._pass_on(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body, writer)

    async def _meddle(self, answer: int | bytes, writer: asyncio.StreamWriter) -> None:
        if answer == HANGS:
            await asyncio.Event().wait()
        status, body = 200, answer
        if isinstance(answer, int):
            message = "removal of container is already in progress" if answer == 409 else "it is damaged"
            status, body = answer, json.dumps({"message": message}).encode()
        head = f"HTTP/1.1 {status} Meddled\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()

    async def _pass_on(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self.host.removeprefix("unix://"))
        with contextlib.closing(ours):
            ours.write(request)
            while data := await theirs.read(65_536):
                writer.write(data)
                await writer.drain()


@contextlib.asynccontextmanager
async def standing_before(host: str, socket: Path) -> AsyncIterator[Between]:
    between, served = Between(host), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        await between.serve(reader, writer)

    server = await asyncio.start_unix_server(serve, socket)
    try:
        yield between
    finally:
        server.close()
        for runner in served:
            runner.cancel()
        await asyncio.gather(*served, return_exceptions=True)


class StuckBench(DockerBench):
    def __init__(self, host: str, image: str, socket: Path) -> None:
        super().__init__(host, image)
        self.between = Between(host)
        self._socket = socket

    async def _run(self, check: Callable[[], Awaitable[None]]) -> None:
        async with standing_before(self.host, self._socket) as self.between:
            await super()._run(check)

    def stuck(self, **tuning: float) -> Docker:
        """An adapter that the engine answers as `between` has it; `adapter` gives others."""
        self._adapters.append(Docker(f"unix://{self._socket}", **tuning))
        return self._adapters[-1]


@pytest.fixture
def bench(docker_host: str, busybox_image: str, tmp_path: Path) -> StuckBench:
    return StuckBench(docker_host, busybox_image, tmp_path / "s")


class TestOneThatCantBeLookedInto:
    @pytest.mark.parametrize("status", [HANGS, 500])
    def test_a_container_that_can_t_be_inspected_is_shown_as_last_seen_and_the_others_as_they_are(
        self, bench: StuckBench, status: int, caplog
    ) -> None:
        caplog.set_level(logging.WARNING, "orion.adapters.docker")

        async def check() -> None:
            engine, cluster = bench.stuck(call_s=8.0), bench.new_cluster()
            bad = await Placed(cluster, bench.spec(FOREVER), number=1).create(engine)
            good = await Placed(cluster, bench.spec(CRASHES), number=2).create(engine)
            await engine.start(bad)
            await until_it_obeys(bench.adapter(), bad)
            before = await until(engine, bad, lambda c: c.state == "running")
            bench.between.meddle = {f"GET /containers/{bad}/json": status}
            await engine.start(good)
            ended = await until_exited(engine, good)
            for _ in range(2):
                assert {c.id: c for c in await engine.containers(cluster)} == {bad: before, good: ended}
                assert await engine.inspect(bad) == before
            said = [r.getMessage() for r in caplog.records if bad[:12] in r.getMessage()]
            assert len(said) == 1, said

            await asyncio.to_thread(api.ask, bench.host, "POST", f"/containers/{bad}/stop")
            found = {c.id: c for c in await engine.containers(cluster)}[bad]
            assert (found.state, found.exit_code, found.labels) == ("exited", None, before.labels)
            assert await engine.inspect(bad) == found
            bench.between.meddle = {}
            assert (await until_exited(engine, bad)).exit_code == 0

            bench.between.meddle = {f"GET /containers/{bad}/json": status}
            await engine.remove(bad)
            assert [c.id for c in await engine.containers(cluster)] == [good]
            assert await engine.inspect(bad) is None

        bench.run(check)

    @pytest.mark.parametrize("starter", ["this node", "somebody else"])
    def test_the_end_of_one_run_is_not_taken_for_that_of_the_next(self, bench: StuckBench, starter: str) -> None:
        async def check() -> None:
            engine, other, cluster = bench.stuck(), bench.adapter(), bench.new_cluster()
            id_ = await Placed(cluster, bench.spec(CRASHES)).create(other)
            async with changes_of(engine if starter == "somebody else" else other, cluster) as changes:
                await other.start(id_)
                for _ in ("start", "die"):
                    await changes.of(id_)
                first = await until_exited(engine, id_)
                bench.between.meddle = {f"GET /containers/{id_}/json": 500}
                assert await engine.inspect(id_) == first
                await (other if starter == "somebody else" else engine).start(id_)
                for _ in ("start", "die"):
                    await changes.of(id_)
            await until(other, id_, lambda c: c.state == "exited" and c.started_at_ms > first.started_at_ms)
            found = await engine.inspect(id_)
            assert found is not None
            assert (found.state, found.exit_code, found.finished_at_ms) == ("exited", None, 0)
            assert await engine.containers(cluster) == [found]

        bench.run(check)

    @pytest.mark.parametrize("kind", [FOREVER, CRASHES])
    def test_a_container_that_was_never_inspected_is_shown_as_listed(self, bench: StuckBench, kind: str) -> None:
        async def check() -> None:
            engine, cluster, ports = bench.adapter(), bench.new_cluster(), (bench.free_port(), bench.free_port())
            shown = bench.spec(kind)
            bindings = (PortBinding(443, "tcp", ports[0]), PortBinding(80, "tcp", ports[1]))
            placed = Placed(cluster, TaskSpec(shown.image, shown.command, ports=bindings), ports=ports)
            id_ = await placed.create(engine)
            bench.between.meddle = {f"GET /containers/{id_}/json": 500}
            (created,) = await bench.stuck().containers(cluster)
            assert (created.id, created.labels, created.state) == (id_, placed.labels, "created")
            await engine.start(id_)
            truth = await until(engine, id_, lambda c: c.state == ("running" if kind == FOREVER else "exited"))
            (found,) = await bench.stuck().containers(cluster)
            assert (found.state, found.labels, found.exit_code) == (truth.state, truth.labels, None)
            assert found.address == truth.address
            assert found.host_ports == (truth.host_ports if kind == FOREVER else ())

        bench.run(check)


class TestCallsThatHang:
    """Each is refused, with what did not happen and the deadline; the engine is not called down for it."""

    async def refused(self, call: Awaitable[object], says: str) -> None:
        with pytest.raises(EngineError, match=f"did not {says} within") as raised:
            await call
        assert not isinstance(raised.value, EngineDown)

    @checked
    async def test_work_on_a_container_that_hangs_is_an_error_of_that_container(self, bench: StuckBench) -> None:
        engine, cluster = bench.stuck(work_s=SHORT_S), bench.new_cluster()
        id_ = await Placed(cluster, bench.spec(FOREVER)).create(bench.adapter())
        bench.between.meddle = {
            "POST /containers/create": HANGS,
            f"PUT /containers/{id_}": HANGS,
            f"POST /containers/{id_}": HANGS,
            f"DELETE /containers/{id_}": HANGS,
        }
        await self.refused(Placed(cluster, bench.spec(FOREVER), number=2).create(engine), "make the container")
        await self.refused(engine.put_files(id_, [File("/x", b"", 0o644)]), "take the container's files")
        await self.refused(engine.start(id_), "start the container")
        await self.refused(engine.stop(id_, 0), "stop the container")
        await self.refused(engine.remove(id_), "remove the container")
        (found,) = await engine.containers(cluster)
        assert found.state == "created"

    @checked
    async def test_a_removal_that_never_ends_is_an_error_of_that_container(self, bench: StuckBench) -> None:
        id_ = await Placed(bench.new_cluster(), bench.spec(FOREVER)).create(bench.adapter())
        bench.between.meddle = {f"DELETE /containers/{id_}": 409, f"POST /containers/{id_}/wait": HANGS}
        await self.refused(bench.stuck(work_s=SHORT_S).remove(id_), "remove the container")

    @checked
    async def test_a_question_about_an_image_or_logs_that_hangs_is_an_error_of_its_own(
        self, bench: StuckBench
    ) -> None:
        engine, image = bench.stuck(call_s=SHORT_S), bench.spec(FOREVER).image
        id_ = await Placed(bench.new_cluster(), bench.spec(FOREVER)).create(bench.adapter())
        bench.between.meddle = {"GET /images/": HANGS, f"GET /containers/{id_}/logs": HANGS}
        await self.refused(engine.has_image(image), f"say whether it has {image}")
        await self.refused(anext(engine.logs(id_, LogQuery())), "give the container's logs")

    @checked
    async def test_a_list_or_an_event_stream_that_hangs_means_that_the_engine_is_down(
        self, bench: StuckBench
    ) -> None:
        engine, cluster = bench.stuck(call_s=SHORT_S), bench.new_cluster()
        bench.between.meddle = {"GET /containers/json": HANGS, "GET /events": HANGS}
        with pytest.raises(EngineDown, match="did not answer within"):
            await engine.containers(cluster)
        with pytest.raises(EngineDown, match="did not answer within"):
            await anext(engine.changes(cluster))


_DIED = b'{"Type": "container", "Action": "die", "Actor": {"ID": "abc", "Attributes": {}}, "timeNano": 1}'


class TestAnswersThatAreNotUnderstood:
    """They are errors of the call, and nothing more."""

    @checked
    async def test_an_odd_answer_to_a_call_is_an_error_of_that_call(self, bench: StuckBench) -> None:
        engine, cluster = bench.stuck(), bench.new_cluster()
        placed = Placed(cluster, bench.spec(FOREVER))
        bench.between.meddle = {"POST /containers/create": b"[]", "GET /containers/json": b"5"}
        for call in (placed.create(engine), engine.containers(cluster)):
            with pytest.raises(EngineError, match="is not understood") as raised:
                await call
            assert not isinstance(raised.value, EngineDown)

    @checked
    async def test_an_odd_container_is_left_out(self, bench: StuckBench) -> None:
        engine, cluster = bench.stuck(), bench.new_cluster()
        bad, good = [await Placed(cluster, bench.spec(FOREVER), number=number).create(engine) for number in (1, 2)]
        bench.between.meddle = {f"GET /containers/{bad}/json": b'{"Id": "bad"}'}
        assert [c.id for c in await engine.containers(cluster)] == [good]
        assert await engine.inspect(bad) is None

    @checked
    async def test_an_odd_info_is_no_docker_engine(self, bench: StuckBench) -> None:
        bench.between.meddle = {"GET /info": b'{"ID": "x"}'}
        with pytest.raises(EngineDown, match="is no Docker Engine"):
            await bench.stuck().info()

    @checked
    async def test_an_odd_event_is_skipped(self, bench: StuckBench) -> None:
        events = [b'{"Action": "start"}', b"5", _DIED]
        bench.between.meddle = {"GET /events": b"\n".join([*events, b""])}
        changes = bench.stuck().changes(bench.new_cluster())
        assert await anext(changes) == ""
        assert await anext(changes) == "abc"
        with pytest.raises(EngineDown, match="closed its stream"):
            await anext(changes)
