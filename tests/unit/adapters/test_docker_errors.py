"""The Docker Engine's messages as errors."""

import ssl

import pytest

from orion.adapters.docker import errors
from orion.model.errors import EngineDown, PortRefused

_ENDPOINT = "driver failed programming external connectivity on endpoint web-0 (4f2a): "
_NEW_ENDPOINT = f"failed to set up container networking: {_ENDPOINT}"
_OLD_RUNC = "OCI runtime create failed: container_linux.go:380: starting container process caused: "
_NEW_RUNC = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: "
)


@pytest.mark.parametrize(
    ("message", "expected", "permanent"),
    [
        (
            f"{_ENDPOINT}Bind for 0.0.0.0:8080 failed: port is already allocated",
            "port 8080 is taken on this machine by another container (port is already allocated)",
            False,
        ),
        (
            f"{_ENDPOINT}Bind for :::8080 failed: port is already allocated",
            "port 8080 is taken on this machine by another container (port is already allocated)",
            False,
        ),
        (
            f"{_ENDPOINT}Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
            "port 8080 is taken on this machine by another program (address already in use)",
            False,
        ),
        (
            f"{_NEW_ENDPOINT}failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use",
            "port 8080 is taken on this machine by another program (address already in use)",
            False,
        ),
        (
            "failed to bind host port 0.0.0.0:8080/tcp: address already in use",
            "port 8080 is taken on this machine by another program (address already in use)",
            False,
        ),
        (
            f'{_OLD_RUNC}exec: "ngnix": executable file not found in $PATH: unknown',
            'the image has no command "ngnix" (executable file not found in $PATH)',
            True,
        ),
        (
            f'{_NEW_RUNC}exec: "/x": stat /x: no such file or directory: unknown',
            'the image has no command "/x" (stat /x: no such file or directory)',
            True,
        ),
        (
            f"{_NEW_RUNC}something new: unknown",
            "something new",
            False,
        ),
        ("no space left on device", "no space left on device", False),
        (
            "No command specified",
            "the image has no command of its own: say which, as in orion run IMAGE COMMAND",
            True,
        ),
        (
            'Error processing tar file(exit status 1): cannot overwrite directory "/etc" with non-directory "/"',
            "the image has a folder at /etc, where a file was to be put: give the config another path",
            True,
        ),
        (
            "Error processing tar file(exit status 1): open /etc/passwd/x: not a directory",
            "/etc/passwd/x can't be made, a part of its path is a file of the image: give the config another path",
            True,
        ),
    ],
)
def test_plain_words(message, expected, permanent):
    error = errors.refusal(500, message)
    assert (error.detail, error.permanent) == (expected, permanent)


@pytest.mark.parametrize(
    ("message", "port"),
    [
        (f"{_ENDPOINT}Bind for 0.0.0.0:20001 failed: port is already allocated", 20_001),
        (
            f"{_ENDPOINT}Error starting userland proxy: listen tcp4 0.0.0.0:20002: bind: address already in use",
            20_002,
        ),
        (
            f"{_NEW_ENDPOINT}failed to bind host port for 0.0.0.0:20003:172.17.0.2:80/tcp: address already in use",
            20_003,
        ),
        ("failed to bind host port [::]:20004/udp: address already in use", 20_004),
    ],
)
def test_a_port_that_the_machine_refuses_is_named(message, port):
    error = errors.refusal(500, message)
    assert isinstance(error, PortRefused)
    assert error.port == port
    assert str(port) in error.detail


def test_an_address_that_the_machine_does_not_have_is_no_trouble_of_the_port():
    """Another port would not help, and there are many."""
    refused = errors.refusal(500, "listen tcp4 192.0.2.9:20001: bind: cannot assign requested address")
    assert not isinstance(refused, PortRefused)


def test_a_bad_request_never_gets_better():
    assert errors.refusal(400, "Minimum memory limit allowed is 6MB").permanent


@pytest.mark.parametrize(
    ("status", "message", "permanent"),
    [
        (404, "pull access denied for x, repository does not exist or may require 'docker login': denied", False),
        (404, "manifest for x:9 not found: manifest unknown: manifest unknown", True),
        (0, "manifest for x:9 not found: manifest unknown: manifest unknown", True),
        (500, "manifest unknown", True),
        (500, "name unknown", True),
        (404, 'failed to resolve reference "r.example/x:9": r.example/x:9: not found', True),
        (400, "invalid reference format", True),
        (500, "Head https://r.example/v2/x/manifests/latest: no basic auth credentials", False),
        (500, "unauthorized", False),
        (500, "unauthorized: authentication required", False),
        (500, "denied", False),
        (500, "denied: requested access to the resource is denied", False),
        (500, 'error parsing HTTP 403 response body: invalid character: "<html>manifest unknown"', False),
        (500, 'error parsing HTTP 404 response body: invalid character: "<html>not found"', False),
        (500, "received unexpected HTTP status: 503 Service Unavailable", False),
        (404, "failed to do request: unexpected status from HEAD request: 429 Too Many Requests", False),
        (0, "no matching manifest for linux/arm64/v8 in the manifest list entries", False),
        (500, "dial tcp: lookup registry-1.docker.io: no such host", False),
        (500, "toomanyrequests: You have reached your pull rate limit", False),
        (0, "unexpected EOF", False),
        (0, "write /var/lib/docker/tmp/GetImageBlob: no space left on device", False),
    ],
)
def test_which_failed_pulls_are_permanent(status, message, permanent):
    error = errors.pull_refusal("x", status, message)
    assert error.permanent is permanent
    assert error.detail == f"x can't be pulled: {message}"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(2, "gone"), "there is no Docker Engine at unix:///s"),
        (
            PermissionError(13, "no"),
            "this user may not use the Docker Engine at unix:///s: add it to the group docker",
        ),
        (ConnectionRefusedError(111, "no"), "refuses connections: is it running?"),
        (ConnectionError("odd"), "does not answer at unix:///s: is it running, and may this user use it? (odd)"),
    ],
)
def test_no_answer_says_what_to_do(error, says):
    down = errors.no_answer("unix:///s", error)
    assert isinstance(down, EngineDown)
    assert says in down.detail


def test_the_number_of_a_failed_handshake_is_none_of_the_kernel_s():
    down = errors.no_answer("tcp://h:2376", ssl.SSLError(1, "certificate verify failed"))
    assert "certificate verify failed" in down.detail
