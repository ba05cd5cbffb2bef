"""Names as containers have them: the server at port 53 of a host of its own, asked from others by glibc, busybox
and BIND's dig, with dnsmasq as the resolver of its machine at 127.0.0.53.
"""

import contextlib
import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.lab import Lab

pytestmark = pytest.mark.root

NODE, FIRST, SECOND = 1, 2, 3
TESTS = Path(__file__).parents[1]
JOBS = {
    "web": {
        "slots": 3,
        "ready": {"0": ["10.200.1.1", "fd00::1"], "2": ["10.200.2.3"]},
        "ports": [[80, "tcp", "http"]],
    },
    "large": {"slots": 200, "ready": {str(n): [f"10.200.3.{n}"] for n in range(200)}},
    "empty": {"slots": 2, "ready": {}},
}
DNSMASQ = """
no-resolv
no-hosts
bind-interfaces
listen-address=127.0.0.53
host-record=www.example.com,192.0.2.1,2001:db8::1
host-record=nas,192.0.2.9
address=/never.example.com/
address=/nobody/
"""
TEXTS = "".join(f"txt-record=big.example.com,{number}{'x' * 200}\n" for number in range(30))


def inside(host_name, *command, timeout_s=60, **options):
    return subprocess.run(
        ["nsenter", f"--net=/var/run/netns/{host_name}", *command],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        **options,
    )


def program(name):
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    assert found, f"{name} is missing: script/test installs it"
    return found


@contextlib.contextmanager
def running(host_name, *command):
    process = subprocess.Popen(
        ["nsenter", f"--net=/var/run/netns/{host_name}", *command], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


class Network:
    def __init__(self, lab, directory):
        self._lab, self._directory = lab, directory
        self.server = lab.address(NODE)
        (directory / "container.conf").write_text(f"nameserver {self.server}\nsearch orion.internal\n")

    def dig(self, *words, host=FIRST):
        """The lines of the answer."""
        done = inside(self._lab.name(host), program("dig"), f"@{self.server}", "+time=5", "+tries=6", *words)
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()

    def in_container(self, *command, host=FIRST):
        """With the resolv.conf that a container gets."""
        conf = self._directory / "container.conf"
        shell = f'mount --bind {conf} "$(readlink -f /etc/resolv.conf)" && exec "$@"'
        return inside(self._lab.name(host), "unshare", "--mount", "sh", "-c", shell, "sh", *command)

    def python(self, code):
        done = self.in_container(sys.executable, "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dns")
    lab = Lab(secrets.token_hex(3), 3)
    (directory / "jobs.json").write_text(json.dumps(JOBS))
    (directory / "dnsmasq.conf").write_text(DNSMASQ + TEXTS)
    (directory / "node.conf").write_text("nameserver 127.0.0.53\n")
    with contextlib.ExitStack() as stack:
        stack.callback(lab.down)
        lab.up()
        node, address = lab.name(NODE), lab.address(NODE)
        dnsmasq = f"--conf-file={directory}/dnsmasq.conf", f"--pid-file={directory}/dnsmasq.pid"
        stack.enter_context(running(node, program("dnsmasq"), "--keep-in-foreground", *dnsmasq))
        arguments = f"{directory}/jobs.json", "--host", address, "--port", "53", "--uvloop"
        command = sys.executable, "-m", "support.name_server", *arguments, "--resolv-conf", f"{directory}/node.conf"
        path = f"PYTHONPATH={TESTS}:{TESTS.parent / 'src'}"
        server = stack.enter_context(running(node, "env", path, *command))
        assert server.stdout.readline() == "53\n"
        found = Network(lab, directory)
        deadline = time.monotonic() + 60
        while "192.0.2.1" not in found.dig("+short", "www.example.com"):
            assert time.monotonic() < deadline, "dnsmasq does not answer"
        yield found


# --- dig --------------------------------------------------------------------------------------------------


def test_dig_finds_jobs_slots_ports_and_addresses(network):
    assert sorted(network.dig("+short", "web.orion.internal")) == ["10.200.1.1", "10.200.2.3"]
    assert network.dig("+short", "web.orion.internal", "AAAA") == ["fd00::1"]
    assert network.dig("+short", "+tcp", "0.web.orion.internal") == ["10.200.1.1"]
    services = network.dig("+short", "_http._tcp.web.orion.internal", "SRV")
    assert sorted(services) == ["0 0 80 0.web.orion.internal.", "0 0 80 2.web.orion.internal."]
    assert network.dig("+short", "-x", "10.200.2.3") == ["2.web.orion.internal."]
    assert network.dig("+short", "WEB", host=SECOND)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("empty.orion.internal", "NOERROR"),
        ("1.web.orion.internal", "NOERROR"),
        ("orion.internal", "NOERROR"),
        ("nobody.orion.internal", "NXDOMAIN"),
        ("3.web.orion.internal", "NXDOMAIN"),
        ("never.example.com", "NXDOMAIN"),
        ("broken.orion.internal", "SERVFAIL"),
        ("hidden.orion.internal", "REFUSED"),
    ],
)
def test_dig_takes_every_kind_of_answer_for_what_it_is(network, name, status):
    for way in ("+notcp", "+tcp", "+noedns", "+dnssec"):
        lines = network.dig(way, name)
        assert any(f"status: {status}" in line for line in lines), lines
        assert not any("malformed" in line.lower() or "warning" in line.lower() for line in lines), lines
        if status in ("NOERROR", "NXDOMAIN") and name.endswith("internal"):
            assert any(line.startswith("orion.internal.") and "SOA" in line for line in lines), lines


