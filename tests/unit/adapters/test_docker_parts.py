"""The parts of the Docker adapter that need no engine: words, specs, facts, progress, log frames, credentials."""

import asyncio
import base64
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from orion.adapters.docker import auth, facts, words
from orion.adapters.docker.connection import MAX_LINE_BYTES, api_version, json_lines
from orion.adapters.docker.logs import log_entries, log_params
from orion.adapters.docker.looks import Looks
from orion.adapters.docker.pull import Progress
from orion.adapters.docker.signals import RING, Event, Signals, event_from, number_of
from orion.adapters.docker.spec import (
    container_config,
    cpu_shares,
    grace_seconds,
    image_name,
    label_texts,
    labels_from,
)
from orion.model.allocation import Allocation
from orion.model.container import EndCause, Labels, LogQuery
from orion.model.errors import EngineDown, EngineError, PortRefused
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import PortBinding, TaskSpec

NODE = NodeId("node1")
LABELS = Labels(0xC0FFEE, NODE, "web", 3, 0xBEEF)


def test_importing_it_is_cheap():
    script = "import sys, orion.adapters.docker; print([m for m in ('aiohttp', 'aiodocker') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [
        ("1.41", "1.12", "v1.41"),  # Docker 20.10
        ("1.48", "1.24", "v1.41"),  # Docker 28
        ("1.52", "1.44", "v1.44"),  # Docker 29
        ("1.40", "1.12", "v1.40"),  # Docker 19.03
        ("1.100", "1.99", "v1.99"),
    ],
)
def test_the_api_version_that_both_speak(newest, oldest, spoken):
    assert api_version(newest, oldest) == spoken


# --- words -------------------------------------------------------------------------------------------------

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
    error = words.refusal(500, message)
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
    error = words.refusal(500, message)
    assert isinstance(error, PortRefused)
    assert error.port == port
    assert str(port) in error.detail


def test_an_address_that_the_machine_does_not_have_is_no_trouble_of_the_port():
    """Another port would not help, and there are many."""
    refused = words.refusal(500, "listen tcp4 192.0.2.9:20001: bind: cannot assign requested address")
    assert not isinstance(refused, PortRefused)


def test_a_bad_request_never_gets_better():
    assert words.refusal(400, "Minimum memory limit allowed is 6MB").permanent


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
    error = words.pull_refusal("x", status, message)
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
        (RuntimeError("odd"), "does not answer at unix:///s: is it running, and may this user use it? (odd)"),
    ],
)
def test_no_answer_says_what_to_do(error, says):
    wrapped = RuntimeError("around it")
    wrapped.__cause__ = error
    for given in (error, wrapped):
        if given is wrapped and type(error) is RuntimeError:
            continue
        down = words.no_answer("unix:///s", given)
        assert isinstance(down, EngineDown)
        assert says in down.detail


# --- specs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1.27", "nginx:1.27"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/a/b@sha256:00ff", "ghcr.io/a/b@sha256:00ff"),
    ],
)
def test_image_names(given, full):
    assert image_name(given) == full


@pytest.mark.parametrize(
    "given", ["", "a b", "../x", "a/../b", "x?y=1", "x#y", "http://x/y", "-x", "x:", "a\n", "é"]
)
def test_what_is_no_image_name(given):
    with pytest.raises(EngineError) as raised:
        image_name(given)
    assert raised.value.permanent


def test_labels_there_and_back():
    texts = label_texts(LABELS)
    assert texts["dev.orion.cluster"] == "0000000000c0ffee"
    assert labels_from(texts | {"somebody": "else's"}) == LABELS


@pytest.mark.parametrize(
    "change",
    [
        {"dev.orion.cluster": "x"},
        {"dev.orion.task": "web"},
        {"dev.orion.task": "web/x"},
        {"dev.orion.job": "other"},
        {"dev.orion.allocation": ""},
    ],
)
def test_labels_that_somebody_wrote_by_hand(change):
    assert labels_from(label_texts(LABELS) | change) is None
    assert labels_from({}) is None


def test_a_bare_task():
    allocation = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)
    config = container_config(allocation, TaskSpec("nginx"), LABELS)
    assert config["Image"] == "nginx:latest"
    assert "Cmd" not in config  # the image's own
    assert config["HostConfig"]["CpuShares"] == 2
    assert not {"Memory", "MemorySwap"} & set(config["HostConfig"])


