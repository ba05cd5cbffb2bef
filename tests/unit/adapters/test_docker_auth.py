"""Registry credentials of the Docker configuration and its helpers."""

import asyncio
import base64
import json

import pytest

from orion.adapters.docker import auth


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nginx:latest", auth.HUB),
        ("library/nginx", auth.HUB),
        ("docker.io/library/nginx", auth.HUB),
        ("ghcr.io/a/b", "ghcr.io"),
        ("localhost/a", "localhost"),
        ("host:5000/a", "host:5000"),
    ],
)
def test_whose_credentials(image, registry):
    assert auth.registry_of(image) == registry


@pytest.fixture
def docker_config(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(auth, "HELPER_S", 120.0)  # a helper is a process, and others run beside it

    def write(content):
        (tmp_path / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return write


def header_for(image):
    header = asyncio.run(auth.registry_auth(image))
    return None if header is None else json.loads(base64.urlsafe_b64decode(header))


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_no_configuration(docker_config):
    assert header_for("nginx") is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        {"auths": {}},
        {"auths": {"ghcr.io": {}}},
        {"auths": {"ghcr.io": {"auth": "*"}}},
        {"auths": {"ghcr.io": None}},
        {"credsStore": "../evil"},
        {"credsStore": "not-installed"},
    ],
)
def test_configurations_without_credentials(docker_config, content):
    docker_config(content)
    assert header_for("ghcr.io/a/b") is None


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        {"auths": {"ghcr.io": {"auth": 5}}},
        {"auths": {"ghcr.io": {"auth": ["x"]}}},
        {"auths": {"ghcr.io": {"auth": "*"}}},
        {"auths": {"ghcr.io": {"auth": "é"}}},
        {"auths": {"ghcr.io": {"identitytoken": 5}}},
        {"auths": {"ghcr.io": {"username": "ali", "password": {}}}},
        {"auths": {"ghcr.io": "ali:pw"}},
        {"auths": ["ghcr.io"]},
        {"auths": 5},
        {"credHelpers": ["ghcr.io"]},
        {"credHelpers": "mine"},
        {"credHelpers": {"ghcr.io": 5}},
        {"credsStore": ["mine"]},
    ],
)
def test_a_damaged_configuration_is_said_and_means_none(docker_config, caplog, content):
    docker_config(content)
    assert header_for("ghcr.io/a/b") is None
    assert len(caplog.records) == 1, caplog.text


def test_damage_elsewhere_in_the_configuration_does_not_matter(docker_config):
    docker_config({"auths": {"other": {"auth": 5}, "ghcr.io": {"auth": b64("ali:pw"), "email": None}}})
    assert header_for("ghcr.io/a/b") == {"username": "ali", "password": "pw", "serveraddress": "ghcr.io"}


def test_hub_credentials(docker_config):
    docker_config({"auths": {auth.HUB: {"auth": b64("ali:p:w")}}})
    expected = {"username": "ali", "password": "p:w", "serveraddress": auth.HUB}
    assert header_for("nginx") == expected
    assert header_for("docker.io/library/nginx") == expected
    assert header_for("ghcr.io/a/b") is None


def test_tokens(docker_config):
    docker_config({"auths": {"ghcr.io": {"identitytoken": "t", "auth": b64("ali:")}}})
    assert header_for("ghcr.io/a/b") == {"identitytoken": "t", "serveraddress": "ghcr.io"}


def helper(folder, name, script):
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)


def test_a_registrys_own_helper_comes_before_the_general_one(docker_config):
    folder = docker_config({"credsStore": "general", "credHelpers": {"ghcr.io": "own"}})
    helper(folder, "general", """read s; echo "{\\"Username\\": \\"general\\", \\"Secret\\": \\"$s\\"}" """)
    helper(folder, "own", """echo '{"Username": "<token>", "Secret": "t"}'""")
    assert header_for("ghcr.io/a/b") == {"identitytoken": "t", "serveraddress": "ghcr.io"}
    assert header_for("nginx") == {"username": "general", "password": auth.HUB, "serveraddress": auth.HUB}


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo nonsense",
        "echo '[]'",
        "echo credentials not found; exit 1",
        """echo '{"Username": "<token>"}'""",
        """echo '{"Username": 5, "Secret": "x"}'""",
        """echo '{"Username": "ali", "Secret": null}'""",
    ],
)
def test_a_helper_that_knows_nothing_leaves_it_to_the_file(docker_config, script):
    folder = docker_config({"credsStore": "mine", "auths": {"ghcr.io": {"auth": b64("ali:pw")}}})
    helper(folder, "mine", script)
    assert header_for("ghcr.io/a/b") == {"username": "ali", "password": "pw", "serveraddress": "ghcr.io"}


def test_a_helper_that_hangs_is_ended(docker_config, monkeypatch):
    monkeypatch.setattr(auth, "HELPER_S", 0.1)
    folder = docker_config({"credsStore": "mine"})
    helper(folder, "mine", "exec sleep 1000")
    assert header_for("nginx") is None
