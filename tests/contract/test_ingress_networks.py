"""Published ports of two networks, each with a bridge and a VXLAN device of its own. A node's MAC is the same."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from test_ingress_packets import H1, H2, PROTOCOLS, WEB, Hosts

from orion.adapters.firewall import KernelFirewall
from orion.model.firewall import FirewallRules
from orion.model.ingress import IngressNetwork, IngressPeer, IngressPort, IngressRules
from support.ingress import backend, rules_for, serving
from support.namespaces import inside, run_in, run_ip, set_kernel
from support.overlay import (
    BRIDGES,
    CONTAINERS,
    HOSTS,
    OUTSIDE,
    RANGE,
    Overlay,
    host_address,
    overlay,
    prefix,
    rules_of,
    subnet,
)

pytestmark = pytest.mark.root

SECOND = "b.vx"
OTHER = {"h1": "h2", "h2": "h1"}


def mac(host: str) -> str:
    return f"02:4f:52:00:00:{HOSTS[host]:02x}"


def gateway(host: str) -> str:
    return f"{prefix('b', host)}.0"


def give_second(made: Overlay, host: str) -> None:
    """Has network b go by a device of its own."""
    name, other = made.namespace[host], OTHER[host]
    local = f"id 4201 dstport 8472 local {host_address(host)} nolearning"
    run_ip(
        name,
        f"route del {subnet('b', other)}",
        f"link add {SECOND} address {mac(host)} type vxlan {local}",
        f"addr add {gateway(host)}/32 dev {SECOND}",
        f"link set {SECOND} up",
        f"neigh replace {gateway(other)} lladdr {mac(other)} dev {SECOND} nud permanent",
        f"route add {subnet('b', other)} via {gateway(other)} dev {SECOND} onlink",
    )
    run_in(name, "bridge", "fdb", "add", mac(other), "dev", SECOND, "dst", host_address(other))
    set_kernel(name, {f"ipv4/conf/{SECOND}/rp_filter": 0})


def firewall_rules(host: str) -> FirewallRules:
    first, second = rules_of(host).networks
    return FirewallRules(RANGE, (first, msgspec.structs.replace(second, vxlan=SECOND)))


def ingress_rules(host: str, ports: tuple[IngressPort, ...]) -> IngressRules:
    first = rules_for(host, *ports)
    peers = (IngressPeer(mac(OTHER[host]), gateway(OTHER[host])),)
    second = IngressNetwork(BRIDGES["b"], SECOND, subnet("b", host), peers)
    return IngressRules(RANGE, (*first.networks, second), first.hosts, ports)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """Port WEB leads into network b, and the next one into a."""
    with overlay() as made:
        hosts = Hosts(made)
        made.policy("iptables", "DROP")
        ends = (("b2", 0), ("a3", 1))
        ports = tuple(IngressPort(WEB + n, each, False, (backend(name),)) for name, n in ends for each in PROTOCOLS)
        for host in HOSTS:
            give_second(made, host)
            with inside(made.namespace[host]):
                asyncio.run(KernelFirewall("iptables").apply(firewall_rules(host)))
            hosts.on(host, lambda ingress, host=host: ingress.apply(ingress_rules(host, ports)))
        with serving(made, *CONTAINERS):
            yield hosts


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("address", [H1, H2])
def test_a_client_outside_is_seen_as_itself_in_each_network(hosts: Hosts, address: str, protocol: str) -> None:
    for port, name in ((WEB, "b2"), (WEB + 1, "a3")):
        with hosts.client("out", address, protocol, port=port) as client:
            assert client.ask() == (name, OUTSIDE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("address", [H1, H2, "127.0.0.1"])
def test_a_node_reaches_ports_of_each_network(hosts: Hosts, address: str, protocol: str) -> None:
    for port, name in ((WEB, "b2"), (WEB + 1, "a3")):
        with hosts.client("h1", address, protocol, port=port) as client:
            assert client.ask()[0] == name


def test_a_container_reaches_ports_of_its_own_network_by_way_of_its_node(hosts: Hosts) -> None:
    assert hosts.ask("b1", H1) == ("b2", CONTAINERS["b1"].address)
