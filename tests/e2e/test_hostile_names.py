"""Hostile questions of a container to its node's name server, and a flood of them, harm nobody: neither the other
duties of the node nor the names of other containers. The packets are those of tests/unit/wire/test_dns_query.py.
"""

import json
import select
import socket
import subprocess
import time

import pytest

from support import dns, dns_flood, images
from support.lab_containers import Container, deployed
from support.lab_nodes import LabNodes
from support.packets import socket_in
from unit.wire.test_dns_query import HOSTILE

pytestmark = [pytest.mark.engine, pytest.mark.root]

HOSTS = (1, 2, 3)
JOB = {
    "image": images.BUSYBOX,
    "command": ["sleep", "3600"],
    "count": 6,
    "stopGraceSeconds": 0,
    "update": {"monitorSeconds": 0.5},
}
DOMAIN = "orion.internal"
RATE_PER_S, FLOOD_S = 10_000, 10
ANSWER_S = 0.5  # and then it is asked again
DEADLINE_S = 60.0
# None of them is one of ours, and none has an answer. Those that are names of others are asked of nobody here.
CODES = (dns.NOERROR, dns.FORMERR, dns.SERVFAIL, dns.NXDOMAIN, dns.NOTIMP, dns.REFUSED)
NAMES: dict[str, tuple[object, int]] = {
    "a negative slot": (f"-1.web.{DOMAIN}", dns.A),
    "a slot of 40 digits": (f"{'9' * 40}.web.{DOMAIN}", dns.A),
    "a slot with zeros before it": (f"00.web.{DOMAIN}", dns.A),
    "a slot in other digits": ([b"\xd9\xa1", b"web", b"orion", b"internal"], dns.A),
    "a star": (f"*.web.{DOMAIN}", dns.A),
    "a slot of a slot": (f"0.0.web.{DOMAIN}", dns.A),
    "the domain twice": (f"web.{DOMAIN}.{DOMAIN}", dns.A),
    "a dot in a label": ([b"0.web", b"orion", b"internal"], dns.A),
    "a zero byte": ([b"web\0", b"orion", b"internal"], dns.A),
    "a line end": ([b"web\r\n", b"orion", b"internal"], dns.A),
    "an escape of a terminal": ([b"\x1b[2Jweb", b"orion", b"internal"], dns.A),
    "a path": ([b"../../etc/passwd", b"orion", b"internal"], dns.A),
    "a backslash": ([b"web\\", b"orion", b"internal"], dns.A),
    "a Kelvin sign": (["wE\u212a".encode(), b"orion", b"internal"], dns.A),
    "a label of 63 bytes": (f"{'a' * 63}.{DOMAIN}", dns.A),
    "120 labels": ([*[b"a"] * 118, b"orion", b"internal"], dns.A),
    "port 0": (f"_0._tcp.web.{DOMAIN}", dns.SRV),
    "port 65,536": (f"_65536._tcp.web.{DOMAIN}", dns.SRV),
    "a port of 40 digits": (f"_{'9' * 40}._tcp.web.{DOMAIN}", dns.SRV),
    "a protocol that there is not": (f"_80._sctp.web.{DOMAIN}", dns.SRV),
    "underscores": (f"_._.web.{DOMAIN}", dns.SRV),
    "a zone transfer": (DOMAIN, dns.AXFR),
    "everything of the domain": (DOMAIN, dns.ANY),
    "its name servers": (DOMAIN, dns.NS),
    "five bytes of an address": ("1.2.3.200.10.in-addr.arpa", dns.PTR),
    "an address byte of 256": ("256.0.200.10.in-addr.arpa", dns.PTR),
    "an address in hexadecimal": ("0x1.0.200.10.in-addr.arpa", dns.PTR),
    "an address with zeros before it": ("010.000.200.010.in-addr.arpa", dns.PTR),
    "an address of nobody": ("255.255.200.10.in-addr.arpa", dns.PTR),
    "the range itself": ("200.10.in-addr.arpa", dns.PTR),
}


