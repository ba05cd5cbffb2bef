"""Which packets pass on two hosts with two networks. The policy of FORWARD is DROP, so that none passes by luck."""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from orion.adapters.firewall import KernelFirewall
from support.namespaces import inside, run_in, run_ip, set_kernel
from support.overlay import (
    CONTAINERS,
    HOSTS,
    OUTSIDE,
    TCP,
    UDP,
    UNDERLAY,
    Overlay,
    host_address,
    overlay,
    prefix,
    rules_of,
    subnet,
    within,
)

pytestmark = pytest.mark.root

DEADLINE_S = 10.0
EVERY = {(s, d, p) for s in CONTAINERS for d in CONTAINERS if s != d for p in ("tcp", "udp")}


class Hosts:
    """Two hosts and the firewall of each."""

    def __init__(self, made: Overlay, iptables: str) -> None:
        self.overlay, self.iptables = made, iptables

    def apply(self) -> None:
        self._each(lambda firewall, host: firewall.apply(rules_of(host)))

    def remove(self) -> None:
        self._each(lambda firewall, _: firewall.remove())

    def match(self) -> list[bool]:
        return self._each(lambda firewall, host: firewall.matches(rules_of(host)))

    def _each(self, call: Callable) -> list:
        found = []
        for host in HOSTS:
            with inside(self.overlay.namespace[host]):
                found.append(asyncio.run(call(KernelFirewall(self.iptables), host)))
        return found

    def do(self, place: str, words: str) -> None:
        run_in(self.overlay.namespace[place], *words.split())