def test_a_container_has_a_limit_of_processes():
    allocation = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 3, NODE)
    spec = TaskSpec("nginx")
    assert container_config(allocation, spec, LABELS)["HostConfig"]["PidsLimit"] == 4_096
    assert container_config(allocation, spec, LABELS, 100)["HostConfig"]["PidsLimit"] == 100
    assert "PidsLimit" not in container_config(allocation, spec, LABELS, 0)["HostConfig"]


def test_ports_of_a_task():
    ports = (PortBinding(53, "tcp"), PortBinding(53, "udp", 53), PortBinding(80, "tcp", 8080))
    allocation = Allocation(AllocationId(1), JobName("dns"), 0, 0, NODE, ports=(20_001, 53, 8080))
    config = container_config(allocation, TaskSpec("dns", ports=ports), LABELS)
    assert config["HostConfig"]["PortBindings"] == {
        "53/tcp": [{"HostPort": "20001"}],
        "53/udp": [{"HostPort": "53"}],
        "80/tcp": [{"HostPort": "8080"}],
    }
    assert list(config["ExposedPorts"]) == ["53/tcp", "53/udp", "80/tcp"]


def test_a_port_of_one_address():
    ports = (PortBinding(80, "tcp", 8080, "127.0.0.1"),)
    allocation = Allocation(AllocationId(1), JobName("web"), 0, 0, NODE, ports=(8080,))
    config = container_config(allocation, TaskSpec("web", ports=ports), LABELS)
    assert config["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostPort": "8080", "HostIp": "127.0.0.1"}]}


def test_shares_and_seconds():
    assert [cpu_shares(m) for m in (0, 1, 250, 1_000, 64_000)] == [2, 2, 256, 1_024, 65_536]
    assert [grace_seconds(ms) for ms in (0, 1, 1_000, 1_001, 10_000)] == [0, 1, 1, 2, 10]


# --- facts -------------------------------------------------------------------------------------------------

NEVER = "0001-01-01T00:00:00Z"


def shown(status="running", *, started="2026-11-24T15:21:29.123456789Z", finished=NEVER, **state):
    return {
        "Id": "abc",
        "Name": "/web-3-0000beef",
        "Config": {"Labels": label_texts(LABELS)},
        "State": {"Status": status, "ExitCode": 0, "Error": "", "OOMKilled": False}
        | {"StartedAt": started, "FinishedAt": finished}
        | state,
        "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "9/udp": [{"HostPort": "7"}], "8/tcp": None}
        },
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}, "a": {"IPAddress": ""}}},
    }


def test_a_running_container():
    found = facts.container(shown(finished="2026-11-24T15:20:00Z"), Signals().cause)  # of the run before
    assert found is not None
    assert (found.state, found.exit_code, found.finished_at_ms) == ("running", None, 0)
    assert found.started_at_ms == 1_795_533_689_123
    assert found.host_ports == (7, 8080)
    assert found.address == "172.17.0.2"
    assert found.labels == LABELS


def test_an_ended_container():
    found = facts.container(
        shown("exited", finished="2026-11-24T15:21:29.1Z", ExitCode=137, OOMKilled=True), Signals().cause
    )
    assert found is not None
    assert (found.state, found.exit_code, found.oom_killed) == ("exited", 137, True)
    assert found.finished_at_ms == found.started_at_ms


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("created", "created"),
        ("paused", "running"),
        ("restarting", "running"),
        ("removing", "exited"),
        ("dead", "exited"),
    ],
)
def test_states(status, state):
    found = facts.container(shown(status, started=NEVER), Signals().cause)
    assert found is not None
    assert (found.state, found.started_at_ms) == (state, 0)


def test_a_container_that_is_not_orions():
    assert facts.container(shown() | {"Config": {"Labels": None}}, Signals().cause) is None


@pytest.mark.parametrize("name", ["/nice_kepler", "/web-3-0000beef-copy", "/web-3-0000beee", "web-3-0000beef", ""])
def test_labels_without_the_name_that_goes_with_them_are_a_copy_s(name):
    assert facts.container(shown() | {"Name": name}, Signals().cause) is None


def listed(**changes):
    entry = {"Id": "abc", "Names": ["/other/alias", "/web-3-0000beef"], "Labels": label_texts(LABELS)}
    ports = [
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 5, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 9, "PublicPort": 7, "Type": "udp"},
    ]
    networks = {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}
    return entry | {"State": "running", "Ports": ports, "NetworkSettings": networks} | changes


