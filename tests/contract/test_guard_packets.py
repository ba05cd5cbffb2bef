"""Who reaches whom on two hosts, where some containers are guarded, beside the overlay's firewall."""

import asyncio
import socket
import time
from collections.abc import Iterable, Iterator

import pytest

from orion.adapters.firewall import KernelFirewall
from orion.adapters.guard import KernelGuard
from orion.model.guard import Guard, GuardNetwork, GuardRules
from orion.model.network import address_number
from support.namespaces import inside, run_in, set_kernel
from support.overlay import (
    BRIDGES,
    CONTAINERS,
    HOSTS,
    RANGE,
    TCP,
    UDP,
    VXLAN,
    Overlay,
    Way,
    host_address,
    overlay,
    prefix,
    rules_of,
    within,
)

pytestmark = pytest.mark.root

DEADLINE_S = 10.0
NUMBER = {name: address_number(each.address) for name, each in CONTAINERS.items()}
NETWORKS = tuple(GuardNetwork(bridge, VXLAN) for bridge in BRIDGES.values())
TABLE = ("list", "table", "ip", "orion_allow")


def guards(host: str, allowed: dict[str, Iterable[str]]) -> GuardRules:
    """Of a host: who may reach its containers, of those that are guarded."""
    found = tuple(
        Guard((NUMBER[name],), tuple(sorted({NUMBER[name], *(NUMBER[each] for each in sources)})))
        for name, sources in sorted(allowed.items())
        if CONTAINERS[name].host == host
    )
    return GuardRules(RANGE, NETWORKS, found)


class Hosts:
    def __init__(self, made: Overlay) -> None:
        self.overlay = made

    def apply(self, allowed: dict[str, Iterable[str]]) -> None:
        for host in HOSTS:
            with inside(self.overlay.namespace[host]):
                asyncio.run(KernelGuard().apply(guards(host, allowed)))

    def match(self, allowed: dict[str, Iterable[str]]) -> list[bool]:
        found = []
        for host in HOSTS:
            with inside(self.overlay.namespace[host]):
                found.append(asyncio.run(KernelGuard().matches(guards(host, allowed))))
        return found

    def do(self, place: str, *words: str) -> str:
        return run_in(self.overlay.namespace[place], *words)


def ways(allowed: dict[str, Iterable[str]]) -> set[Way]:
    return {way for way in within() if way[1] not in allowed or way[0] in allowed[way[1]]}


@pytest.fixture(scope="module")
def built() -> Iterator[Hosts]:
    with overlay() as made:
        for host in HOSTS:
            with inside(made.namespace[host]):
                asyncio.run(KernelFirewall("iptables").apply(rules_of(host)))
        yield Hosts(made)


@pytest.fixture(params=[0, 1], ids=["bridged packets not shown", "bridged packets shown"])
def hosts(built: Hosts, request: pytest.FixtureRequest) -> Iterator[Hosts]:
    """The machine's switch for all bridges is off, or on."""
    for host in HOSTS:
        set_kernel(built.overlay.namespace[host], {"bridge/bridge-nf-call-iptables": request.param})
    yield built
    built.apply({})
    for host in HOSTS:
        set_kernel(built.overlay.namespace[host], {"bridge/bridge-nf-call-iptables": 1})


@pytest.mark.parametrize(
    "allowed",
    [{"a1": ("a3",)}, {"a1": ("a2",)}, {"a1": ()}, {"a1": ("a3",), "a3": ("a2",), "b2": ()}],
    ids=["across alone", "on the bridge alone", "nobody", "several"],
)
def test_only_who_is_allowed_opens_connections_and_answers_pass(hosts: Hosts, allowed: dict) -> None:
    hosts.apply(allowed)
    assert hosts.match(allowed) == [True, True]
    assert hosts.overlay.reached(ways(allowed)) == ways(allowed)


def test_without_guards_all_is_as_before(hosts: Hosts) -> None:
    hosts.apply({"a1": ()})
    hosts.apply({})
    assert hosts.match({}) == [True, True]
    assert hosts.overlay.reached(within()) == within()
    assert "orion_allow" not in hosts.do("h1", "nft", "list", "tables")


