"""What every `Engine` must do about sessions with a container. What only Docker has is at the end."""

import asyncio
import hashlib
import io
import tarfile

import pytest

from contract.test_engine import DEADLINE_S, FOREVER, Bench, DockerBench, Placed, checked
from orion.model.errors import EngineError, NotFound
from orion.model.sessions import STDERR, STDOUT, Connect, Exec, GetFiles, PutFiles
from orion.ports.engine import Engine, EngineSession

TWO_MIB = bytes(range(256)) * 8_192
PIECE = 64 * 1024


async def running(bench: Bench) -> tuple[Engine, str]:
    engine = bench.adapter()
    id_ = await Placed(bench.new_cluster(), bench.spec(FOREVER)).create(engine)
    await engine.start(id_)
    return engine, id_


async def output(session: EngineSession) -> tuple[bytes, bytes]:
    """stdout and stderr, to their end."""
    said = {STDOUT: bytearray(), STDERR: bytearray()}
    while (piece := await session.read()) is not None:
        said[piece.stream] += piece.data
    return bytes(said[STDOUT]), bytes(said[STDERR])


async def written(session: EngineSession, data: bytes) -> None:
    for begin in range(0, len(data), PIECE):
        await session.write(data[begin : begin + PIECE])
    await session.end_input()


async def said_by(engine: Engine, container: str, *command: str) -> tuple[bytes, bytes, int]:
    async with asyncio.timeout(DEADLINE_S), engine.session(container, Exec(command)) as session:
        return (*await output(session), await session.exit_code())


def tar_of(name: str, content: bytes, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), mode
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


async def endless(session: EngineSession) -> None:
    while True:
        await session.write(TWO_MIB[:PIECE])


async def put(engine: Engine, container: str, folder: str, tar: bytes) -> None:
    async with asyncio.timeout(DEADLINE_S), engine.session(container, PutFiles(folder)) as session:
        await written(session, tar)
        assert await session.read() is None
        assert await session.exit_code() == 0


class EngineSessionContract:
    @checked
    async def test_a_program_says_what_it_has_to_and_its_exit_code(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        assert await said_by(engine, id_, "echo", "hello", "there") == (b"hello there\n", b"", 0)
        assert await said_by(engine, id_, "sh", "-c", "exit 7") == (b"", b"", 7)
        assert await said_by(engine, id_, "sh", "-c", "echo bad >&2") == (b"", b"bad\n", 0)

    @checked
    async def test_a_command_that_is_missing_has_exit_code_127_and_words(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        out, err, code = await said_by(engine, id_, "no-such-command")
        assert code == 127
        assert b"executable file not found" in out + err

    @checked
    async def test_input_goes_in_while_output_comes_and_ends_alone(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        async with asyncio.timeout(DEADLINE_S), engine.session(id_, Exec(("cat",), stdin=True)) as session:
            async with asyncio.TaskGroup() as group:
                said = group.create_task(output(session))
                group.create_task(written(session, TWO_MIB))
            out, err = said.result()
            assert hashlib.sha256(out).digest() == hashlib.sha256(TWO_MIB).digest()
            assert err == b""
            assert await session.exit_code() == 0

    @checked
    async def test_files_go_in_and_come_out_with_their_modes(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        await put(engine, id_, "/tmp", tar_of("data", TWO_MIB, 0o640))
        async with asyncio.timeout(DEADLINE_S), engine.session(id_, GetFiles("/tmp/data")) as session:
            out, _ = await output(session)
        with tarfile.open(fileobj=io.BytesIO(out)) as tar:
            (info,) = tar.getmembers()
            assert (info.name, info.mode & 0o7777) == ("data", 0o640)
            file = tar.extractfile(info)
            assert file is not None
            assert file.read() == TWO_MIB

    @checked
    async def test_what_is_not_there_is_said(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        with pytest.raises(NotFound, match="there is no /no/such"):
            async with engine.session(id_, GetFiles("/no/such")) as session:
                await output(session)
        with pytest.raises(EngineError, match="nothing listens there"):
            async with engine.session(id_, Connect(4_321)):
                pass
        await engine.remove(id_)
        with pytest.raises(EngineError, match="No such container"):
            async with engine.session(id_, Exec(("true",))):
                pass

    @checked
    async def test_use_is_told_while_it_runs(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        async with asyncio.timeout(DEADLINE_S):
            (once,) = [found async for found in engine.stats(id_, follow=False)]
            assert once.memory_bytes > 0
            assert once.pids >= 1
            seen = []
            async for found in engine.stats(id_, follow=True):
                seen.append(found.at_ms)
                if len(seen) == 2:
                    await engine.stop(id_, 1_000)
                if len(seen) > 60:
                    raise AssertionError("it goes on after the container's end")
        assert seen == sorted(seen)
        assert [found async for found in engine.stats(id_, follow=False)] == []


@pytest.mark.engine
class TestDockerSessions(EngineSessionContract):
    @pytest.fixture
    def bench(self, docker_host: str, busybox_image: str) -> DockerBench:
        return DockerBench(docker_host, busybox_image)

    @checked
    async def test_a_terminal_has_its_size_and_follows_it(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        script = "read line; stty size; read line; stty size"
        asked = Exec(("sh", "-c", script), tty=True, stdin=True, columns=101, rows=33)
        async with asyncio.timeout(DEADLINE_S), engine.session(id_, asked) as session:
            await session.write(b"\n")
            said = bytearray()
            while b"33 101" not in said:
                piece = await session.read()
                assert piece is not None, said
                said += piece.data
            await session.resize(77, 22)
            await session.write(b"\n")
            out, _ = await output(session)
            assert b"22 77" in out
            assert await session.exit_code() == 0

    @checked
    async def test_user_folder_and_variables_are_those_asked_for(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        command = ("sh", "-c", "echo $(id -u) $(pwd) $A")
        asked = Exec(command, user="1000", workdir="/tmp", env=("A=b c",))
        async with asyncio.timeout(DEADLINE_S), engine.session(id_, asked) as session:
            assert await output(session) == (b"1000 /tmp b c\n", b"")

    @checked
    async def test_a_program_that_takes_no_more_input_ends_as_it_does(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        async with asyncio.timeout(DEADLINE_S), engine.session(id_, Exec(("true",), stdin=True)) as session:
            typing = asyncio.create_task(endless(session))
            assert await output(session) == (b"", b"")
            assert await session.exit_code() == 0
            typing.cancel()
            await asyncio.wait({typing})

    @checked
    async def test_files_for_a_folder_that_is_missing_are_refused(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        with pytest.raises(NotFound, match="there is no folder /no/such"):
            await put(engine, id_, "/no/such", tar_of("data", TWO_MIB, 0o640))

    @checked
    async def test_a_port_is_reached_both_ways(self, bench: Bench) -> None:
        engine, id_ = await running(bench)
        async with asyncio.TaskGroup() as group:
            server = group.create_task(said_by(engine, id_, "sh", "-c", "nc -l -p 8080 -e cat"))
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    try:
                        async with engine.session(id_, Connect(8080)) as session:
                            await written(session, TWO_MIB[:PIECE])
                            assert (await output(session))[0] == TWO_MIB[:PIECE]
                            break
                    except EngineError:
                        await asyncio.sleep(0.05)
            server.cancel()
