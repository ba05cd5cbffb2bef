"""Names in containers of a real Docker Engine, on a network of their own and with Docker's resolver between: what
comes to the server of a name as a program says it, and from which address.
"""

import contextlib
import json
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import api, images
from support.engine import engine_in_namespace, network_namespace

pytestmark = [pytest.mark.engine, pytest.mark.root]

GATEWAY = "10.200.1.1"
TESTS = Path(__file__).parents[1]
JOBS = {
    "web": {"slots": 3, "ready": {"0": ["10.200.1.1"], "2": ["10.200.2.3"]}, "ports": [[80, "tcp", "http"]]},
    "large": {"slots": 60, "ready": {str(n): [f"10.200.3.{n}"] for n in range(60)}},
    "hidden": {"slots": 1, "ready": {"0": ["10.200.4.1"]}},
}


@contextlib.contextmanager
def name_server(namespace, directory):
    (directory / "jobs.json").write_text(json.dumps(JOBS))
    (directory / "node.conf").write_text("")
    words = f"{directory}/jobs.json", "--host", GATEWAY, "--port", "53", "--uvloop"
    command = sys.executable, "-m", "support.name_server", *words, "--resolv-conf", f"{directory}/node.conf"
    path = f"PYTHONPATH={TESTS}:{TESTS.parent / 'src'}"
    process = subprocess.Popen(
        ["nsenter", f"--net=/var/run/netns/{namespace}", "env", path, *command], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "53\n"
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with (
        network_namespace(f"orion-{secrets.token_hex(3)}") as namespace,
        engine_in_namespace(namespace) as dockerd,
    ):
        images.busybox(dockerd.host)
        network = {
            "Name": "orion",
            "Driver": "bridge",
            "IPAM": {"Config": [{"Subnet": "10.200.1.0/24", "Gateway": GATEWAY}]},
            "Options": {"com.docker.network.bridge.name": "orion0"},
        }
        api.ask(dockerd.host, "POST", "/networks/create", network)
        with name_server(namespace, tmp_path_factory.mktemp("dns")):
            yield dockerd.host


def said(engine, network, script, address=""):
    """The output of `script` in a container that is asked to use the server, as tasks are."""
    body = {
        "Image": images.BUSYBOX,
        "Cmd": ["sh", "-c", f"{script} 2>&1"],
        "Tty": True,
        "HostConfig": {"NetworkMode": network, "Dns": [GATEWAY], "DnsSearch": ["orion.internal"]},
    }
    if address:
        body["NetworkingConfig"] = {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}}
    name = api.ask_json(engine, "POST", "/containers/create", body)["Id"]
    try:
        api.ask(engine, "POST", f"/containers/{name}/start")
        api.ask(engine, "POST", f"/containers/{name}/wait")
        return api.ask(engine, "GET", f"/containers/{name}/logs?stdout=1&stderr=1").decode()
    finally:
        api.ask(engine, "DELETE", f"/containers/{name}?force=1")


NETWORKS = ["orion", "bridge"]  # with Docker's own resolver between, and without


def test_dockers_resolver_lies_between_and_has_names_tried_bare_first(engine):
    conf = said(engine, "orion", "cat /etc/resolv.conf")
    assert "nameserver 127.0.0.11" in conf
    assert "ndots:0" in conf
    assert f"nameserver {GATEWAY}" in said(engine, "bridge", "cat /etc/resolv.conf")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("web", None),
        ("0.web", "10.200.1.1"),
        ("2.web.orion.internal", "10.200.2.3"),
        ("WEB", None),
        ("large", None),
    ],
)
def test_programs_find_jobs_and_slots(engine, network, name, address):
    # Who is pinged is said first, whether there is an answer or not.
    words = said(engine, network, f"ping -c 1 -W 1 {name}")
    assert words.startswith(f"PING {name} ({address or '10.200.'}"), words


@pytest.mark.parametrize("network", NETWORKS)
def test_a_job_that_is_not_there_is_not_found(engine, network):
    assert "bad address" in said(engine, network, "ping -c 1 -W 1 nobody.orion.internal")
    assert "NXDOMAIN" in said(engine, network, "nslookup nobody.orion.internal")


@pytest.mark.parametrize("network", NETWORKS)
def test_services_and_names_of_addresses(engine, network):
    services = said(engine, network, "nslookup -type=srv _http._tcp.web.orion.internal")
    assert "0.web.orion.internal" in services
    assert "2.web.orion.internal" in services
    assert "2.web.orion.internal" in said(engine, network, "nslookup 10.200.2.3")


def test_the_server_sees_who_asks(engine):
    # It tells of this job whoever has an odd address.
    assert "10.200.4.1" in said(engine, "orion", "nslookup hidden.orion.internal", "10.200.1.11")
    refused = said(engine, "orion", "nslookup hidden.orion.internal", "10.200.1.12")
    assert "10.200.4.1" not in refused
    assert "REFUSED" in refused or "SERVFAIL" in refused
