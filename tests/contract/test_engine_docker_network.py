"""A real Docker Engine, asked over the network in plain and with TLS, and its streams that carry both ways."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from test_engine import (
    DEADLINE_S,
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
from orion.adapters.docker.connection import Connection
from orion.adapters.docker.errors import late
from orion.adapters.docker.frames import STDERR, Frames
from orion.adapters.docker.http import Answer
from orion.adapters.docker.streams import pieces
from orion.model.container import File, LogQuery
from orion.model.errors import EngineDown, EngineError
from support import api, images
from support.dockerd import Dockerd

pytestmark = [pytest.mark.engine, pytest.mark.root]

# It changes nothing of this machine's network but a bridge of its own, and its port can be reached from here. With
# "bridge": "none" an engine takes docker0 away, which may be that of another engine of this machine.
ALONE = (("iptables", False), ("ip-forward", False))


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


def authority(folder: Path) -> Path:
    """Certificates of a new authority: the client's as DOCKER_CERT_PATH has them, and the engine's."""
    folder.mkdir()
    key = ["-newkey", "rsa:2048", "-nodes"]
    openssl("req", "-x509", *key, "-subj", "/CN=ca", "-keyout", folder / "ca-key.pem", "-out", folder / "ca.pem")
    for name, extension in (
        ("server", "subjectAltName=IP:127.0.0.1"),
        ("", "extendedKeyUsage=clientAuth"),
    ):
        made, asked, more = (folder / f"{name}{ending}" for ending in ("cert.pem", "asked.pem", "more"))
        more.write_text(extension)
        openssl(
            "req", *key, "-subj", f"/CN={name or 'client'}", "-keyout", folder / f"{name}key.pem", "-out", asked
        )
        signer = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca-key.pem", "-CAcreateserial"]
        openssl("x509", "-req", "-in", asked, *signer, "-extfile", more, "-out", made)
    return folder


@contextlib.contextmanager
def listening(*settings: tuple[str, object]) -> Iterator[tuple[Dockerd, str]]:
    """An engine with an address of loopback, and that address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    name = f"orion-{secrets.token_hex(3)}"
    dockerd = Dockerd(Path(f"/var/lib/{name}"), settings=(*ALONE, ("bridge", name), *settings), listens=(address,))
    try:
        ip("link", "add", name, "type", "bridge")
        ip("address", "add", f"10.213.{secrets.randbelow(256)}.1/24", "dev", name)
        dockerd.start()
        images.busybox(dockerd.host)
        yield dockerd, address
    finally:
        dockerd.destroy()
        ip("link", "delete", name)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("tls") / "certs")


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[Dockerd, str]]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def secure(certificates: Path) -> Iterator[tuple[Dockerd, str]]:
    files = {"tlscacert": "ca.pem", "tlscert": "servercert.pem", "tlskey": "serverkey.pem"}
    settings = [(key, str(certificates / name)) for key, name in files.items()]
    with listening(("tlsverify", True), *settings) as found:
        yield found


class NetworkBench(DockerBench):
    """`host` is the engine's socket, by which a test sees for itself; the adapter gets its address."""

    def __init__(self, dockerd: Dockerd, address: str) -> None:
        super().__init__(dockerd.host, images.BUSYBOX)
        self.address = address

    def adapter(self) -> Docker:
        self._adapters.append(Docker(self.address))
        return self._adapters[-1]