def test_an_entry_of_the_list():
    found = facts.listed(listed())
    assert found is not None
    assert (found.state, found.host_ports, found.address) == ("running", (7, 8080), "172.17.0.2")
    assert found.labels == LABELS
    assert facts.listed(listed(Names=["/nice_kepler"])) is None
    assert facts.listed(listed(Labels=None)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8000-8010"}]}}},
        {"HostConfig": {"PortBindings": {"80/tcp": [{}]}}},
        {"HostConfig": None},
        {"State": {}},
        {"State": {"Status": "running", "StartedAt": "yesterday"}},
        {"Config": None},
        {"Name": None},
        {"NetworkSettings": {"Networks": {"bridge": 5}}},
    ],
)
def test_facts_that_can_t_be_understood_are_said_once_and_mean_none(change, caplog):
    looks = Looks()
    for _ in range(2):
        assert looks.saw(shown() | change, Signals()) is None
    assert len(caplog.records) <= 1, caplog.text
    assert change == {"Name": None} or "abc" in caplog.text
    assert looks.saw(shown(), Signals()) is not None
    assert looks.instead(listed(Ports=[5]), EngineError("it hangs")) is None


def test_an_end_that_was_seen_is_not_shown_of_a_later_run():
    looks, hangs = Looks(), EngineError("it hangs")
    ended = looks.saw(shown("exited", ExitCode=1), Signals())
    assert looks.instead(listed(State="exited"), hangs) == ended
    looks.started("abc")
    found = looks.instead(listed(State="exited"), hangs)
    assert found is not None
    assert (found.state, found.exit_code, found.finished_at_ms) == ("exited", None, 0)


def test_a_start_that_docker_remembers_ends_only_what_was_seen_before_it():
    looks, hangs = Looks(), EngineError("it hangs")
    ended = looks.saw(shown("exited", ExitCode=1), Signals())
    assert ended is not None
    looks.started("abc", ended.finished_at_ms)
    assert looks.instead(listed(State="exited"), hangs) == ended
    looks.started("abc", ended.finished_at_ms + 1)
    found = looks.instead(listed(State="exited"), hangs)
    assert found is not None
    assert found.exit_code is None


def test_a_start_that_is_heard_of_late_takes_nothing_from_a_look_into_its_run():
    looks = Looks()
    running = looks.saw(shown(), Signals())
    looks.started("abc")
    assert looks.instead(listed(), EngineError("it hangs")) == running


def test_one_that_fails_to_be_looked_into_is_failing_until_it_is_looked_into_or_gone(caplog):
    looks, hangs = Looks(), EngineError("it hangs")
    looks.saw(shown("exited"), Signals())
    for _ in range(2):
        looks.instead(listed(State="exited"), hangs)
        looks.started("abc")
        looks.forget_all_but(frozenset({"abc"}), LABELS.cluster)
        assert looks.failing("abc")
    assert len(caplog.records) == 1
    looks.forget_all_but(frozenset(), LABELS.cluster)
    assert not looks.failing("abc")


def test_an_engine_elsewhere_has_no_disk_here():
    assert facts.file_system_bytes("/no/such/directory") == 0
    assert facts.file_system_bytes("/") > 0


# --- progress and streams ----------------------------------------------------------------------------------


def test_progress_over_several_layers():
    progress = Progress("web:1")

    def line(layer, status, current=0, total=0):
        detail = {"current": current, "total": total} if total else {}
        progress.add({"id": layer, "status": status, "progressDetail": detail})
        return progress.text

    assert line("1", "Pulling from web") == "pulling web:1"
    assert line("a", "Already exists") == "pulling web:1"
    assert line("b", "Downloading", 500_000, 4_000_000) == "pulling web:1: 500 kB of 4 MB"
    assert line("c", "Downloading", 1_500_000, 50_100_000) == "pulling web:1: 2 of 54.1 MB"
    assert line("b", "Download complete") == "pulling web:1: 5.5 of 54.1 MB"
    assert line("c", "Downloading", 50_100_000, 50_100_000) == "pulling web:1: 54.1 MB loaded, unpacking"
    assert line("b", "Extracting", 1, 4_000_000) == "pulling web:1: 54.1 MB loaded, unpacking"
    assert line("b", "Pull complete") == "pulling web:1: 54.1 MB loaded, unpacking"
    progress.add({"status": "Digest: sha256:00"})


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


