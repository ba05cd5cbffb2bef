"""Beside a real Docker Engine, which writes rules of its own for the bridges that it has made."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from test_firewall_packets import Hosts

from support import api
from support.dockerd import Dockerd
from support.engine import engine_in_namespace
from support.overlay import BRIDGES, overlay, prefix, subnet, whole_firewall, within

pytestmark = [pytest.mark.root, pytest.mark.engine]


def make_bridges(dockerd: Dockerd) -> None:
    """As networks of the engine, which translates no addresses for them."""
    for network, bridge in BRIDGES.items():
        options = {
            "com.docker.network.bridge.name": bridge,
            "com.docker.network.bridge.enable_ip_masquerade": "false",
            "com.docker.network.bridge.trusted_host_interfaces": "orion.vx",
        }
        config = [{"Subnet": subnet(network, "h1"), "Gateway": f"{prefix(network, 'h1')}.1"}]
        body = {"Name": f"orion-{network}", "Driver": "bridge", "Options": options, "IPAM": {"Config": config}}
        api.ask(dockerd.host, "POST", "/networks/create", body)


@pytest.fixture(scope="module")
def engine_and_hosts() -> Iterator[tuple[Dockerd, Hosts]]:
    """h1 has an engine, and h2 none."""
    engines: list[Dockerd] = []

    def bridges_of(namespace: str) -> dict[str, Callable[[], None]]:
        engines.append(stack.enter_context(engine_in_namespace(namespace)))
        return {"h1": lambda: make_bridges(engines[0])}

    with contextlib.ExitStack() as stack, overlay(bridges_of) as made:
        try:
            yield engines[0], Hosts(made, "iptables")
        finally:
            stack.close()


@pytest.fixture
def engine(engine_and_hosts: tuple[Dockerd, Hosts]) -> Dockerd:
    return engine_and_hosts[0]


@pytest.fixture
def hosts(engine_and_hosts: tuple[Dockerd, Hosts]) -> Hosts:
    hosts = engine_and_hosts[1]
    hosts.overlay.policy("iptables", "DROP")
    hosts.apply()
    return hosts


def only_within(hosts: Hosts) -> None:
    assert hosts.match() == [True, True]
    assert hosts.overlay.reached(within()) == within()


def test_docker_alone_is_not_enough(hosts: Hosts) -> None:
    """Something passes that should not, or something that should does not; else this room would not be needed."""
    hosts.remove()
    hosts.overlay.policy("iptables", "ACCEPT")
    assert hosts.overlay.reached(set()) != within()


def test_the_engine_neither_opens_nor_shuts_anything(hosts: Hosts) -> None:
    only_within(hosts)


def test_a_restart_of_the_engine_changes_nothing(engine: Dockerd, hosts: Hosts) -> None:
    engine.stop()
    only_within(hosts)
    engine.start()
    only_within(hosts)


def test_an_engine_that_was_killed_changes_nothing(engine: Dockerd, hosts: Hosts) -> None:
    engine.kill()
    only_within(hosts)
    engine.start()
    only_within(hosts)


@pytest.mark.parametrize(
    "how", ["nft flush ruleset", "iptables -F", "iptables -F DOCKER-USER", "iptables -F FORWARD"]
)
def test_after_others_took_rules_away(engine: Dockerd, hosts: Hosts, how: str) -> None:
    """Before the engine writes its own anew, and after it."""
    hosts.do("h1", how)
    hosts.overlay.policy("iptables", "DROP")
    assert hosts.match() == [False, True]
    hosts.apply()
    only_within(hosts)
    engine.stop()
    engine.start()
    only_within(hosts)


def test_networks_that_the_engine_makes_later_change_nothing(engine: Dockerd, hosts: Hosts) -> None:
    for _ in range(2):
        made = api.ask_json(engine.host, "POST", "/networks/create", {"Name": "later", "Driver": "bridge"})
        only_within(hosts)
        api.ask(engine.host, "DELETE", f"/networks/{made['Id']}")
        only_within(hosts)


def test_removed_only_the_engine_s_own_rules_are_left(engine: Dockerd, hosts: Hosts) -> None:
    hosts.remove()
    engine.stop()
    engine.start()
    before = whole_firewall(hosts.overlay.namespace["h1"])
    hosts.apply()
    assert whole_firewall(hosts.overlay.namespace["h1"]) != before
    hosts.remove()
    assert whole_firewall(hosts.overlay.namespace["h1"]) == before
