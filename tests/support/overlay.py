"""Two hosts with two networks each, joined by VXLAN, in namespaces; who can reach whom on them.

Host h1 and h2 have a cable to `out`, a host that is not of the cluster. Containers are namespaces behind a bridge.
Kernel settings are such that nothing but rules stops a packet.
"""

import contextlib
import re
import secrets
import selectors
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from orion.model.firewall import FirewallRules, NetworkRules
from support.namespaces import inside, namespaces, run_in, run_ip, set_kernel, socket_in

RANGE = "10.200.0.0/16"
VXLAN = "orion.vx"
UNDERLAY = "192.168.77"
OUTSIDE = f"{UNDERLAY}.254"
BRIDGES = {"a": "orion0", "b": "orion1"}
FIRST = {"a": 0, "b": 10}  # the third byte of a network's subnet on host N is this and N
HOSTS = {"h1": 1, "h2": 2}
DEADLINE_S = 30.0
UDP, TCP = 7000, 7001

_SHOW = ("nft list ruleset", "iptables-legacy-save", "iptables-nft-save")
_COUNTS = re.compile(r"packets \d+ bytes \d+")

Way = tuple[str, str, str]  # from, to, protocol


@dataclass(frozen=True)
class Container:
    name: str
    network: str
    host: str
    number: int

    @property
    def address(self) -> str:
        return f"{prefix(self.network, self.host)}.{self.number}"


CONTAINERS = {
    each.name: each
    for each in (
        Container("a1", "a", "h1", 2),
        Container("a2", "a", "h1", 3),
        Container("b1", "b", "h1", 2),
        Container("a3", "a", "h2", 2),
        Container("b2", "b", "h2", 2),
    )
}


def prefix(network: str, host: str) -> str:
    return f"10.200.{FIRST[network] + HOSTS[host]}"


def subnet(network: str, host: str) -> str:
    return f"{prefix(network, host)}.0/24"


def host_address(host: str) -> str:
    return f"{UNDERLAY}.{HOSTS[host]}"


def rules_of(host: str) -> FirewallRules:
    return FirewallRules(
        RANGE,
        tuple(
            NetworkRules(
                network, bridge, VXLAN, subnet(network, host), tuple(subnet(network, each) for each in HOSTS)
            )
            for network, bridge in BRIDGES.items()
        ),
    )


def within() -> set[Way]:
    """All ways between containers of one network."""
    pairs = [(s, d) for s in CONTAINERS.values() for d in CONTAINERS.values() if s != d and s.network == d.network]
    return {(s.name, d.name, protocol) for s, d in pairs for protocol in ("tcp", "udp")}


def whole_firewall(namespace: str) -> list[str]:
    """Every rule in it, without counts and times."""
    shown = "".join(run_in(namespace, *words.split()) for words in _SHOW)
    lines = (line.partition("[")[0] for line in shown.splitlines() if not line.startswith("#"))
    return [_COUNTS.sub("", line) for line in lines]


