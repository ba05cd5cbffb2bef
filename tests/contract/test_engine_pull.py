"""Pulling from real registries: Debian's docker-registry on loopback, one open and one that asks who is there."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest

from orion.adapters.docker import Docker
from orion.model.errors import EngineDown, EngineError
from orion.model.pull import PullProgress, pull_text
from support import api, images
from support.refusals import refusing_registry

pytestmark = pytest.mark.engine

DEADLINE_S = 30.0
USER, PASSWORD = "ali", "open sesame"
# bcrypt, the only kind that docker-registry takes
HTPASSWD = f"{USER}:$2b$04$DCG3J/n8Uy9k.rHhpBcjYupPZIzW65NHRVfWoSnYxNT04Qit2jV8.\n"


@contextlib.contextmanager
def registry(folder: Path, *, asks: bool) -> Iterator[str]:
    """`127.0.0.1:port`, an address that Docker speaks plain HTTP with."""
    program = shutil.which("docker-registry")
    assert program is not None, "needs Debian's registry: apt-get install --no-install-recommends docker-registry"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    if asks:
        (folder / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not _listens(address):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def publish(docker_host: str, image: str, mib: int) -> None:
    """Push a new image of that many random megabytes, and forget it here so that it must be pulled."""
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("random")
        entry.size = mib * 1024 * 1024
        tar.addfile(entry, BytesIO(secrets.token_bytes(entry.size)))
    images.import_image(docker_host, image, file.getvalue(), [])
    name, _, tag = image.rpartition(":")
    who = {"username": USER, "password": PASSWORD}
    header = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(who).encode()).decode()}
    answer = api.ask(docker_host, "POST", f"/images/{name}/push?tag={tag}", headers=header)
    assert b'"error"' not in answer, answer
    api.ask(docker_host, "DELETE", f"/images/{image}")


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("open"), asks=False) as address:
        yield address


@pytest.fixture(scope="module")
def asking_registry(tmp_path_factory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("asking"), asks=True) as address:
        yield address


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """The user's Docker configuration, empty so far."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def pull(docker_host: str, image: str, **tuning: float) -> list[PullProgress]:
    """Returns its progress. The image is there after, and removed."""

    async def run() -> list[PullProgress]:
        told: list[PullProgress] = []
        engine = Docker(docker_host, progress_every_s=0.0, **tuning)
        try:
            async with asyncio.timeout(DEADLINE_S):
                assert not await engine.has_image(image)
                await engine.pull(image, told.append)
                assert await engine.has_image(image)
                return told
        finally:
            await engine.close()

    try:
        return asyncio.run(run())
    finally:
        with contextlib.suppress(api.Refused):
            api.ask(docker_host, "DELETE", f"/images/{quote(image)}")


def refusal(docker_host: str, image: str, **tuning: float) -> EngineError:
    with pytest.raises(EngineError) as raised:
        pull(docker_host, image, **tuning)
    assert not isinstance(raised.value, EngineDown)
    assert image in raised.value.detail
    return raised.value


def test_a_pull_tells_how_many_bytes_have_come(docker_host: str, open_registry: str, config: Path) -> None:
    image = f"{open_registry}/some/thing:1.0"
    publish(docker_host, image, 24)
    told = pull(docker_host, image)
    assert told[0] == PullProgress()
    assert any(not each.unpacking and each.total_bytes > 25_000_000 for each in told), told
    assert told[-1].unpacking
    assert pull_text(image, told[-1]) == f"pulling {image}: 25.2 MB loaded, unpacking"


def test_a_name_without_tag_means_latest(docker_host: str, open_registry: str, config: Path) -> None:
    publish(docker_host, f"{open_registry}/plain:latest", 1)
    pull(docker_host, f"{open_registry}/plain")