@pytest.fixture(scope="module", params=["iptables-nft", "iptables-legacy"])
def built(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    with overlay() as made:
        for host in HOSTS:  # so that only rules keep what is outside from a subnet
            lines = (f"route add {subnet(n, host)} via {host_address(host)} dev hub" for n in "ab")
            run_ip(made.namespace["out"], *lines)
        yield Hosts(made, request.param)


@pytest.fixture
def bare(built: Hosts) -> Hosts:
    """No rules, and a policy that lets nothing through."""
    built.remove()
    built.overlay.policy(built.iptables, "DROP")
    return built


@pytest.fixture
def hosts(bare: Hosts) -> Hosts:
    bare.apply()
    return bare


@pytest.fixture
def open_hosts(bare: Hosts) -> Iterator[Hosts]:
    """Nothing is in the way: what a test of drops must see pass."""
    bare.overlay.policy(bare.iptables, "ACCEPT")
    yield bare
    bare.overlay.policy(bare.iptables, "DROP")


# --- networks ----------------------------------------------------------------------------------------------


def test_without_rules_each_reaches_all(open_hosts: Hosts) -> None:
    assert open_hosts.overlay.reached(EVERY) == EVERY


def test_with_the_policy_alone_nobody_reaches_anybody(bare: Hosts) -> None:
    assert bare.overlay.reached(set()) == set()


def test_within_a_network_all_pass_and_between_networks_nothing(hosts: Hosts) -> None:
    assert hosts.overlay.reached(within()) == within()


def test_the_same_where_the_policy_lets_all_through(open_hosts: Hosts) -> None:
    open_hosts.apply()
    assert open_hosts.overlay.reached(within()) == within()


def test_the_same_where_the_kernel_shows_no_bridged_packets_to_rules(hosts: Hosts) -> None:
    names = [hosts.overlay.namespace[host] for host in HOSTS]
    try:
        for name in names:
            set_kernel(name, {"bridge/bridge-nf-call-iptables": 0})
        assert hosts.overlay.reached(within()) == within()
    finally:
        for name in names:
            set_kernel(name, {"bridge/bridge-nf-call-iptables": 1})


def test_the_same_where_an_administrator_drops_what_is_left_in_the_end(bare: Hosts) -> None:
    """And what goes outside is his to drop."""
    for host in HOSTS:
        bare.do(host, f"{bare.iptables} -A FORWARD -j DROP")
    try:
        bare.apply()
        assert bare.overlay.reached(within()) == within()
        with bare.overlay.socket("out", socket.SOCK_DGRAM) as outside, listening(bare, "a2") as ear:
            outside.bind((OUTSIDE, UDP))
            bare.overlay.send_raw("a1", CONTAINERS["a1"].address, OUTSIDE, b"x")
            fence(bare, ear, [], target="a2", by="a1")
            with pytest.raises(BlockingIOError):
                outside.recv(100)
    finally:
        for host in HOSTS:
            bare.do(host, f"{bare.iptables} -D FORWARD -j DROP")


@pytest.mark.parametrize("how", ["nft flush ruleset", "nft delete table ip orion", "{iptables} -F"])
def test_the_same_after_it_was_put_right(hosts: Hosts, how: str) -> None:
    hosts.do("h1", how.format(iptables=hosts.iptables))
    hosts.overlay.policy(hosts.iptables, "DROP")
    assert hosts.match() == [False, True]
    hosts.apply()
    assert hosts.match() == [True, True]
    assert hosts.overlay.reached(within()) == within()


def test_a_network_that_is_taken_away_is_cut_off_at_once(hosts: Hosts) -> None:
    """Also connections that are open."""
    a1, a3 = CONTAINERS["a1"].address, CONTAINERS["a3"].address
    with (
        hosts.overlay.socket("a1", socket.SOCK_DGRAM) as here,
        hosts.overlay.socket("a3", socket.SOCK_DGRAM) as there,
    ):
        here.bind((a1, UDP))
        there.bind((a3, UDP))
        here.sendto(b"one", (a3, UDP))
        assert heard(there) == (b"one", (a1, UDP))
        with inside(hosts.overlay.namespace["h1"]):
            rules = rules_of("h1")
            rest = type(rules)(rules.cluster_range, rules.networks[1:])
            asyncio.run(KernelFirewall(hosts.iptables).apply(rest))
        there.sendto(b"two", (a1, UDP))
        b1, b2 = CONTAINERS["b1"].address, CONTAINERS["b2"].address
        with hosts.overlay.socket("b1", socket.SOCK_DGRAM) as other:
            other.bind((b1, UDP))
            with hosts.overlay.socket("b2", socket.SOCK_DGRAM) as sender:
                sender.bind((b2, UDP))
                sender.sendto(b"fence", (b1, UDP))
            assert heard(other) == (b"fence", (b2, UDP))
        with pytest.raises(BlockingIOError):
            here.recv(100)


# --- outside -----------------------------------------------------------------------------------------------


def heard(ear: socket.socket) -> tuple[bytes, tuple[str, int]]:
    """The next datagram."""
    ear.settimeout(DEADLINE_S)
    try:
        said, sender = ear.recvfrom(2_000)
    finally:
        ear.setblocking(False)
    return said, sender


@pytest.mark.parametrize("name", CONTAINERS)
def test_out_of_the_overlay_the_host_speaks_and_answers_come_back(hosts: Hosts, name: str) -> None:
    container = CONTAINERS[name]
    with (
        hosts.overlay.socket("out", socket.SOCK_DGRAM) as outside,
        hosts.overlay.socket(name, socket.SOCK_DGRAM) as udp,
    ):
        outside.bind((OUTSIDE, UDP))
        udp.bind((container.address, UDP))
        udp.sendto(b"ask", (OUTSIDE, UDP))
        said, sender = heard(outside)
        assert (said, sender[0]) == (b"ask", host_address(container.host))
        outside.sendto(b"answer", sender)
        assert heard(udp) == (b"answer", (OUTSIDE, UDP))
    with hosts.overlay.socket("out", socket.SOCK_STREAM) as listener:
        listener.bind((OUTSIDE, 0))
        listener.listen()
        with hosts.overlay.socket(name, socket.SOCK_STREAM) as caller:
            caller.settimeout(DEADLINE_S)
            caller.connect(listener.getsockname())
            accepted, (address, _) = listener.accept()
            assert address == host_address(container.host)
            accepted.close()


@contextlib.contextmanager
def listening(hosts: Hosts, name: str) -> Iterator[socket.socket]:
    """A datagram socket of a container at UDP, on any address."""
    with hosts.overlay.socket(name, socket.SOCK_DGRAM) as ear:
        ear.bind(("0.0.0.0", UDP))
        yield ear


def test_from_outside_nobody_is_reached_who_has_not_asked(open_hosts: Hosts) -> None:
    hosts = open_hosts
    for begun in ("bare", "applied"):
        if begun == "applied":
            hosts.apply()
        with listening(hosts, "a1") as ear, hosts.overlay.socket("out", socket.SOCK_DGRAM) as outside:
            outside.sendto(begun.encode(), (CONTAINERS["a1"].address, UDP))
            fence(hosts, ear, expected=[b"bare"] if begun == "bare" else [])


def fence(hosts: Hosts, ear: socket.socket, expected: list[bytes], target: str = "a1", by: str = "a2") -> None:
    """Whatever came before a datagram that passes for certain is `expected`. Across hosts there are two of them, so
    that what was sent before has been through each way."""
    word = secrets.token_bytes(8)
    found = []
    for sender in (by, "a3"):
        with hosts.overlay.socket(sender, socket.SOCK_DGRAM) as friend:
            friend.bind((CONTAINERS[sender].address, UDP))
            friend.sendto(word, (CONTAINERS[target].address, UDP))
        while (said := heard(ear)[0]) != word:
            found.append(said)
    assert found == expected


def test_from_outside_a_published_port_is_reached(hosts: Hosts) -> None:
    """As Docker publishes it, by its rules for translation."""
    target = CONTAINERS["a1"].address
    table = (
        "table ip published { chain in { type nat hook prerouting priority dstnat; "
        f"ip daddr {host_address('h1')} tcp dport 8080 dnat to {target}:{TCP}; }}; }}"
    )
    forward = f"{hosts.iptables} -I FORWARD -o orion0 -m conntrack --ctstate DNAT -j ACCEPT"
    hosts.do("h1", forward)
    run_in(hosts.overlay.namespace["h1"], "nft", "-f", "-", given=table)
    try:
        with hosts.overlay.socket("a1", socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((target, TCP))
            listener.listen()
            with hosts.overlay.socket("out", socket.SOCK_STREAM) as caller:
                caller.settimeout(DEADLINE_S)
                caller.connect((host_address("h1"), 8080))
    finally:
        hosts.do("h1", "nft delete table ip published")
        hosts.do("h1", forward.replace("-I", "-D"))


# --- sources that are not true -----------------------------------------------------------------------------

A1, A2, A3, B1, B2 = (CONTAINERS[name].address for name in ("a1", "a2", "a3", "b1", "b2"))
# Who sends, as whom, and to whom among the containers of network a on h1.
SPOOFED = {
    "a container, as one of another network here": ("b1", A2, A1),
    "a container, as one of another network elsewhere": ("b1", A3, A1),
    "a container elsewhere, as one of another network there": ("b2", A3, A1),
    "a container elsewhere, as one of this host": ("b2", A2, A1),
    "a container elsewhere, as one outside": ("a3", "192.0.2.1", A1),
    "a host outside, as a container here": ("out", A2, A1),
    "a host outside, as a container elsewhere": ("out", A3, A1),
    "a peer, as a container here": ("h2", A2, A1),
    "a peer, as one of another network": ("h2", B2, A1),
    "a peer, as one outside": ("h2", "192.0.2.1", A1),
}


@pytest.mark.parametrize("how", SPOOFED)
def test_a_false_source_is_dropped(open_hosts: Hosts, how: str) -> None:
    sender, source, target = SPOOFED[how]
    for begun in (b"bare", b"applied"):
        if begun == b"applied":
            open_hosts.apply()
        with listening(open_hosts, "a1") as ear:
            open_hosts.overlay.send_raw(sender, source, target, begun)
            fence(open_hosts, ear, [b"bare"] if begun == b"bare" else [])


def test_the_host_itself_hears_no_false_source_either(open_hosts: Hosts) -> None:
    """A name server on it tells networks apart by their addresses."""
    hosts, gateway = open_hosts, f"{prefix('a', 'h1')}.1"
    for begun in (b"bare", b"applied"):
        if begun == b"applied":
            hosts.apply()
        with hosts.overlay.socket("h1", socket.SOCK_DGRAM) as ear:
            ear.bind(("0.0.0.0", UDP))
            hosts.overlay.send_raw("b1", A1, gateway, begun)
            hosts.overlay.send_raw("out", A1, host_address("h1"), begun)
            hosts.overlay.send_raw("h2", A1, gateway, begun)
            hosts.overlay.send_raw("a1", A1, gateway, b"true")
            hosts.overlay.send_raw("out", f"{UNDERLAY}.200", host_address("h1"), b"true")
            hosts.overlay.send_raw("h2", A3, gateway, b"true")
            came = [heard(ear)[0] for _ in range(3 if begun == b"applied" else 6)]
            assert sorted(came) == sorted([b"true"] * 3 + ([b"bare"] * 3 if begun == b"bare" else []))


def test_a_container_does_not_speak_outside_under_another_name(hosts: Hosts) -> None:
    with hosts.overlay.socket("out", socket.SOCK_DGRAM) as outside:
        outside.bind((OUTSIDE, UDP))
        for source in ("192.0.2.1", B1, A3):
            hosts.overlay.send_raw("a1", source, OUTSIDE, b"false")
        hosts.overlay.send_raw("a1", A1, OUTSIDE, b"true")
        assert heard(outside)[0] == b"true"


def test_drops_are_counted(hosts: Hosts) -> None:
    """So that whoever looks sees why."""
    hosts.overlay.send_raw("b1", B1, A1, b"x")
    deadline = time.monotonic() + DEADLINE_S
    reason = "out of b to another network"
    while time.monotonic() < deadline:
        shown = run_in(hosts.overlay.namespace["h1"], "nft", "list", "table", "ip", "orion")
        line = next(line for line in shown.splitlines() if reason in line)
        if "packets 0 " not in line:
            return
    pytest.fail(line)
