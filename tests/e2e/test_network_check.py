"""`orion network check` on hosts of their own: what is broken between two is named, with the hop at fault."""

import array
import contextlib
import fcntl
import itertools
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support import images
from support.lab_nodes import LabNodes, lab_hosts
from support.packets import socket_in

pytestmark = [pytest.mark.engine, pytest.mark.root]

HOSTS = (1, 2, 3)  # two do not both vote
PAIR = {"node1", "node2"}
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def lab() -> Iterator[LabNodes]:
    with lab_hosts(len(HOSTS), images.busybox) as made:
        made.ask(1, "PUT", "/configs/orion%2Fnetwork", b"10.200.0.0/16")
        made.wait(lambda: found(made)["pairs"] == 6 and not failures(made), "all to reach all", DEADLINE_S)
        yield made


def found(lab: LabNodes) -> dict:
    return lab.ask(1, "GET", "/network/check", timeout_s=60)


def failures(lab: LabNodes) -> set[tuple[str, str, str]]:
    """The cause and the hop of each, between the first two nodes."""
    return {(each["cause"], each["sender"], each["receiver"]) for each in of_pair(lab)}


def of_pair(lab: LabNodes) -> list[dict]:
    return [each for each in found(lab)["failures"] if {each["nodeId"], each["peerId"]} == PAIR]


def network_of(lab: LabNodes, host: int) -> str:
    """The host's own address in the network."""
    (line,) = lab.run(host, "ip", "-o", "-4", "addr", "show", "dev", "orion.vx").splitlines()
    return line.split()[3].partition("/")[0]


@contextlib.contextmanager
def rule(lab: LabNodes, host: int, words: str) -> Iterator[None]:
    """In what comes in at the host, beside the network's own rules."""
    script = f"table ip broken {{ chain in {{ type filter hook input priority 0; {words}; }}; }}"
    lab.run(host, "nft", script)
    try:
        yield
    finally:
        lab.run(host, "nft", "delete table ip broken")


@contextlib.contextmanager
def again_and_again(lab: LabNodes, host: int, words: str) -> Iterator[None]:
    """A command that undoes what the node does about it, until the block is left."""
    done = subprocess.Popen(
        [*lab.enter(host), "sh", "-c", f"while {words}; do sleep 0.02; done"], stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        done.kill()
        done.wait()


def named(lab: LabNodes, *wanted: tuple[str, str, str]) -> None:
    """Waits until just these are told: a single packet may be lost, and gossip in doubt, at any moment."""
    lab.wait(lambda: failures(lab) == set(wanted), f"{wanted} to be named")


def mends(lab: LabNodes) -> None:
    lab.wait(lambda: not failures(lab), "all to reach all again")


def test_all_is_well_with_a_round_trip_and_exit_code_0(lab: LabNodes) -> None:
    shown = lab.wait(
        lambda: ((s := found(lab))["pairs"], s["failed"], s["failures"]) == (6, 0, []) and s, "all to be well"
    )
    assert 0 < shown["medianUs"] <= shown["worstUs"]
    lab.wait(lambda: says(lab, 0, "6 ways between 3 nodes, 0 fail"), "the command to say so")


def says(lab: LabNodes, code: int, *words: str, node: str = "") -> bool:
    """Returns whether `orion network check` ends so and says all of this."""
    ended, text = orion(lab, "network", "check", *([node] if node else []))
    return ended == code and all(each in text for each in words)


def orion(lab: LabNodes, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "orion", *words, "--addr", lab.address(1)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout + done.stderr


def test_udp_that_the_peers_own_filter_drops_is_named_both_ways(lab: LabNodes) -> None:
    with rule(lab, 2, f"ip saddr {lab.lab.address(1)} udp dport 8472 drop"):
        named(lab, ("host-filter", "node1", "node2"))
        words = (
            "node1 -> node2  host-filter: UDP 8472 from node1 arrives at node2 and is dropped there",
            "(2 ways fail by it)",
        )
        lab.wait(lambda: says(lab, 1, *words, node="node2"), "the command to say so")
    mends(lab)


def test_udp_that_does_not_arrive_is_named(lab: LabNodes) -> None:
    script = "table ip broken { chain out { type filter hook output priority 0; udp dport 8472 drop; }; }"
    lab.run(1, "nft", script)
    try:
        named(lab, ("udp-blocked", "node1", "node2"))
    finally:
        lab.run(1, "nft", "delete table ip broken")
    mends(lab)


def test_a_smaller_mtu_on_the_way_is_named_with_what_it_carries(lab: LabNodes) -> None:
    hub = ["ip", "-n", lab.lab._hub, "link", "set", "host2", "mtu"]
    subprocess.run([*hub, "1400"], check=True)
    try:
        # A bridge lets a VLAN's 4 bytes pass beside its MTU.
        lab.wait(
            lambda: (
                (shown := of_pair(lab))
                and {each["cause"] for each in shown} == {"mtu"}
                and "carries up to 1354 bytes of the network's 1450" in shown[0]["reason"]
            ),
            "what it carries",
        )
    finally:
        subprocess.run([*hub, "1500"], check=True)
    mends(lab)


def test_a_filter_on_the_overlay_is_named(lab: LabNodes) -> None:
    with rule(lab, 2, 'iifname "orion.vx" drop'):
        named(lab, ("overlay-filter", "node1", "node2"))
    with rule(lab, 2, 'iifname "orion.vx" meta l4proto tcp drop'):
        lab.wait(lambda: {cause for cause, _, _ in failures(lab)} == {"tcp-blocked"}, "TCP alone to be named")
    with rule(lab, 2, f"ip saddr {network_of(lab, 1)} ip daddr {network_of(lab, 2)[:-1]}1 drop"):
        named(lab, ("bridge", "node1", "node2"))
    mends(lab)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("bridge fdb del {mac} dev orion.vx || true", "the forwarding (FDB) entry of {mac} is missing"),
        (
            "bridge fdb replace {mac} dev orion.vx dst 10.77.0.99 self permanent",
            "the forwarding (FDB) entry of {mac} leads to 10.77.0.99 and not to 10.77.0.2",
        ),
        ("ip neigh del {gateway} dev orion.vx || true", "the neighbour entry of {gateway} is missing"),
        ("ip route del {gateway}/24 dev orion.vx || true", "the route to {gateway}/24 is missing"),
        ("ip link set orion.vx down || true", "the device orion.vx is down"),
    ],
)
def test_what_somebody_else_keeps_changing_in_the_kernel_is_named(lab: LabNodes, words: str, reason: str) -> None:
    gateway = network_of(lab, 2)
    _, _, after = lab.run(2, "ip", "-o", "link", "show", "dev", "orion.vx").partition("link/ether ")
    mac = after.split()[0]
    with again_and_again(lab, 1, words.format(mac=mac, gateway=gateway)):
        lab.wait(
            lambda: any(
                each["cause"] == "kernel" and reason.format(mac=mac, gateway=gateway) in each["reason"]
                for each in of_pair(lab)
            ),
            reason,
        )
    mends(lab)