def server_of(container: Container) -> str:
    """Its node's name server: the first address of the node's part."""
    return container.address.rpartition(".")[0] + ".1"


def asking(container: Container) -> socket.socket:
    made = socket_in(container.namespace, socket.AF_INET, socket.SOCK_DGRAM)
    made.connect((server_of(container), 53))
    return made


def answer(sock: socket.socket, data: bytes, ident: int) -> dns.Message:
    """Asked again until there is one: what is dropped is no answer. Others that come are passed over."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        sock.send(data)
        until = time.monotonic() + ANSWER_S
        while select.select([sock], [], [], max(0.0, until - time.monotonic()))[0]:
            found = dns.parse(sock.recv(65_535))
            if found.ident == ident:
                return found
    raise AssertionError(f"no answer within {DEADLINE_S:g} s")


def addresses(sock: socket.socket, name: str, ident: int) -> set[object]:
    return set(answer(sock, dns.query(name, ident=ident), ident).values)


def tells_of_all(sock: socket.socket, ident: int, everybody: set[object], case: str = "") -> None:
    """Asks until everybody is named, and somebody always is: tasks of a node of which gossip is in doubt are left
    out, as may be for a moment on a busy machine.
    """
    deadline = time.monotonic() + DEADLINE_S
    while (found := addresses(sock, f"web.{DOMAIN}", ident)) != everybody:
        assert found, case
        assert found < everybody, case
        assert time.monotonic() < deadline, (case, found)


def all_alive(lab: LabNodes) -> None:
    """Gossip may be in doubt for a moment on a busy machine. It gives nobody up."""
    for host in HOSTS:
        shown = lab.ask(host, "GET", "/nodes")
        assert [node["id"] for node in shown if node["status"] not in ("alive", "suspect")] == []


def deaths(lab: LabNodes) -> list[str]:
    told = lab.run(1, "curl", "-s", "--max-time", "10", f"http://{lab.address(1)}/events?after=0.0&follow=0")
    assert "data: " in told
    return [line for line in told.splitlines() if "NodeWentDown" in line]


def test_hostile_packets_and_names_of_a_container_are_refused_and_no_more(lab: LabNodes) -> None:
    web = deployed(lab, "web", JOB)
    everybody = {each.address for each in web}
    with asking(web[0]) as sock:
        for number, (case, (data, _)) in enumerate(HOSTILE.items()):
            sock.send(data)
            tells_of_all(sock, 0xE000 + number, everybody, case)
        for number, (case, (name, kind)) in enumerate(NAMES.items()):
            found = answer(sock, dns.query(name, kind, ident=number), number)
            assert found.values == [], case
            assert found.code in CODES, case
            tells_of_all(sock, 0xF000 + number, everybody, case)
    assert deaths(lab) == []
    all_alive(lab)


def test_a_flood_of_questions_harms_neither_the_node_nor_other_containers(lab: LabNodes) -> None:
    web = deployed(lab, "web", JOB)
    everybody = {each.address for each in web}
    flooder = web[0]
    beside = next(each for each in web if each.host == flooder.host and each is not flooder)
    elsewhere = next(each for each in web if each.host != flooder.host)
    words = dns_flood.command(server_of(flooder), RATE_PER_S, FLOOD_S)
    process = subprocess.Popen([*flooder.enter(), *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "{}\n", "it begins"
        looks = 0
        with asking(beside) as near, asking(elsewhere) as far:
            while process.poll() is None:
                looks += 1
                all_alive(lab)
                assert lab.ask(flooder.host, "GET", "/jobs/web")["count"] == 6
                lab.ask(flooder.host, "PUT", "/configs/looks", str(looks).encode())
                for sock in (near, far):
                    tells_of_all(sock, looks, everybody)
        said = json.loads(process.stdout.read())
    finally:
        process.kill()
        process.wait()
        process.communicate()
    assert looks > 1
    assert said["sent"] > RATE_PER_S, said
    assert deaths(lab) == []
    all_alive(lab)
    with asking(flooder) as sock:
        tells_of_all(sock, 1, everybody, "who flooded has answers again")