def collect(generator):
    async def run():
        return [item async for item in generator]

    return asyncio.run(run())


def frame(stream, data):
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


AT = "2025-01-01T00:00:00.000000001Z"


def line(stream, data, at=AT):
    return frame(stream, at.encode() + b" " + data)


def test_frames_cut_anywhere():
    stream = line(1, b"hello\n") + line(2, b"") + line(2, b"oh no\n") + line(1, b"x" * 70_000)
    expected = [(False, b"hello\n"), (True, b""), (True, b"oh no\n"), (False, b"x" * 70_000)]
    for size in (1, 3, 7, 8, 9, 100, len(stream)):
        cut = [stream[i : i + size] for i in range(0, len(stream), size)]
        found = [entry for batch in collect(log_entries(pieces(*cut))) for entry in batch]
        assert [(entry.stderr, entry.text) for entry in found] == expected
        assert {entry.at for entry in found} == {AT}


@pytest.mark.parametrize(
    ("at", "utc"),
    [
        ("2025-01-01T00:00:00.5Z", "2025-01-01T00:00:00.500000000Z"),
        ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00.000000000Z"),
        ("2025-01-01T01:30:00.123456789+01:30", "2025-01-01T00:00:00.123456789Z"),
    ],
)
def test_times_of_output_are_shown_in_one_form(at, utc):
    ((entry,),) = collect(log_entries(pieces(line(1, b"x", at))))
    assert entry.at == utc


@pytest.mark.parametrize("sent", [frame(1, b"hello"), b"\1\0\0\0\xff\xff\xff\xff", line(1, b"x", "yesterday")])
def test_output_that_is_not_understood_is_refused(sent):
    with pytest.raises(EngineError, match="sent a line of"):
        collect(log_entries(pieces(sent)))


def test_json_lines_cut_anywhere():
    data = b'{"a": 1}\r\n\n{"b": "\xc3\xa9"}\n'
    for size in (1, 5, len(data)):
        cut = [data[i : i + size] for i in range(0, len(data), size)]
        assert collect(json_lines(pieces(*cut))) == [{"a": 1}, {"b": "é"}]


