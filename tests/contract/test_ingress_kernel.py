"""What every `Ingress` must do, on the kernel here and the simulator's in tests/sim; and what only the kernel has.
Packets are in test_ingress_packets.py.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import uvloop

from contract.kernel_part import DEADLINE_S, KernelPartContract, PartBench, changes_of, checked, told
from orion.adapters.ingress import KernelIngress
from orion.model.ingress import Backend, IngressNetwork, IngressPeer, IngressPort, IngressRules
from support.namespaces import inside, namespaces, run_in, run_ip
from support.overlay import whole_firewall

PEERS = tuple(IngressPeer(f"02:4f:52:00:00:{number:02x}", f"10.200.{number}.0") for number in (2, 3))
NETWORK = IngressNetwork("orion0", "orion.vx", "10.200.1.0/24", PEERS)


def backends(count: int, first: int = 2) -> tuple[Backend, ...]:
    return tuple(Backend(0x0AC80100 + host, 80) for host in range(first, first + count))


WEB, DNS = IngressPort(80, "tcp", False, backends(3)), IngressPort(53, "udp", False, backends(2))
RULES = IngressRules("10.200.0.0/16", (NETWORK,), ("192.0.2.2", "fe80::1"), (WEB, DNS))
changed = msgspec.structs.replace
# Each differs from the one before in one respect.
OTHERS = {
    "another backend": changed(RULES, ports=(changed(WEB, backends=backends(3, 3)), DNS)),
    "one backend less": changed(RULES, ports=(changed(WEB, backends=backends(2)), DNS)),
    "more backends than usual": changed(RULES, ports=(changed(WEB, backends=backends(20)), DNS)),
    "no backend": changed(RULES, ports=(changed(WEB, backends=()), DNS)),
    "a sticky port": changed(RULES, ports=(changed(WEB, sticky=True), DNS)),
    "a sticky port with many backends": changed(
        RULES, ports=(changed(WEB, sticky=True, backends=backends(20)), DNS)
    ),
    "one port less": changed(RULES, ports=(WEB,)),
    "another protocol": changed(RULES, ports=(changed(WEB, protocol="udp"), DNS)),
    "one node less": changed(RULES, networks=(changed(NETWORK, peers=PEERS[:1]),)),
    "another MAC": changed(
        RULES, networks=(changed(NETWORK, peers=(changed(PEERS[0], mac="02:00:00:00:00:09"),)),)
    ),
    "another host": changed(RULES, hosts=("192.0.2.3",)),
    "no other node": changed(RULES, networks=(changed(NETWORK, peers=()),)),
    "nothing": IngressRules("10.200.0.0/16"),
}
ONE, NONE = OTHERS["one port less"], OTHERS["nothing"]


class IngressContract(KernelPartContract):
    rules, others, none = RULES, tuple(OTHERS.values()), NONE

    @checked
    async def test_the_order_of_ports_and_backends_is_of_no_matter(self, bench: PartBench) -> None:
        await bench.part().apply(RULES)
        other = changed(RULES, ports=(DNS, changed(WEB, backends=WEB.backends[::-1])))
        assert await bench.part().matches(other)

    @checked
    async def test_where_there_is_no_connection_none_is_cut(self, bench: PartBench) -> None:
        ingress = bench.part()
        assert await ingress.cut(backends(3)) == 0
        await ingress.apply(RULES)
        assert await ingress.cut(()) == 0

    @checked
    async def test_where_no_program_listens_none_is_found(self, bench: PartBench) -> None:
        assert await bench.part().listeners(RULES.ports) == ()


# --- the kernel --------------------------------------------------------------------------------------------


class KernelBench:
    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(120):
                await check()

        with inside(self.namespace), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    def part(self) -> KernelIngress:
        return KernelIngress()

    def harms(self) -> tuple[Callable[[], None], ...]:
        return (self.flush,)

    def flush(self) -> None:
        self.do("nft flush ruleset")

    def do(self, words: str) -> str:
        return run_in(self.namespace, *words.split())

    def whole(self) -> list[str]:
        """All that may be left behind."""
        routes = self.do("ip route show table all") + self.do("ip rule") + self.do("bridge -d link")
        return [
            *whole_firewall(self.namespace),
            *routes.splitlines(),
            *self.do("sysctl -a --pattern net.ipv4").splitlines(),
        ]


@pytest.fixture
def bench() -> Iterator[KernelBench]:
    with namespaces("ingress") as names:
        name = names["ingress"]
        run_in(name, "sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1")  # its addresses come late
        run_ip(
            name,
            "link add orion0 type bridge",
            "addr add 10.200.1.1/24 dev orion0",
            "link set orion0 up",
            "link add orion.vx type vxlan id 4200 dstport 8472 local 127.0.0.1 nolearning",
            "addr add 10.200.1.0/32 dev orion.vx",
            "link set orion.vx up",
            "link add port0 type veth peer name peer0",
            "link set peer0 up",
            "link set port0 master orion0 up",
        )
        yield KernelBench(name)


@pytest.mark.root
class TestKernel(IngressContract):
    pass


# Each leaves the kernel other than it was applied.
TAMPERING = {
    "a table taken away": "nft delete table ip orion_ingress",
    "a table emptied": "nft flush table ip orion_ingress",
    "a chain emptied": "nft flush chain ip orion_ingress sources",
    "a chain that chooses emptied": "nft flush chain ip orion_ingress spread_3",
    "a rule that lets all pass": "nft insert rule ip orion_ingress published accept",
    "a rule at the end": "nft add rule ip orion_ingress returns accept",
    "a chain of somebody's": "nft add chain ip orion_ingress theirs",
    "another policy": "nft add chain ip orion_ingress returns { policy drop ; }",
    "no ports": "nft flush map ip orion_ingress services",
    "no backends": "nft flush map ip orion_ingress backends",
    "one backend": "nft delete element ip orion_ingress backends { tcp . 80 . 0 }",
    "a backend of somebody's": "nft add element ip orion_ingress backends { tcp . 80 . 9 : 10.200.1.9 . 80 }",
    "a port of somebody's": "nft add element ip orion_ingress services { tcp . 81 : accept }",
    "another rule of routing": "ip rule del priority 4200",
    "a way back": "ip rule del priority 4201",
    "where marks are skipped to": "ip rule del priority 4202",
    "a rule for somebody's mark": "ip rule add priority 4201 iif orion0 fwmark 0x0f010009 lookup 9 protocol 79",
    "one twice": "ip rule add priority 4201 iif orion0 fwmark 0x0f010009 lookup 9 protocol 79",
    "all rules of routing": "ip rule flush protocol 79",
    "a route": "ip route flush table 180879872",
    "another route": "ip route replace default via 10.200.3.0 dev orion.vx onlink table 180879872 protocol 79",
}
# What nobody tells.
SYSCTLS = {
    "localhost": "sysctl -w net/ipv4/conf/orion.vx/route_localnet=0",
    "localhost to the bridge": "sysctl -w net/ipv4/conf/orion0/route_localnet=0",
    "sources": "sysctl -w net/ipv4/conf/orion.vx/rp_filter=1",
    "a port that does not send back": "bridge link set dev port0 hairpin off",
}


@pytest.mark.root
@pytest.mark.parametrize("how", TAMPERING | SYSCTLS)
def test_tampering_is_seen_and_put_right(bench: KernelBench, how: str) -> None:
    bench.do("sysctl -w net/bridge/bridge-nf-call-iptables=1 net/ipv4/conf/all/rp_filter=1")

    async def check() -> None:
        ingress = bench.part()
        await ingress.apply(RULES)
        before = bench.whole()
        async with changes_of(ingress) as changes:
            bench.do((TAMPERING | SYSCTLS)[how])
            if how in TAMPERING:
                await told(changes)
        assert not await ingress.matches(RULES)
        await ingress.apply(RULES)
        assert await ingress.matches(RULES)
        assert sorted(bench.whole()) == sorted(before)

    bench.run(check)


@pytest.mark.root
def test_what_another_version_left_is_made_anew(bench: KernelBench) -> None:
    async def check() -> None:
        bench.do("nft add table ip orion_ingress")
        bench.do("nft add map ip orion_ingress backends { type ipv4_addr : verdict ; }")
        await bench.part().apply(RULES)
        assert await bench.part().matches(RULES)

    bench.run(check)


@pytest.mark.root
def test_removed_nothing_is_left(bench: KernelBench) -> None:
    bench.do("sysctl -w net/bridge/bridge-nf-call-iptables=0")  # else a port of the bridge stays changed
    bench.do("sysctl -w net/ipv4/conf/default/rp_filter=1 net/ipv4/conf/all/rp_filter=1")
    bench.do("sysctl -w net/ipv4/conf/orion.vx/rp_filter=1")
    bench.do("ip rule add priority 4300 fwmark 1 lookup 9")
    bench.do("nft add table ip somebodys")

    async def check() -> None:
        found = bench.whole()
        for rules in (RULES, *OTHERS.values(), RULES):
            await bench.part().apply(rules)
        assert bench.whole() != found
        await bench.part().remove()
        assert bench.whole() == found

    bench.run(check)


@pytest.mark.root
def test_a_device_that_is_not_there_is_named(bench: KernelBench) -> None:
    async def check() -> None:
        bench.do("ip link del orion.vx")
        with pytest.raises(Exception, match=r"the device that leads to 10\.200\..\.0 is not there"):
            await bench.part().apply(RULES)
        await bench.part().remove()

    bench.run(check)


@pytest.mark.root
def test_changes_of_others_are_not_told(bench: KernelBench) -> None:
    async def check() -> None:
        ingress = bench.part()
        await ingress.apply(RULES)
        async with changes_of(ingress) as changes:
            waiting = asyncio.ensure_future(anext(changes))
            bench.do("nft add table ip orion")
            bench.do("ip rule add priority 4300 fwmark 1 lookup 9")
            bench.do("ip route add 192.0.2.0/24 dev orion0")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await asyncio.shield(waiting)
            bench.do("ip rule del priority 4200")
            async with asyncio.timeout(DEADLINE_S):
                await waiting

    bench.run(check)


@pytest.mark.root
def test_others_who_change_nftables_meanwhile_do_no_harm(bench: KernelBench) -> None:
    async def check() -> None:
        ingress = bench.part()
        await ingress.apply(RULES)
        for number in range(10):
            bench.do(f"nft add table ip theirs{number}")
            await ingress.apply(ONE if number % 2 else RULES)
        assert await bench.part().matches(ONE)

    bench.run(check)


@pytest.mark.root
@pytest.mark.parametrize("call", ["apply(RULES)", "matches(RULES)", "remove()", "cut(backends(1))"])
def test_without_the_right_to_it_says_what_to_do(call: str) -> None:
    program = f"""