class Overlay:
    """`bridges_of` makes the bridges of a host, where iproute2 does not."""

    def __init__(self, names: dict[str, str]) -> None:
        self.namespace = names

    def build(self, bridges_of: dict[str, Callable[[], None]]) -> None:
        self._build_underlay()
        for host in HOSTS:
            self._build_host(host, bridges_of.get(host))
        for container in CONTAINERS.values():
            self._build_container(container)

    def _build_underlay(self) -> None:
        out = self.namespace["out"]
        run_ip(out, "link add hub type bridge", f"addr add {OUTSIDE}/24 dev hub", "link set hub up")
        for host in HOSTS:
            cable = f"link add {host} type veth peer name eth0 netns {self.namespace[host]}"
            run_ip(out, cable, f"link set {host} master hub up")
        set_kernel(out, _no_filter("all", "hub"))

    def _build_host(self, host: str, bridges: Callable[[], None] | None) -> None:
        number, name = HOSTS[host], self.namespace[host]
        run_ip(name, f"addr add {host_address(host)}/24 dev eth0", "link set eth0 up")
        if bridges is None:
            for network, bridge in BRIDGES.items():
                address = f"{prefix(network, host)}.1/24"
                lines = (
                    f"link add {bridge} type bridge",
                    f"addr add {address} dev {bridge}",
                    f"link set {bridge} up",
                )
                run_ip(name, *lines)
        else:
            bridges()
        local = f"id 4200 dstport 8472 local {host_address(host)} nolearning"
        lines = [
            f"link add {VXLAN} address {_mac(number)} type vxlan {local}",
            f"addr add 10.200.{number}.0/32 dev {VXLAN}",
            f"link set {VXLAN} up",
        ]
        for other, its in HOSTS.items():
            if other != host:
                lines.append(f"neigh replace 10.200.{its}.0 lladdr {_mac(its)} dev {VXLAN} nud permanent")
                lines += [f"route add {subnet(n, other)} via 10.200.{its}.0 dev {VXLAN} onlink" for n in BRIDGES]
        run_ip(name, *lines)
        for other, its in HOSTS.items():
            if other != host:
                run_in(name, "bridge", "fdb", "add", _mac(its), "dev", VXLAN, "dst", host_address(other))
        set_kernel(name, {"ipv4/ip_forward": 1, "bridge/bridge-nf-call-iptables": 1})
        set_kernel(name, _no_filter("all", "eth0", VXLAN, *BRIDGES.values()))

    def _build_container(self, container: Container) -> None:
        name, bridge = self.namespace[container.name], BRIDGES[container.network]
        host, port = self.namespace[container.host], f"v-{container.name}"
        run_ip(
            host, f"link add {port} type veth peer name eth0 netns {name}", f"link set {port} master {bridge} up"
        )
        gateway = f"{prefix(container.network, container.host)}.1"
        address = f"addr add {container.address}/24 dev eth0"
        run_ip(name, address, "link set eth0 up", f"route add default via {gateway}")
        set_kernel(name, _no_filter("all", "eth0"))

    def policy(self, iptables: str, target: str) -> None:
        """The one of FORWARD, on both hosts."""
        for host in HOSTS:
            run_in(self.namespace[host], iptables, "-w", "-P", "FORWARD", target)

    # --- packets ------------------------------------------------------------------------------------------

    def packets(self, place: str) -> socket.socket:
        """Takes whole Ethernet frames."""
        with inside(self.namespace[place]):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            wire.bind(("eth0", 0))
        return wire

    def socket(self, place: str, kind: int, protocol: int = 0) -> socket.socket:
        return socket_in(self.namespace[place], kind, protocol)

    def reached(self, expected: Collection[Way]) -> set[Way]:
        """The ways between containers that an echoed datagram or a connection takes, each with a socket of its own
        that asks: an answer to one is no question of another. All are tried before, and
        those that are expected once more after, so that whatever passes has had its time.
        """
        with contextlib.ExitStack() as stack:
            ears = {name: _Ear(self, name, stack) for name in CONTAINERS}
            found = _Round(self, ears, stack).run(_all_ways(), expected)
            return found | _Round(self, ears, stack).run(expected, expected)

    def send_raw(self, place: str, source: str, target: str, payload: bytes) -> None:
        """A datagram with any source address, to port UDP."""
        body = struct.pack("!HHHH", UDP, UDP, 8 + len(payload), 0) + payload
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, socket.IPPROTO_UDP, 0)
        packet = head + socket.inet_aton(source) + socket.inet_aton(target) + body
        with self.socket(place, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(packet, (target, 0))


def _all_ways() -> set[Way]:
    return {(s, d, protocol) for s in CONTAINERS for d in CONTAINERS if s != d for protocol in ("tcp", "udp")}


def _no_filter(*devices: str) -> dict[str, int]:
    """Sources are not looked at by the kernel itself."""
    return {f"ipv4/conf/{device}/rp_filter": 0 for device in devices}


def _mac(number: int) -> str:
    return f"02:4f:52:00:00:{number:02x}"


class _Ear:
    """A container's two sockets, which answer."""

    def __init__(self, overlay: Overlay, name: str, stack: contextlib.ExitStack) -> None:
        address = CONTAINERS[name].address
        self.udp = stack.enter_context(overlay.socket(name, socket.SOCK_DGRAM))
        self.tcp = stack.enter_context(overlay.socket(name, socket.SOCK_STREAM))
        self.udp.bind((address, UDP))
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, TCP))
        self.tcp.listen(64)


class _Round:
    def __init__(self, overlay: Overlay, ears: dict[str, _Ear], stack: contextlib.ExitStack) -> None:
        self._overlay, self._ears, self._stack = overlay, ears, stack
        self._token = secrets.token_hex(8)
        self._found: set[Way] = set()
        self._selector = stack.enter_context(selectors.DefaultSelector())

    def run(self, ways: Iterable[Way], expected: Collection[Way]) -> set[Way]:
        for name, ear in self._ears.items():
            self._selector.register(ear.udp, selectors.EVENT_READ, name)
        for way in sorted(ways):
            self._begin(way)
        deadline = time.monotonic() + DEADLINE_S
        while not self._found.issuperset(expected) and time.monotonic() < deadline:
            self._take(0.1)
        self._take(0)
        return self._found

    def _begin(self, way: Way) -> None:
        source, target, protocol = way
        address = CONTAINERS[target].address
        if protocol == "udp":
            asker = self._stack.enter_context(self._overlay.socket(source, socket.SOCK_DGRAM))
            asker.bind((CONTAINERS[source].address, 0))
            asker.sendto(f"{self._token} ask {source} {target} {asker.getsockname()[1]}".encode(), (address, UDP))
            self._selector.register(asker, selectors.EVENT_READ, source)
            return
        caller = self._stack.enter_context(self._overlay.socket(source, socket.SOCK_STREAM))
        caller.connect_ex((address, TCP))
        self._selector.register(caller, selectors.EVENT_WRITE, way)

    def _take(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            found = key.fileobj
            assert isinstance(found, socket.socket)
            if isinstance(key.data, tuple):
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    self._found.add(key.data)
                self._selector.unregister(found)
            else:
                self._hear(key.data, found)

    def _hear(self, name: str, ear: socket.socket) -> None:
        said, sender = ear.recvfrom(2_000)
        token, kind, source, target, port = said.decode().split()
        if token != self._token:
            return
        if kind == "ask":
            # No address is translated on the way.
            assert sender == (CONTAINERS[source].address, int(port))
            assert name == target
            ear.sendto(f"{token} answer {source} {target} {port}".encode(), sender)
        else:
            self._found.add((source, target, "udp"))


@contextlib.contextmanager
def overlay(bridges_of: Callable[[str], dict[str, Callable[[], None]]] = lambda _: {}) -> Iterator[Overlay]:
    """`bridges_of` is given the namespace of h1."""
    with namespaces("out", *HOSTS, *CONTAINERS) as names:
        made = Overlay(names)
        made.build(bridges_of(names["h1"]))
        yield made
