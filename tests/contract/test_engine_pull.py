"""Pulling from real registries: Debian's docker-registry on loopback, one open and one that asks who is there."""

import asyncio
import base64
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from orion.adapters.docker import Docker
from orion.model.errors import EngineDown, EngineError
from orion.model.images import pinned
from orion.model.pull import PullProgress, pull_text
from support import api, images
from support.refusals import refusing_registry
from support.registry import DEADLINE_S, PASSWORD, USER, publish, push, registry

pytestmark = pytest.mark.engine


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


# --- digests -----------------------------------------------------------------------------------------------


def digest(docker_host: str, image: str, *, local: bool = True, **tuning: float) -> str:
    tuning.setdefault("registry_s", DEADLINE_S)

    async def run() -> str:
        engine = Docker(docker_host, **tuning)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await engine.digest(image, local=local)
        finally:
            await engine.close()

    return asyncio.run(run())


def test_a_digest_is_what_the_tag_stood_for(docker_host: str, open_registry: str, config: Path) -> None:
    image = f"{open_registry}/moves/on:1"
    publish(docker_host, image, 1)
    first = digest(docker_host, image)
    assert first == digest(docker_host, image, local=False)
    publish(docker_host, image, 1)
    second = digest(docker_host, image)
    assert first != second
    pull(docker_host, pinned(image, first))
    pull(docker_host, pinned(image, second))


def test_an_image_that_was_pulled_is_asked_for_again(docker_host: str, open_registry: str, config: Path) -> None:
    image = f"{open_registry}/pulled/before:1"
    publish(docker_host, image, 1)
    first = digest(docker_host, image)
    images.import_image(docker_host, image, b"\0" * 10_240, [])
    assert digest(docker_host, image) == ""  # another one of that name, which nobody has pushed
    assert digest(docker_host, image, local=False) == first
    push(docker_host, image)
    assert digest(docker_host, image) not in ("", first)
    api.ask(docker_host, "DELETE", f"/images/{image}")


def test_a_digest_that_is_not_to_be_had_is_said_in_words(
    docker_host: str, open_registry: str, asking_registry: str, config: Path
) -> None:
    for image, words in (
        (f"{open_registry}/unknown:1", "manifest unknown"),
        (f"{asking_registry}/private:1", "unauthorized|no basic auth|denied"),
        ("127.0.0.1:1/thing:1", "connection refused"),
    ):
        with pytest.raises(EngineError, match=words):
            digest(docker_host, image)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        image = f"127.0.0.1:{listener.getsockname()[1]}/thing:latest"
        with pytest.raises(EngineError, match=r"its registry has not answered within 0\.5 s"):
            digest(docker_host, image, registry_s=0.5)


def test_a_digest_is_asked_for_with_credentials(docker_host: str, asking_registry: str, config: Path) -> None:
    image = f"{asking_registry}/private/pinned:latest"
    publish(docker_host, image, 1)
    right = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config.write_text(json.dumps({"auths": {asking_registry: {"auth": right}}}))
    assert digest(docker_host, image).startswith("sha256:")