def test_a_node_tells_once_of_a_peer_that_it_does_not_reach_and_once_that_it_does_again(lab: LabNodes) -> None:
    def unreached() -> list[str]:
        reasons = [each["reason"] for each in lab.ask(1, "GET", "/network")["nodes"]]
        return [reason for reason in reasons if "does not reach" in reason]

    mends(lab)
    lab.wait(lambda: not unreached(), "what tests before have broken to be told as mended", deadline_s=300)
    before = {each["id"] for each in events(lab)}

    def told() -> dict[str, list[str]]:
        """By the node that tells of the other: what it has told in this test, in its order."""
        found: dict[str, list[str]] = {}
        for each in events(lab):
            if each["id"] in before or not each["kind"].startswith("NetworkPeer"):
                continue
            if set(each["text"].partition(":")[0].split()) >= PAIR:
                found.setdefault(each["text"].split()[0], []).append(each["kind"])
        return found

    with rule(lab, 2, "udp dport 8472 drop"):
        lab.wait(lambda: any("NetworkPeerLost" in kinds for kinds in told().values()), "the event", deadline_s=300)
        lab.wait(unreached, "network ls to say so")
    lab.wait(lambda: all(kinds[-1] == "NetworkPeerReached" for kinds in told().values()), "the other event", 300)
    for node, kinds in told().items():
        assert not [pair for pair in itertools.pairwise(kinds) if pair[0] == pair[1]], (node, kinds)


def events(lab: LabNodes) -> list[dict]:
    code, text = orion(lab, "events", "--output", "json")
    if code:
        raise OSError(text)
    return [json.loads(line) for line in text.splitlines()]


def test_wrong_checksums_of_tcp_are_named(lab: LabNodes) -> None:
    """As of a driver that leaves them out: the kernel completes what a rule has spoiled before."""
    words = "type filter hook postrouting priority 300; oifname orion.vx tcp dport 8473 tcp checksum set 0x1234"
    set_transmit_checksums(lab, 1, on=False)
    lab.run(1, "nft", f"table ip broken {{ chain out {{ {words}; }}; }}")
    try:
        lab.wait(
            lambda: (
                (shown := of_pair(lab))
                and {(each["cause"], each["nodeId"]) for each in shown} == {("checksum", "node1")}
                and "TCP segments arrive at node2 with wrong checksums" in shown[0]["reason"]
            ),
            "the checksums to be named",
        )
    finally:
        lab.run(1, "nft", "delete table ip broken")
        set_transmit_checksums(lab, 1, on=True)
    mends(lab)


def set_transmit_checksums(lab: LabNodes, host: int, *, on: bool) -> None:
    """As `ethtool -K orion.vx tx on` (linux/ethtool.h: ETHTOOL_STXCSUM)."""
    value = array.array("I", [0x17, int(on)])
    request = struct.pack("16sP8x", b"orion.vx", value.buffer_info()[0])
    with socket_in(lab.lab.name(host), socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8946, request)  # SIOCETHTOOL
