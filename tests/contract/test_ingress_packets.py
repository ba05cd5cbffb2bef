"""Where connections to published ports go on two hosts, and as whom they come. The policy of FORWARD is DROP."""

import asyncio
import collections
import concurrent.futures
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from orion.adapters.firewall import KernelFirewall
from orion.adapters.ingress import KernelIngress
from orion.model.ingress import Backend, IngressPeer, IngressPort
from support.frames import frame, read_vxlan, within_vxlan
from support.ingress import DEADLINE_S, TARGET, Client, backend, rules_for, serving
from support.namespaces import inside, run_in, run_ip, set_kernel
from support.overlay import CONTAINERS, HOSTS, OUTSIDE, VXLAN, Overlay, host_address, overlay, rules_of

pytestmark = pytest.mark.root

WEB = 8080
PROTOCOLS = ("tcp", "udp")
H1, H2 = host_address("h1"), host_address("h2")
MAC_3, GATEWAY_3 = "02:4f:52:00:00:03", "10.200.3.0"


def published(*names: str, sticky: bool = False) -> tuple[IngressPort, ...]:
    return tuple(IngressPort(WEB, protocol, sticky, tuple(map(backend, names))) for protocol in PROTOCOLS)


class Hosts:
    """Two hosts with the firewall and the published ports of each."""

    def __init__(self, made: Overlay) -> None:
        self.overlay = made

    def publish(self, *names: str, sticky: bool = False, hosts: tuple[str, ...] = tuple(HOSTS)) -> None:
        ports = published(*names, sticky=sticky)
        for host in hosts:
            self.on(host, lambda ingress, host=host: ingress.apply(rules_for(host, *ports)))

    def cut(self, *backends: Backend) -> int:
        return sum(self.on(host, lambda ingress: ingress.cut(backends)) for host in HOSTS)

    def on(self, host: str, call: Callable) -> object:
        with inside(self.overlay.namespace[host]):
            return asyncio.run(call(KernelIngress()))

    def client(
        self,
        place: str,
        address: str,
        protocol: str = "tcp",
        source: tuple[str, int] | None = None,
        port: int = WEB,
    ) -> Client:
        return Client(self.overlay, place, address, port, protocol, source)

    def ask(self, place: str, address: str, protocol: str = "tcp") -> tuple[str, str]:
        with self.client(place, address, protocol) as client:
            return client.ask()


@pytest.fixture(scope="module")
def built() -> Iterator[Hosts]:
    with overlay() as made:
        hosts = Hosts(made)
        made.policy("iptables", "DROP")
        for host in HOSTS:
            with inside(made.namespace[host]):
                asyncio.run(KernelFirewall("iptables").apply(rules_of(host)))
        with serving(made, *CONTAINERS):
            yield hosts


@pytest.fixture
def hosts(built: Hosts) -> Iterator[Hosts]:
    yield built
    for host in HOSTS:
        built.on(host, lambda ingress: ingress.remove())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", ["a1", "a3"])