def test_no_such_tag_or_repository_is_permanent(docker_host: str, open_registry: str, config: Path) -> None:
    publish(docker_host, f"{open_registry}/known:latest", 1)
    for image in (f"{open_registry}/known:9", f"{open_registry}/unknown:latest"):
        error = refusal(docker_host, image)
        assert error.permanent, error.detail


@pytest.mark.parametrize("image", ["UPPER/case", "a b", "../../containers/json", "http://somewhere/image", ""])
def test_what_is_no_image_name_is_permanent(docker_host: str, image: str) -> None:
    with pytest.raises(EngineError) as raised:
        pull(docker_host, image)
    assert raised.value.permanent


def test_a_registry_that_is_not_there_may_come(docker_host: str, config: Path) -> None:
    error = refusal(docker_host, "127.0.0.1:1/thing:latest")
    assert not error.permanent
    assert "connection refused" in error.detail


def test_a_registry_that_does_not_answer_may_be_tried_again(docker_host: str, config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        image = f"127.0.0.1:{listener.getsockname()[1]}/thing:latest"
        error = refusal(docker_host, image, pull_silence_s=0.5)
    assert not error.permanent
    assert "does its registry answer?" in error.detail


def test_without_credentials_it_may_work_once_they_are_there(
    docker_host: str, asking_registry: str, config: Path
) -> None:
    error = refusal(docker_host, f"{asking_registry}/private:latest")
    assert not error.permanent
    assert "no basic auth credentials" in error.detail


@pytest.mark.parametrize(
    ("status", "permanent"), [(401, False), (403, False), (429, False), (503, False), (404, True)]
)
def test_only_a_registry_that_has_no_such_image_refuses_for_good(
    docker_host: str, config: Path, status: int, permanent: bool
) -> None:
    with refusing_registry() as registry:
        error = refusal(docker_host, registry.image(status))
    assert error.permanent is permanent, error.detail


def test_wrong_credentials_may_be_put_right(docker_host: str, asking_registry: str, config: Path) -> None:
    wrong = base64.b64encode(f"{USER}:nonsense".encode()).decode()
    config.write_text(json.dumps({"auths": {asking_registry: {"auth": wrong}}}))
    error = refusal(docker_host, f"{asking_registry}/private:latest")
    assert not error.permanent
    assert "unauthorized" in error.detail


def test_credentials_of_the_docker_configuration_are_used(
    docker_host: str, asking_registry: str, config: Path
) -> None:
    publish(docker_host, f"{asking_registry}/private/filed:latest", 1)
    right = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config.write_text(json.dumps({"auths": {f"https://{asking_registry}/v2/": {"auth": right}}}))
    pull(docker_host, f"{asking_registry}/private/filed")


def test_credentials_of_a_helper_are_used(
    docker_host: str, asking_registry: str, config: Path, tmp_path: Path, monkeypatch
) -> None:
    publish(docker_host, f"{asking_registry}/private/helped:latest", 1)
    helper = tmp_path / "docker-credential-mine"
    answer = json.dumps({"ServerURL": asking_registry, "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {asking_registry}' ] && echo '{answer}'\n")
    helper.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    config.write_text(json.dumps({"credHelpers": {asking_registry: "mine"}}))
    pull(docker_host, f"{asking_registry}/private/helped")


def test_a_pull_that_is_cancelled_ends_at_once(docker_host: str, open_registry: str, config: Path) -> None:
    image = f"{open_registry}/given/up:latest"
    publish(docker_host, image, 8)

    async def run() -> None:
        engine, begun = Docker(docker_host, progress_every_s=0.0), asyncio.Event()
        try:
            runner = asyncio.create_task(engine.pull(image, lambda _: begun.set()))
            async with asyncio.timeout(DEADLINE_S):
                await begun.wait()
                runner.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await runner
                await engine.info()
        finally:
            await engine.close()

    asyncio.run(run())
    with contextlib.suppress(api.Refused):
        api.ask(docker_host, "DELETE", f"/images/{image}")