@pytest.fixture(params=["unix", "tcp", "tls"])
def bench(request: pytest.FixtureRequest, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> NetworkBench:
    if request.param == "tls":
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    dockerd, address = request.getfixturevalue("secure" if request.param == "tls" else "plain")
    return NetworkBench(dockerd, dockerd.host if request.param == "unix" else address)


def shell(script: str, **more: object) -> dict[str, object]:
    return {"Image": images.BUSYBOX, "Cmd": ["sh", "-c", script], **more}


class TestWhateverTheWay:
    @checked
    async def test_a_container_lives_and_is_seen_over_the_network(self, bench: NetworkBench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        assert (await engine.info()).id
        spec = bench.spec(FOREVER)
        async with changes_of(engine, cluster) as changes:
            id_ = await Placed(cluster, spec).create(engine)
            large = os.urandom(3_000_000)
            await engine.put_files(id_, [File("/etc/large", large, 0o600)])
            await engine.start(id_)
            await changes.of(id_)
            await until(engine, id_, lambda c: c.state == "running")
            assert [c.id for c in await engine.containers(cluster)] == [id_]
            await until_it_obeys(engine, id_)
            await engine.stop(id_, 5_000)
            await changes.of(id_)
            assert (await until_exited(engine, id_)).exit_code == 0
        shown = await asyncio.to_thread(api.ask, bench.host, "GET", f"/containers/{id_}/archive?path=/etc/large")
        assert large in shown
        await engine.remove(id_)
        assert await engine.inspect(id_) is None

    @checked
    async def test_output_is_followed_to_its_end(self, bench: NetworkBench) -> None:
        engine, cluster = bench.adapter(), bench.new_cluster()
        placed = Placed(cluster, bench.spec(FOREVER))
        placed.spec = type(placed.spec)(images.BUSYBOX, ("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"))
        id_ = await placed.create(engine)
        await engine.start(id_)
        said = [e.text async for batch in engine.logs(id_, LogQuery(follow=True)) for e in batch]
        assert said == [b"1\n", b"2\n", b"3\n"]

    @checked
    async def test_refusals_are_told(self, bench: NetworkBench) -> None:
        with pytest.raises(EngineError, match="No such container") as raised:
            await bench.adapter().start("no-such-container")
        assert not isinstance(raised.value, EngineDown)


@contextlib.asynccontextmanager
async def attached(bench: NetworkBench, script: str, **more: object) -> AsyncIterator[Answer]:
    """The stream of a container that runs `script`, attached before it starts."""
    body = shell(script, AttachStdin=True, OpenStdin=True, StdinOnce=True, **more)
    made = await asyncio.to_thread(api.ask_json, bench.host, "POST", "/containers/create", body)
    path, connection = f"/containers/{made['Id']}", Connection(bench.address)
    params = {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1"}
    try:
        async with connection.streaming(
            "POST", f"{path[1:]}/attach", params, late=late("attach to the container"), upgrade=True
        ) as stream:
            await asyncio.to_thread(api.ask, bench.host, "POST", f"{path}/start")
            yield stream
    finally:
        await connection.close()
        await asyncio.to_thread(api.ask, bench.host, "DELETE", f"{path}?force=1")


class TestStreamsThatCarryBothWays:
    @checked
    async def test_what_is_written_is_read_and_answered(self, bench: NetworkBench) -> None:
        async with attached(bench, "while read line; do echo got $line; echo heard >&2; done") as stream:
            frames, output = Frames(), {1: b"", STDERR: b""}
            for word in (b"one", b"two"):
                await stream.write(word + b"\n")
                while not (output[1].endswith(b"got " + word + b"\n") and output[STDERR].count(b"heard")):
                    for frame in frames.feed(await stream.piece()):
                        output[frame.stream] += frame.data
            assert output[1] == b"got one\ngot two\n"

    @checked
    async def test_the_way_in_goes_on_when_the_way_out_has_ended(self, bench: NetworkBench) -> None:
        sent = os.urandom(1_000_000)
        async with attached(bench, "cat; echo; echo that was all") as stream:
            assert stream.can_end != ("DOCKER_TLS_VERIFY" in os.environ)
            if not stream.can_end:  # asyncio closes neither way of TLS alone
                return
            frames = Frames()

            async def write() -> None:
                for begin in range(0, len(sent), 50_000):
                    await stream.write(sent[begin : begin + 50_000])
                stream.end()

            async with asyncio.TaskGroup() as group:
                group.create_task(write())
                got = [f.data async for piece in pieces(stream, DEADLINE_S) for f in frames.feed(piece)]
            assert b"".join(got) == sent + b"\nthat was all\n"

    @checked
    async def test_a_terminal_has_one_stream_without_frames(self, bench: NetworkBench) -> None:
        async with attached(bench, "read line; echo got $line", Tty=True) as stream:
            await stream.write(b"one\n")
            said = b"".join([piece async for piece in pieces(stream, DEADLINE_S)])
            assert said.endswith(b"got one\r\n")

    @checked
    async def test_a_stream_to_a_container_that_is_gone_is_an_error(self, bench: NetworkBench) -> None:
        connection, path = Connection(bench.address), "containers/none/attach"
        with pytest.raises(EngineError, match="No such container"):
            async with connection.streaming("POST", path, {}, late=late("attach"), upgrade=True):
                pass
        await connection.close()


class TestWhoMayNot:
    async def refusal(self, address: str) -> str:
        engine = Docker(address)
        try:
            with pytest.raises(EngineDown) as raised:
                await engine.info()
            return raised.value.detail
        finally:
            await engine.close()

    def test_an_engine_of_another_authority_is_not_trusted(self, secure, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(authority(tmp_path / "other")))
        assert "certificate verify failed" in asyncio.run(self.refusal(secure[1]))

    def test_a_client_without_a_certificate_is_refused(self, secure, certificates, tmp_path, monkeypatch) -> None:
        (tmp_path / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        assert "does not answer" in asyncio.run(self.refusal(secure[1]))

    def test_a_plain_request_to_an_engine_with_tls_is_told(self, secure) -> None:
        assert "is no Docker Engine" in asyncio.run(self.refusal(secure[1]))
