"""The overlay on a real kernel: hosts in network namespaces joined by a bridge, containers behind them, packets."""

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings

from contract.test_overlay import DEVICE, NAME, PEERS, WAIT_S, OverlayContract, make_so, peer
from orion.adapters.netlink import changes as changes_module
from orion.adapters.netlink import link, words
from orion.adapters.netlink.overlay import NetlinkOverlay
from orion.adapters.netlink.socket import Netlink
from orion.model.overlay import Forwarding, OverlayDevice, OverlayState, Peer, Route
from orion.ports.overlay import NoSuchUnderlay, OverlayFailed
from orion.reconcile.overlay import CreateDevice, steps
from sim.overlay import HostNetwork
from sim.world import World
from support.lab import Lab
from support.packets import netlink_in, ping
from unit.reconcile.test_overlay import PEER_LISTS

pytestmark = pytest.mark.root

SOURCE = Path(__file__).parents[2] / "src"


def ip(namespace: str, *words: str) -> str:
    command = ["ip", "-n", namespace, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def inside(namespace: str, *command: str, timeout_s: float = 30, **options: object) -> str:
    entering = ["nsenter", f"--net=/var/run/netns/{namespace}", *command]
    done = subprocess.run(entering, check=True, capture_output=True, text=True, timeout=timeout_s, **options)
    return done.stdout


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A namespace with the address 10.77.0.1, and nobody else on its network."""
    lab = Lab(secrets.token_hex(3), 1)
    try:
        lab.up()
        yield lab.name(1)
    finally:
        lab.down()


class KernelBench:
    def __init__(self, host: str) -> None:
        self.host = host

    def run(self, check: Callable) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # a node's
            runner.run(asyncio.wait_for(check(), 60))

    def kernel(self) -> NetlinkOverlay:
        return NetlinkOverlay(netlink_in(self.host))


@pytest.fixture
def bench(host: str) -> Iterator[KernelBench]:
    yield KernelBench(host)
    for device in json.loads(ip(host, "-j", "link", "show", "type", "vxlan")):
        if device:
            ip(host, "link", "del", device["ifname"])


class TestNetlinkOverlay(OverlayContract):
    pass


# --- as the simulator's kernel -----------------------------------------------------------------------------


def test_the_simulators_kernel_and_a_real_one_come_to_the_same(bench):
    """From each of some peer tables to the next."""
    world = World(1)
    network = HostNetwork(world, "n", {})
    kernel = bench.kernel()

    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(PEER_LISTS)
    def compare(peers):
        async def main():
            planned = steps(DEVICE, peers, await kernel.read(NAME))
            await kernel.carry_out(planned)
            for step in planned:
                network.take(step)
            state = await kernel.read(NAME)
            assert state == network.devices[NAME].state()
            assert steps(DEVICE, peers, state) == []

        asyncio.run(main())

    try:
        compare()
    finally:
        world.loop.close()


def test_forwarding_that_somebody_added_is_removed(bench):
    async def main():
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, PEERS)
        for how, mac, *more in (
            ("append", "00:00:00:00:00:00", "10.77.0.98"),
            ("append", "00:00:00:00:00:00", "10.77.0.99"),
            ("append", "33:33:00:00:00:01", "10.77.0.99", "port", "4789"),
            ("append", "33:33:00:00:00:01", "10.77.0.99", "vni", "7"),
            ("replace", "02:00:00:00:00:77", "10.77.0.9", "dynamic"),
            ("replace", peer(2).mac, "10.77.0.2", "dynamic"),
            ("replace", peer(3).mac, "10.77.0.3", "port", "4789", "vni", "7"),
        ):
            inside(bench.host, "bridge", "fdb", how, mac, "dev", NAME, "dst", *more)
        found = (await kernel.read(NAME)).forwarding
        assert len(found) == 7
        assert Forwarding(peer(2).mac, "10.77.0.2", permanent=False) in found
        assert Forwarding(peer(3).mac, "10.77.0.3", 4789, 7) in found
        await make_so(kernel, DEVICE, PEERS)
        inside(bench.host, "bridge", "fdb", "append", "00:00:00:00:00:00", "dev", NAME, "dst", "10.77.0.98")
        await make_so(kernel, DEVICE, [peer(2, "10.77.0.22"), peer(3)])

    asyncio.run(main())


# --- refusals ----------------------------------------------------------------------------------------------


def refused(bench: KernelBench, device: OverlayDevice = DEVICE) -> str:
    with pytest.raises(OverlayFailed) as refusal:
        asyncio.run(bench.kernel().carry_out([CreateDevice(device.name, device)]))
    return refusal.value.detail


def test_a_device_of_another_kind_with_the_name_is_left_alone(bench):
    ip(bench.host, "link", "add", NAME, "type", "bridge")
    try:
        kernel = bench.kernel()
        for call in (kernel.read(NAME), kernel.remove(NAME)):
            with pytest.raises(OverlayFailed, match=r"orion\.vx is the name of a device .* kind bridge"):
                asyncio.run(call)
        assert NAME in ip(bench.host, "link", "show")
    finally:
        ip(bench.host, "link", "del", NAME)


def test_somebodys_device_with_the_same_vni_is_named_with_its_alias(bench):
    ip(bench.host, "link", "add", "vx7", "type", "vxlan", "id", "4200", "dstport", "8472", "local", "10.77.0.1")
    ip(bench.host, "link", "set", "vx7", "alias", "flannel's")
    assert "the device vx7 (flannel's) has VNI 4200 at port 8472 already. Remove it, or" in refused(bench)


def test_somebodys_device_in_another_namespace_is_explained(bench):
    other = f"oc{secrets.token_hex(3)}"
    subprocess.run(["ip", "netns", "add", other], check=True, timeout=30)
    try:
        ip(bench.host, "link", "add", "vx7", "type", "vxlan", "id", "4200", "dstport", "8472")
        ip(bench.host, "link", "set", "vx7", "netns", other)
        assert "a device outside of this network namespace has VNI 4200 at port 8472" in refused(bench)
    finally:
        ip(other, "link", "del", "vx7")
        subprocess.run(["ip", "netns", "del", other], check=True, timeout=30)


@pytest.mark.parametrize("what", [("route", "10.200.3.0/24"), ("addr", "10.200.3.1/24")])
def test_a_range_that_is_routed_elsewhere_is_refused_with_the_device(bench, what):
    ip(bench.host, what[0], "add", what[1], "dev", "eth0")
    try:
        with pytest.raises(OverlayFailed, match=r"routing 10\.200\.3\.0/24: this host routes it by way of eth0"):
            asyncio.run(make_so(bench.kernel(), DEVICE, PEERS))
    finally:
        ip(bench.host, what[0], "del", what[1], "dev", "eth0")
    asyncio.run(make_so(bench.kernel(), DEVICE, PEERS))


def test_a_kernel_without_vxlan_says_so(bench):
    with Netlink(netlink_in(bench.host)) as netlink:
        (error,) = netlink.do([link.create(DEVICE, kind="vxlan-of-no-kernel")])
        text = words.of_create(netlink, DEVICE, error)
    assert text.startswith("creating orion.vx: this kernel has no VXLAN (")
    assert "modprobe vxlan" in text


def test_a_process_without_the_right_is_told_which(bench):
    program = f"""
import asyncio
from orion.adapters.netlink.overlay import NetlinkOverlay
from orion.model.overlay import OverlayDevice
from orion.reconcile.overlay import CreateDevice
device = OverlayDevice{msgspec.structs.astuple(DEVICE)!r}
async def main():
    kernel = NetlinkOverlay()
    assert (await kernel.read(device.name)).device is None
    await kernel.carry_out([CreateDevice(device.name, device)])
try:
    asyncio.run(main())
except Exception as error:
    print(error)
"""
    bare = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    said = inside(bench.host, *bare, sys.executable, "-c", program, env=environment)
    assert "creating orion.vx: the kernel does not let this process change its network" in said
    assert "CAP_NET_ADMIN" in said


def test_what_the_kernel_says_more_than_a_number_is_passed_on(bench):
    device = msgspec.structs.replace(DEVICE, vni=1 << 24)
    assert refused(bench, device) not in ("", "creating orion.vx: the kernel says: Numerical result out of range")


def test_an_address_that_is_still_looked_for_elsewhere_can_not_be_used_yet(bench):
    def ask_for_it(times: int) -> None:
        inside(bench.host, "sh", "-c", f"echo {times} > /proc/sys/net/ipv6/conf/eth0/dad_transmits")
        ip(bench.host, "addr", "add", "fd78::1/64", "dev", "eth0")

    async def main():
        kernel = bench.kernel()
        async with asyncio.timeout(WAIT_S), aclosing(kernel.changes()) as changes:
            ask_for_it(1_000)
            with pytest.raises(NoSuchUnderlay, match=r"fd78::1 can't be used: the kernel still looks"):
                await kernel.underlay_mtu("fd78::1")
            ip(bench.host, "addr", "del", "fd78::1/64", "dev", "eth0")
            ask_for_it(1)
            async for _ in changes:
                with contextlib.suppress(NoSuchUnderlay):
                    assert await kernel.underlay_mtu("fd78::1") == 1500
                    return

    asyncio.run(main())
    ip(bench.host, "addr", "del", "fd78::1/64", "dev", "eth0")


GROUPS = {
    1: ("link", "set", "eth0", "alias", "changed"),
    3: ("neigh", "replace", "10.200.2.0", "lladdr", "02:00:00:00:00:99", "dev", NAME),
    5: ("addr", "add", "10.6.0.1/32", "dev", NAME),
    7: ("route", "add", "10.6.0.0/16", "dev", NAME),
    9: ("addr", "add", "fd79::1/64", "dev", NAME),
    11: ("route", "add", "fd7a::/64", "dev", NAME),
}


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_that_is_listened_to_tells_of_its_kind_of_change(bench, group, monkeypatch):
    """One change may be told by several groups, so each is listened to alone."""
    assert set(changes_module._GROUPS) == set(GROUPS)
    monkeypatch.setattr(changes_module, "_GROUPS", (group,))

    async def main():
        kernel = bench.kernel()
        await make_so(kernel, DEVICE, PEERS)
        async with asyncio.timeout(WAIT_S), aclosing(kernel.changes()) as changes:
            await anext(changes)
            inside(bench.host, "ip", *GROUPS[group])
            await anext(changes)

    asyncio.run(main())


def test_more_changes_than_the_socket_holds_count_as_one(bench):
    async def main():
        kernel = bench.kernel()
        async with asyncio.timeout(120), aclosing(kernel.changes()) as changes:
            await anext(changes)
            many = "".join(f"addr add 10.9.{n // 250}.{n % 250}/32 dev eth0\n" for n in range(4000))
            inside(bench.host, "ip", "-batch", "-", input=many, timeout_s=60)  # the loop stands still
            await anext(changes)
            inside(bench.host, "ip", "addr", "add", "10.8.0.1/32", "dev", "eth0")
            await anext(changes)
        inside(bench.host, "ip", "addr", "flush", "dev", "eth0", "to", "10.8.0.0/15")

    asyncio.run(main())


def test_of_two_interfaces_with_the_underlays_address_the_smaller_mtu_counts(bench):
    ip(bench.host, "addr", "add", "10.77.0.1/32", "dev", "lo")
    try:
        assert asyncio.run(bench.kernel().underlay_mtu("10.77.0.1")) == 1500
    finally:
        ip(bench.host, "addr", "del", "10.77.0.1/32", "dev", "lo")


def everything(host: str) -> list[str]:
    shown = (
        ("ip", "-o", "link", "show"),
        ("ip", "addr", "show"),
        ("ip", "route", "show", "table", "all"),
        ("ip", "neigh", "show", "nud", "permanent"),
        ("bridge", "fdb", "show"),
    )
    return [inside(host, *command) for command in shown]


def test_removing_the_device_leaves_the_host_as_it_was(bench):
    before = everything(bench.host)
    asyncio.run(make_so(bench.kernel(), DEVICE, [peer(number) for number in range(2, 30)]))
    assert everything(bench.host) != before
    asyncio.run(bench.kernel().remove(NAME))
    assert everything(bench.host) == before


# --- packets -----------------------------------------------------------------------------------------------


class Node:
    """One host's overlay, mended whenever the kernel says that something changed. `told` is what the cluster would
    tell it: where everybody is.
    """

    def __init__(self, lab: "OverlayLab", number: int) -> None:
        self.number = number
        self.kernel = NetlinkOverlay(netlink_in(lab.name(number)))
        self.told = dict(lab.underlay)

    def device(self) -> OverlayDevice:
        local = self.told[self.number]
        mtu = 1500 - (70 if ":" in local else 50)
        address = f"10.200.{self.number}.0"
        return OverlayDevice(NAME, 4200, 8472, local, peer(self.number).mac, mtu, address, f"node{self.number}")

    def peers(self) -> list[Peer]:
        return [peer(number, underlay) for number, underlay in self.told.items() if number != self.number]

    async def look(self) -> OverlayState:
        await self.kernel.underlay_mtu(self.told[self.number])
        state = await self.kernel.read(NAME)
        await self.kernel.carry_out(steps(self.device(), self.peers(), state))
        return state

    async def run(self) -> None:
        async with aclosing(self.kernel.changes()) as changes:
            async for _ in changes:
                with contextlib.suppress(NoSuchUnderlay):  # another change tells that it is there
                    await self.look()


class OverlayLab(Lab):
    """Behind host i is a container with the address 10.200.i.2, on a cable of its own with an MTU of 1500."""

    def __init__(self, family: int) -> None:
        super().__init__(secrets.token_hex(3), 3)
        self.underlay = {host: f"fd77::{host}" if family == 6 else self.address(host) for host in self.hosts}

    def container(self, host: int) -> str:
        return f"{self.name(host)}c"

    def up(self) -> None:
        super().up()
        for host in self.hosts:
            name, container = self.name(host), self.container(host)
            ip(name, "addr", "add", f"fd77::{host}/64", "dev", "eth0")
            inside(name, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            subprocess.run(["ip", "netns", "add", container], check=True, timeout=30)
            ip(name, "link", "add", "c0", "type", "veth", "peer", "name", "eth0", "netns", container)
            ip(name, "addr", "add", f"10.200.{host}.1/24", "dev", "c0")
            ip(name, "link", "set", "c0", "up")
            ip(container, "addr", "add", f"10.200.{host}.2/24", "dev", "eth0")
            ip(container, "link", "set", "eth0", "up")
            ip(container, "route", "add", "default", "via", f"10.200.{host}.1")

    def down(self) -> None:
        for host in self.hosts:
            if Path(f"/var/run/netns/{self.container(host)}").exists():
                subprocess.run(["ip", "netns", "delete", self.container(host)], check=False, timeout=30)
        super().down()

    async def ping(self, one: int, other: int, payload_bytes: int = 56) -> str:
        return await asyncio.to_thread(ping, self.container(one), f"10.200.{other}.2", payload_bytes)

    async def all_pairs_reach_each_other(self) -> None:
        for one in self.hosts:
            for other in self.hosts:
                if one != other:
                    assert await self.ping(one, other) == "reply", (one, other)


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def lab(request: pytest.FixtureRequest) -> Iterator[OverlayLab]:
    lab = OverlayLab(request.param)
    try:
        lab.up()
        yield lab
    finally:
        lab.down()


def test_containers_of_three_hosts_reach_each_other_whatever_is_done_to_the_overlay(lab):
    async def main():
        nodes = {host: Node(lab, host) for host in lab.hosts}
        runners = [asyncio.create_task(node.run()) for node in nodes.values()]
        try:
            await lab.all_pairs_reach_each_other()
            largest = nodes[1].device().mtu - 28
            assert await lab.ping(1, 2, largest) == "reply"
            assert await lab.ping(1, 2, largest + 1) == "too large"
            await somebody_changes(lab)
            await the_underlay_moves(lab, nodes)
            assert not any(runner.done() for runner in runners)
        finally:
            for runner in runners:
                runner.cancel()
            ended = await asyncio.gather(*runners, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended
        for node in nodes.values():
            await node.kernel.remove(NAME)
        assert not any(NAME in "".join(everything(lab.name(host))) for host in lab.hosts)

    asyncio.run(main())


async def somebody_changes(lab: OverlayLab) -> None:
    one = lab.name(1)
    for command in (
        ("ip", "link", "del", NAME),
        ("ip", "link", "set", NAME, "down"),
        ("ip", "route", "flush", "dev", NAME),
        ("ip", "neigh", "replace", "10.200.2.0", "lladdr", "02:00:00:00:00:99", "dev", NAME),
        ("bridge", "fdb", "replace", peer(3).mac, "dev", NAME, "dst", lab.underlay[2]),
        ("ip", "addr", "flush", "dev", NAME),
        ("ip", "link", "set", NAME, "address", "02:00:00:00:00:99"),
    ):
        inside(one, *command)
        await lab.all_pairs_reach_each_other()


async def the_underlay_moves(lab: OverlayLab, nodes: dict[int, Node]) -> None:
    """Host 2 gets another address. Its own node is told by the kernel, the others by the cluster."""
    former = lab.underlay[2]
    moved = "fd77::22" if ":" in former else "10.77.0.22"
    length = 64 if ":" in former else 24
    for node in nodes.values():
        node.told[2] = moved
    ip(lab.name(2), "addr", "del", f"{former}/{length}", "dev", "eth0")
    ip(lab.name(2), "addr", "add", f"{moved}/{length}", "dev", "eth0")
    for host in (1, 3):
        await nodes[host].look()
    await lab.all_pairs_reach_each_other()
    for host in (1, 3):
        ways = (await nodes[host].kernel.read(NAME)).forwarding
        assert {each.underlay for each in ways if each.mac == peer(2).mac} == {moved}


@pytest.fixture
def container() -> Iterator[int]:
    """A process with a network of its own, on two networks, which leaves by the second."""
    process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    try:
        own, until = Path("/proc/self/ns/net").readlink(), time.monotonic() + WAIT_S
        while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
            assert time.monotonic() < until, "the process has no network of its own"
        for name, address in (("one", "10.200.1.2/24"), ("two", "10.200.2.2/24")):
            in_container(process.pid, "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
            for each in (name, f"{name}-peer"):
                in_container(process.pid, "link", "set", each, "up")
            in_container(process.pid, "address", "add", address, "dev", name)
        in_container(process.pid, "route", "add", "default", "via", "10.200.2.1")
        yield process.pid
    finally:
        process.kill()
        process.wait(30)


def in_container(pid: int, *words: str) -> str:
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def routes_of(pid: int) -> set[str]:
    lines = in_container(pid, "route").splitlines()
    return {" ".join(line.split()[:5]) for line in lines if " via " in line}


def test_a_container_has_the_routes_that_it_is_to_have_and_keeps_its_own(container: int) -> None:
    in_container(container, "route", "add", "192.168.9.0/24", "via", "10.200.2.77")
    kernel, own = NetlinkOverlay(), {"192.168.9.0/24 via 10.200.2.77 dev two"}
    out, far = Route("0.0.0.0/0", "10.200.1.1"), Route("10.200.8.0/24", "10.200.2.1")
    further = Route("10.200.9.0/24", "10.200.1.1")
    asyncio.run(kernel.route_container(container, [far, further, out]))
    default = {"default via 10.200.1.1 dev one", "10.200.8.0/24 via 10.200.2.1 dev two"}
    assert routes_of(container) == {*own, *default, "10.200.9.0/24 via 10.200.1.1 dev one"}
    asyncio.run(kernel.route_container(container, [far, out]))
    assert routes_of(container) == {*own, *default}


def test_routes_are_refused_in_words_where_there_is_no_such_network(container: int) -> None:
    with pytest.raises(OverlayFailed, match=r"no interface of the container is on the network of 10\.200\.7\.1"):
        asyncio.run(NetlinkOverlay().route_container(container, [Route("10.200.8.0/24", "10.200.7.1")]))
    with pytest.raises(OverlayFailed, match="in this host's own network"):
        asyncio.run(NetlinkOverlay().route_container(os.getpid(), [Route("10.200.8.0/24", "10.200.7.1")]))


def test_a_container_that_has_ended_needs_no_routes() -> None:
    process = subprocess.Popen(["true"])
    process.wait(30)
    asyncio.run(NetlinkOverlay().route_container(process.pid, [Route("10.200.8.0/24", "10.200.7.1")]))