def test_dig_comes_again_by_tcp(network):
    assert len(network.dig("+short", "large.orion.internal")) == 200
    assert len(network.dig("+short", "+noedns", "large.orion.internal")) == 200
    assert len(network.dig("+short", "big.example.com", "TXT")) == 30
    assert any("TRUNCATED" in line or " tc " in line for line in network.dig("+ignore", "large.orion.internal"))


def test_dig_is_refused_what_is_not_given(network):
    for words in (["-t", "AXFR", "orion.internal"], ["-c", "CH", "version.bind", "TXT"], ["+opcode=2", "web"]):
        lines = network.dig(*words)
        assert any("REFUSED" in line or "NOTIMP" in line or "Transfer failed" in line for line in lines), lines
    # It goes on without EDNS of a version that is not known.
    assert "10.200.1.1" in network.dig("+short", "+edns=5", "0.web.orion.internal")


def test_dig_has_names_of_others(network):
    assert network.dig("+short", "www.example.com", "AAAA") == ["2001:db8::1"]
    assert network.dig("+short", "nas") == ["192.0.2.9"]


# --- glibc and busybox ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("web", {"10.200.1.1", "10.200.2.3"}),
        ("0.web", {"10.200.1.1"}),
        ("web.orion.internal", {"10.200.1.1", "10.200.2.3"}),
        ("www.example.com", {"192.0.2.1"}),
        ("nas", {"192.0.2.9"}),
        ("large", {f"10.200.3.{n}" for n in range(200)}),
    ],
)
def test_programs_find_them_by_glibc(network, name, addresses):
    code = f"import socket; print(*{{i[4][0] for i in socket.getaddrinfo({name!r}, 80, socket.AF_INET)}})"
    assert set(network.python(code)) == addresses


def test_glibc_finds_both_families_and_names_of_addresses(network):
    code = "import socket; print(*{i[4][0] for i in socket.getaddrinfo('0.web.orion.internal', 80)})"
    assert set(network.python(code)) == {"10.200.1.1", "fd00::1"}
    assert network.python("import socket; print(socket.gethostbyaddr('10.200.2.3')[0])") == ["2.web.orion.internal"]


@pytest.mark.parametrize("name", ["empty", "nobody", "never.example.com"])
def test_glibc_says_that_there_is_none(network, name):
    code = f"""
import socket
try:
    socket.getaddrinfo({name!r}, 80)
except socket.gaierror as error:
    print(error.errno in (socket.EAI_NONAME, socket.EAI_NODATA))
"""
    assert network.python(code) == ["True"]


def test_busybox_finds_them(network):
    busybox = program("busybox")
    for name, address in (("web.orion.internal", "10.200.2.3"), ("www.example.com", "192.0.2.1")):
        done = network.in_container(busybox, "nslookup", name)
        assert address in done.stdout, done.stdout + done.stderr
    assert "NXDOMAIN" in network.in_container(busybox, "nslookup", "nobody.orion.internal").stdout