import asyncio
from contract.test_ingress_kernel import RULES, KernelIngress, backends
from orion.ports.ingress import IngressFailed
try:
    asyncio.run(KernelIngress().{call})
except IngressFailed as failed:
    print(failed.detail)
"""
    here = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{here / 'src'}:{here / 'tests'}"}
    words = ["setpriv", "--bounding-set", "-net_admin", sys.executable, "-c", program]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=30, env=environment)
    assert "run orion as root, or with CAP_NET_ADMIN" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.root
def test_programs_that_listen_on_published_ports_are_found(bench: KernelBench) -> None:
    """By the addresses that a connection may be to, with the names of the programs; this one's own are left out."""
    given = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::"), (socket.AF_INET6, "::1"))

    async def check() -> None:
        with contextlib.ExitStack() as stack, contextlib.ExitStack() as sockets:
            held: list[int] = []
            for number, (family, address) in enumerate(given):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    made = sockets.enter_context(socket.socket(family, kind))
                    made.bind((address, 8_080 + number))
                    if kind == socket.SOCK_STREAM:
                        made.listen()
                    held.append(made.fileno())
            ports = [IngressPort(8_080 + number, protocol) for number in range(3) for protocol in ("tcp", "udp")]
            assert await bench.part().listeners(ports) == ()
            other = await asyncio.to_thread(subprocess.Popen, ["sleep", "60"], pass_fds=held)
            stack.callback(other.wait)
            stack.callback(other.kill)
            sockets.close()
            found = await bench.part().listeners(ports)
            assert {each.program for each in found} == {"sleep"}
            assert {(each.port, each.protocol, each.address) for each in found} == {
                (8_080, "tcp", "127.0.0.1"),
                (8_080, "udp", "127.0.0.1"),
                (8_081, "tcp", "::"),
                (8_081, "udp", "::"),
            }
            assert len(await bench.part().listeners(ports[:1])) == 1

    bench.do("sysctl -w net.ipv6.conf.all.disable_ipv6=0")
    bench.run(check)