@pytest.mark.parametrize(
    "how",
    ["nft flush ruleset", "nft delete table ip orion_allow", "ip link set orion0 type bridge nf_call_iptables 0"],
)
def test_what_others_took_away_is_seen_told_and_put_back(hosts: Hosts, how: str) -> None:
    allowed = {"a1": ("a3",)}
    hosts.apply(allowed)

    async def told() -> None:
        changes = KernelGuard().changes()
        async with asyncio.timeout(DEADLINE_S):
            await anext(changes)
            await asyncio.to_thread(run_in, hosts.overlay.namespace["h1"], *how.split())
            await anext(changes)
        await changes.aclose()

    with inside(hosts.overlay.namespace["h1"]):
        asyncio.run(told())
        asyncio.run(KernelFirewall("iptables").apply(rules_of("h1")))
    assert hosts.match(allowed) == [False, True]
    hosts.apply(allowed)
    assert hosts.match(allowed) == [True, True]
    assert hosts.overlay.reached(ways(allowed)) == ways(allowed)


def test_who_is_not_allowed_any_more_is_cut_off_in_open_connections(hosts: Hosts) -> None:
    hosts.apply({"a1": ("a2", "a3")})
    target = CONTAINERS["a1"].address
    with hosts.overlay.socket("a1", socket.SOCK_DGRAM) as ear:
        ear.bind((target, UDP))
        ear.settimeout(DEADLINE_S)
        senders = {name: hosts.overlay.socket(name, socket.SOCK_DGRAM) for name in ("a2", "a3")}
        try:
            for name, sender in senders.items():
                sender.sendto(name.encode(), (target, UDP))
            assert {ear.recv(100) for _ in senders} == {b"a2", b"a3"}
            hosts.apply({"a1": ("a3",)})
            senders["a2"].sendto(b"late", (target, UDP))
            senders["a3"].sendto(b"fence", (target, UDP))
            assert ear.recv(100) == b"fence"
        finally:
            for sender in senders.values():
                sender.close()


def test_nodes_themselves_and_published_ports_reach_a_guarded_container(hosts: Hosts) -> None:
    """Its own node, another one, and whoever comes from outside by a port that Docker or Orion publishes."""
    hosts.apply({"a1": ()})
    target = CONTAINERS["a1"].address
    table = (
        "table ip published { chain in { type nat hook prerouting priority dstnat; "
        f"ip daddr {host_address('h1')} tcp dport 8080 dnat to {target}:{TCP}; }}; }}"
    )
    run_in(hosts.overlay.namespace["h1"], "nft", "-f", "-", given=table)
    try:
        with hosts.overlay.socket("a1", socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((target, TCP))
            listener.listen()
            for place, end in (
                ("h1", (target, TCP)),
                ("h2", (target, TCP)),
                ("out", (host_address("h1"), 8080)),
            ):
                with hosts.overlay.socket(place, socket.SOCK_STREAM) as caller:
                    caller.settimeout(DEADLINE_S)
                    caller.connect(end)
    finally:
        hosts.do("h1", "nft", "delete", "table", "ip", "published")


def test_nobody_is_let_in_by_the_address_of_a_node(hosts: Hosts) -> None:
    """A container on the same bridge that calls itself the host, another node, or somebody outside."""
    hosts.apply({"a1": ("a3",)})
    target = CONTAINERS["a1"].address
    with hosts.overlay.socket("a1", socket.SOCK_DGRAM) as ear:
        ear.bind(("0.0.0.0", UDP))
        ear.settimeout(DEADLINE_S)
        for source in (f"{prefix('a', 'h1')}.1", f"{prefix('a', 'h2')}.0", "192.0.2.1"):
            hosts.overlay.send_raw("a2", source, target, b"false")
            hosts.overlay.send_raw("a3", source, target, b"false")
        hosts.overlay.send_raw("a3", CONTAINERS["a3"].address, target, b"true")
        assert ear.recv(100) == b"true"


def test_drops_are_counted(hosts: Hosts) -> None:
    hosts.apply({"a1": ()})
    hosts.overlay.send_raw("a2", CONTAINERS["a2"].address, CONTAINERS["a1"].address, b"x")
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        line = next(line for line in hosts.do("h1", "nft", *TABLE).splitlines() if "not allowed" in line)
        if "packets 0 " not in line:
            return
    pytest.fail(line)
