"""Published ports beside a real Docker Engine, whose rules translate and drop too. FORWARD has the policy DROP."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from test_firewall_docker import make_bridges
from test_firewall_packets import Hosts as FirewallHosts
from test_ingress_packets import H1, H2, PROTOCOLS, Hosts

from support.dockerd import Dockerd
from support.engine import engine_in_namespace
from support.ingress import serving
from support.overlay import CONTAINERS, OUTSIDE, overlay

pytestmark = [pytest.mark.root, pytest.mark.engine]

# Who asks, and at which addresses.
ASKED = {
    "out": (H1, H2),
    "h1": (H1, H2, "127.0.0.1"),
    "h2": (H1, H2, "127.0.0.1"),
    "a1": (H1, H2),
    "a2": (H1, H2),
    "a3": (H1, H2),
}


class Machine:
    """h1 has an engine, and h2 none."""

    def __init__(self, engine: Dockerd, hosts: Hosts, firewall: FirewallHosts) -> None:
        self.engine, self.hosts, self.firewall = engine, hosts, firewall

    def all_reach(self, name: str) -> None:
        for place, addresses in ASKED.items():
            for address in addresses:
                for protocol in PROTOCOLS:
                    found, source = self.hosts.ask(place, address, protocol)
                    assert found == name, (place, address, protocol)
                    assert place != "out" or source == OUTSIDE


@pytest.fixture(scope="module")
def built() -> Iterator[Machine]:
    engines: list[Dockerd] = []

    def bridges_of(namespace: str) -> dict[str, Callable[[], None]]:
        engines.append(stack.enter_context(engine_in_namespace(namespace)))
        return {"h1": lambda: make_bridges(engines[0])}

    with contextlib.ExitStack() as stack, overlay(bridges_of) as made:
        try:
            with serving(made, *CONTAINERS):
                yield Machine(engines[0], Hosts(made), FirewallHosts(made, "iptables"))
        finally:
            stack.close()


@pytest.fixture
def machine(built: Machine) -> Machine:
    built.hosts.overlay.policy("iptables", "DROP")
    built.firewall.apply()
    return built


@pytest.mark.parametrize("name", ["a1", "a3"])
def test_everybody_reaches_a_backend_by_way_of_any_node(machine: Machine, name: str) -> None:
    machine.hosts.publish(name)
    machine.all_reach(name)


@pytest.mark.parametrize("name", ["a1", "a3"])
def test_connections_outlive_the_engine(machine: Machine, name: str) -> None:
    machine.hosts.publish(name)
    with machine.hosts.client("out", H1) as client:
        assert client.ask() == (name, OUTSIDE)
        machine.engine.kill()
        assert client.ask() == (name, OUTSIDE)
        machine.engine.start()
        assert client.ask() == (name, OUTSIDE)
    machine.all_reach(name)


def test_what_an_administrator_rejects_is_not_let_through(machine: Machine) -> None:
    rule = f"-s {OUTSIDE} -p tcp -j REJECT --reject-with tcp-reset"
    machine.hosts.publish("a1")
    machine.firewall.do("h1", f"iptables -I DOCKER-USER {rule}")
    try:
        with machine.hosts.client("h2", H1) as client:
            assert client.ask()[0] == "a1"
        with pytest.raises(ConnectionRefusedError):
            machine.hosts.client("out", H1)
        assert machine.hosts.ask("out", H1, "udp")[0] == "a1"
    finally:
        machine.firewall.do("h1", f"iptables -D DOCKER-USER {rule}")