def test_an_endless_line_is_refused():
    with pytest.raises(EngineError, match="line of more than"):
        collect(json_lines(pieces(*[b"x" * 65_536] * (MAX_LINE_BYTES // 65_536 + 1))))


def test_log_query():
    assert log_params(LogQuery()) == {"follow": "0", "stdout": "1", "stderr": "1", "tail": "all", "timestamps": "1"}
    params = log_params(LogQuery(follow=True, tail=0, since_ns=1_234_567_890_000_000_007, stderr=False))
    assert (params["follow"], params["stderr"], params["tail"]) == ("1", "0", "0")
    assert params["since"] == "1234567890.000000007"


# --- credentials -------------------------------------------------------------------------------------------


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


# --- who ended it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [("15", 15), ("SIGTERM", 15), ("quit", 3), ("SIGWINCH", 28), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("", None)],
)
def test_signals_by_name_and_number(text, number):
    assert number_of(text) == number


BEGAN_NS = 1_000 * 10**9


class Heard:
    """A container that began at BEGAN_NS, and what is heard of it; a tenth of a second passes with every event."""

    def __init__(self):
        self.signals = Signals()
        self.now_ns = BEGAN_NS

    def event(self, action, number=None, container="c"):
        self.now_ns += 10**8
        return Event(self.now_ns, action, container, number, ours=True)

    def hears(self, action, number=None, container="c"):
        self.signals.heard(self.event(action, number, container))

    def remembers(self, *events, others=0):
        """Docker's memory: so many events of something else before these."""
        noise = [Event(self.now_ns + n, "tag", "an image", None, ours=False) for n in range(others)]
        self.signals.remembered([*noise, *events], self.now_ns)

    def cause(self, stop_signal=None, stop_timeout=None, began_ns=BEGAN_NS):
        began = datetime.fromtimestamp(began_ns / 10**9, UTC).isoformat()
        config = {"StopSignal": stop_signal, "StopTimeout": stop_timeout}
        return self.signals.cause({"Id": "c", "Config": config, "State": {"StartedAt": began}})


def test_only_what_asks_this_container_to_end_ended_it():
    heard = Heard()
    heard.hears("kill", 1)
    heard.hears("kill", 15, "another")
    heard.hears("die")
    assert heard.cause() is EndCause.ITSELF
    heard.hears("kill", 15)
    assert heard.cause() is EndCause.TOLD
    assert heard.cause("SIGQUIT") is EndCause.ITSELF
    heard.hears("kill", 3)
    assert heard.cause("SIGQUIT") is EndCause.TOLD
    heard.hears("start")
    heard.hears("die")
    assert heard.cause() is EndCause.ITSELF
    heard.hears("kill", 9)
    assert heard.cause("SIGQUIT") is EndCause.TOLD
    heard.signals.forget(heard.signals.known() - {"another"})
    assert heard.signals.known() == {"another"}


def test_an_end_that_was_not_heard_is_unknown():
    heard = Heard()
    assert heard.cause() is EndCause.UNKNOWN
    heard.hears("kill", 1)
    assert heard.cause() is EndCause.UNKNOWN


def test_what_was_heard_of_an_earlier_run_says_nothing_of_this_one():
    heard = Heard()
    heard.hears("kill", 15)
    heard.hears("die")
    assert heard.cause(began_ns=heard.now_ns + 10**9) is EndCause.UNKNOWN


def test_what_docker_remembers_adds_to_what_was_heard():
    heard = Heard()
    heard.hears("kill", 15)
    heard.remembers(heard.event("die"))
    assert heard.cause() is EndCause.TOLD
    heard.remembers(heard.event("kill", 15), heard.event("start"), heard.event("die"))
    assert heard.cause() is EndCause.ITSELF


def test_the_stream_may_tell_late_what_docker_s_memory_has_told():
    heard = Heard()
    events = [heard.event("start"), heard.event("kill", 15), heard.event("die")]
    heard.remembers(*events)
    for event in events:
        heard.signals.heard(event)
        assert heard.cause() is EndCause.TOLD


def test_a_signal_that_docker_may_have_forgotten_may_have_ended_it():
    heard = Heard()
    heard.remembers(heard.event("die"), others=RING)
    assert heard.cause() is EndCause.UNKNOWN
    heard = Heard()
    heard.remembers(heard.event("die"), others=RING - 2)
    assert heard.cause() is EndCause.ITSELF, "it remembers all"


def test_what_ends_long_after_docker_may_have_forgotten_a_signal_ended_by_itself():
    heard = Heard()
    heard.now_ns += 10**9
    heard.remembers(others=RING)
    heard.now_ns += 11 * 10**9
    heard.hears("die")
    assert heard.cause() is EndCause.ITSELF
    assert heard.cause(stop_timeout=60) is EndCause.UNKNOWN


def test_a_memory_that_goes_on_from_what_was_heard_has_forgotten_nothing_new():
    heard = Heard()
    last = heard.event("kill", 1)
    heard.signals.heard(last)
    heard.remembers(last, heard.event("die"), others=RING)
    assert heard.cause() is EndCause.ITSELF


def test_docker_is_asked_about_an_end_once():
    heard = Heard()
    ended = shown("exited", started="2026-11-24T15:21:29Z", finished="2026-11-24T15:21:30Z")
    assert heard.signals.may_learn(ended)
    assert not heard.signals.may_learn(ended)
    later = shown("exited", started="2026-11-24T15:21:31Z", finished="2026-11-24T15:21:32Z")
    heard.signals.remembered([], facts.unix_ns("2026-11-24T15:21:32Z"))
    assert not heard.signals.may_learn(later), "it was asked since"
    heard.signals.forget(["abc"])
    assert heard.signals.known() == frozenset()


@pytest.mark.parametrize(
    "told", [5, {}, {"Type": "container", "Action": "die"}, {"Type": "x", "Action": "y", "Actor": {"ID": "z"}}]
)
def test_what_is_no_event_is_not_understood(told):
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        event_from(told)


def test_an_event():
    attributes = {"signal": "15", "dev.orion.cluster": "00"}
    told = {"Type": "container", "Action": "kill", "Actor": {"ID": "c", "Attributes": attributes}, "timeNano": 7}
    assert event_from(told) == Event(7, "kill", "c", 15, ours=True)
    assert not event_from(told | {"Type": "network"}).ours