def test_a_client_outside_is_seen_as_itself_by_way_of_any_node(
    hosts: Hosts, name: str, host: str, protocol: str
) -> None:
    hosts.publish(name)
    assert hosts.ask("out", host_address(host), protocol) == (name, OUTSIDE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["a1", "a3"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", H1, H2])
def test_a_node_reaches_a_port_at_all_nodes_and_at_localhost(
    hosts: Hosts, address: str, name: str, protocol: str
) -> None:
    hosts.publish(name)
    assert hosts.ask("h1", address, protocol)[0] == name


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("bridged", [1, 0])
@pytest.mark.parametrize("address", [H1, H2])
@pytest.mark.parametrize("name", ["a1", "a2", "a3"])
def test_a_container_reaches_itself_and_others_by_any_node(
    hosts: Hosts, name: str, address: str, bridged: int, protocol: str
) -> None:
    for host in HOSTS:
        set_kernel(hosts.overlay.namespace[host], {"bridge/bridge-nf-call-iptables": bridged})
    try:
        hosts.publish(name)
        assert hosts.ask("a1", address, protocol)[0] == name
    finally:
        for host in HOSTS:
            set_kernel(hosts.overlay.namespace[host], {"bridge/bridge-nf-call-iptables": 1})


def test_a_container_on_another_node_keeps_its_address(hosts: Hosts) -> None:
    hosts.publish("a3")
    assert hosts.ask("a1", H1) == ("a3", CONTAINERS["a1"].address)


def test_new_connections_spread_over_all(hosts: Hosts) -> None:
    names = ("a1", "a2", "a3")
    hosts.publish(*names)
    found = collections.Counter(hosts.ask("out", H1)[0] for _ in range(90))
    assert set(found) == set(names)
    assert min(found.values()) > 10  # of 30; fewer come about once in 100,000 runs


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_sticky_port_sends_a_client_to_the_same_backend_by_way_of_each_node(hosts: Hosts, protocol: str) -> None:
    hosts.publish("a1", "a2", "a3", sticky=True)
    found = {hosts.ask("out", address, protocol)[0] for address in (H1, H2) * 6}
    assert len(found) == 1
    hosts.publish(*({"a1", "a2", "a3"} - found), sticky=True)
    assert found != {hosts.ask("out", H1, protocol)[0]}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("leaving", ["a1", "a3"])
def test_a_connection_outlives_that_its_backend_is_taken_out(hosts: Hosts, leaving: str, protocol: str) -> None:
    hosts.publish(leaving)
    with hosts.client("out", H1, protocol) as old:
        assert old.ask()[0] == leaving
        hosts.publish("a2")
        for _ in range(5):
            assert hosts.ask("out", H1, protocol)[0] == "a2"
        assert old.ask("y") == (leaving, OUTSIDE)


@pytest.mark.parametrize("leaving", ["a1", "a3"])
def test_a_connection_to_a_backend_that_was_cut_ends_at_the_next_byte(hosts: Hosts, leaving: str) -> None:
    hosts.publish(leaving)
    with hosts.client("out", H1) as old, hosts.client("out", H1) as other:
        old.ask()
        other.ask()
        hosts.publish("a2")
        assert hosts.cut(backend(leaving, 1)) == 0
        assert old.ask()[0] == leaving
        assert hosts.cut(backend(leaving)) >= 2
        for each in (old, other):
            with pytest.raises(ConnectionResetError):
                each.ask()


def test_datagrams_go_elsewhere_once_their_backend_was_cut(hosts: Hosts) -> None:
    hosts.publish("a3")
    with hosts.client("out", H1, "udp") as client:
        assert client.ask()[0] == "a3"
        hosts.publish("a2")
        assert client.ask()[0] == "a3"
        hosts.cut(backend("a3"))
        assert client.ask() == ("a2", OUTSIDE)


def test_no_connection_fails_while_backends_come_and_go(hosts: Hosts) -> None:
    """As in a rolling update: one that leaves goes on to answer."""
    rounds = (("a1", "a2", "a3"), ("a1", "a2"), ("a2", "a3"), ("a3",), ("a1", "a3"))
    hosts.publish(*rounds[0])
    over, answered = threading.Event(), collections.Counter[str]()
    ends_s = time.monotonic() + 4 * DEADLINE_S
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(_ask_until, over, hosts, address, answered) for address in (H1, H2)]
        try:
            for turn in itertools.count(1):
                for names in rounds:
                    hosts.publish(*names)
                if any(each.done() for each in asking):  # it has failed
                    break
                if turn >= 3 and min(answered[H1], answered[H2]) > 20:
                    break
                assert time.monotonic() < ends_s, answered
        finally:
            over.set()
        for each in asking:
            each.result()


def _ask_until(over: threading.Event, hosts: Hosts, address: str, answered: collections.Counter[str]) -> None:
    """No connection may fail."""
    while not over.is_set():
        assert hosts.ask("out", address)[1] == OUTSIDE
        answered[address] += 1


def test_without_a_backend_a_connection_is_refused(hosts: Hosts) -> None:
    hosts.publish()
    with pytest.raises(ConnectionRefusedError):
        hosts.ask("out", H1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_client_with_the_same_port_by_way_of_two_nodes_has_two_connections(hosts: Hosts, protocol: str) -> None:
    """To the backend they have the same ends but for the port that the kernel then changes."""
    hosts.publish("a3")
    source = (OUTSIDE, 41_999)
    with hosts.client("out", H1, protocol, source) as one, hosts.client("out", H2, protocol, source) as two:
        assert one.ask("1") == two.ask("2") == ("a3", OUTSIDE)
        assert one.ask_whole()[2] != two.ask_whole()[2]
        assert one.ask("3") == two.ask("4") == ("a3", OUTSIDE)


def test_a_strict_filter_of_sources_does_not_stop_it(hosts: Hosts) -> None:
    for host in HOSTS:
        set_kernel(hosts.overlay.namespace[host], {"ipv4/conf/all/rp_filter": 1})
    try:
        hosts.publish("a3")
        assert hosts.ask("out", H1) == ("a3", OUTSIDE)
    finally:
        for host in HOSTS:
            set_kernel(hosts.overlay.namespace[host], {"ipv4/conf/all/rp_filter": 0})


@pytest.fixture
def third(hosts: Hosts) -> Iterator[socket.socket]:
    """Node 3 of the overlay, as far as h2 knows: a socket for VXLAN on `out`."""
    name = hosts.overlay.namespace["h2"]
    run_ip(name, f"neigh replace {GATEWAY_3} lladdr {MAC_3} dev {VXLAN} nud permanent")
    run_in(name, "bridge", "fdb", "add", MAC_3, "dev", VXLAN, "dst", OUTSIDE)
    rules = rules_for("h2", *published("a3"))
    (network,) = rules.networks
    network = msgspec.structs.replace(network, peers=(*network.peers, IngressPeer(MAC_3, GATEWAY_3)))
    hosts.on("h1", lambda ingress: ingress.apply(rules_for("h1", *published("a3"))))
    hosts.on("h2", lambda ingress: ingress.apply(msgspec.structs.replace(rules, networks=(network,))))
    try:
        with hosts.overlay.socket("out", socket.SOCK_DGRAM) as vxlan:
            vxlan.bind((OUTSIDE, 8472))
            vxlan.settimeout(DEADLINE_S)
            yield vxlan
    finally:
        run_in(name, "bridge", "fdb", "del", MAC_3, "dev", VXLAN, "dst", OUTSIDE)
        run_ip(name, f"neigh del {GATEWAY_3} dev {VXLAN}")


def test_one_client_with_the_same_port_by_way_of_two_other_nodes(hosts: Hosts, third: socket.socket) -> None:
    """To the backend's node both have the same ends. Each is answered through the node that it came by."""
    client = (OUTSIDE, 41_998)
    target = (CONTAINERS["a3"].address, TARGET)

    def ask_through_third(words: bytes) -> bytes:
        asked = frame("02:4f:52:00:00:02", MAC_3, target, client, words)
        third.sendto(within_vxlan(4200, asked), (H2, 8472))
        mac, end, said = read_vxlan(third.recv(2_000))
        assert (mac, end) == (MAC_3, client)
        return said

    with hosts.client("out", H1, "udp", client) as first:
        _, _, port = first.ask_whole("1")
        name, address, other, said = ask_through_third(b"2").decode().split()
        assert (name, address, said) == ("a3", OUTSIDE, "2")
        assert int(other) != port
        assert first.ask_whole("3") == ("a3", OUTSIDE, port)
        assert ask_through_third(b"4") == f"a3 {OUTSIDE} {other} 4".encode()


def test_localhost_is_not_reached_from_containers(hosts: Hosts) -> None:
    """Though the bridge takes its addresses (CVE-2020-8558): a rule drops them."""
    hosts.publish("a3")
    shown = run_in(hosts.overlay.namespace["h1"], "ip", "-j", "link", "show", "orion0")
    bridge = msgspec.json.decode(shown)[0]["address"]
    source = (CONTAINERS["a2"].address, 7000)

    def send(words: bytes) -> None:
        with hosts.overlay.packets("a2") as wire:
            wire.send(frame(bridge, "02:00:00:00:00:01", ("127.0.0.1", 7000), source, words))

    with hosts.overlay.socket("h1", socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 7000))
        ear.settimeout(DEADLINE_S)
        send(b"dropped")
        run_in(hosts.overlay.namespace["h1"], "nft", "flush", "chain", "ip", "orion_ingress", "arrivals")
        send(b"passes")
        assert ear.recv(100) == b"passes"
