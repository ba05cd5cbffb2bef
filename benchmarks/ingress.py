"""What published ports cost: the time to have all of them in the kernel, to change one, and to look at them.

    script/bench ingress [--runs 20]

In a network namespace of its own, with nothing else in it. Needs root. `own` is the CPU time of this process,
`loop` how long its event loop was held at most, in CPU time. Netlink is for threads, and nft is a process.
"""

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import uvloop

from orion.adapters.ingress import KernelIngress
from orion.model.ingress import Backend, IngressNetwork, IngressPeer, IngressPort, IngressRules
from support.namespaces import inside, namespaces, run_in, run_ip

FIRST = 0x0AC80000  # 10.200.0.0
SIZES = ((10, 3, 5), (500, 10, 5), (500, 10, 200))  # ports, backends of each, nodes
TICK_S = 0.001


def rules_for(ports: int, backends: int, nodes: int, *, sticky: bool) -> IngressRules:
    peers = tuple(IngressPeer(f"02:4f:52:00:00:{node:02x}", f"10.200.{node}.0") for node in range(2, nodes + 1))
    network = IngressNetwork("orion0", "orion.vx", "10.200.1.0/24", peers)
    made = []
    for port in range(ports):
        first = FIRST + 300 + port * backends
        ends = tuple(Backend(ip, 80) for ip in range(first, first + backends))
        made.append(IngressPort(10_000 + port, "tcp", sticky, ends))
    hosts = tuple(f"192.168.{node >> 8}.{node & 255}" for node in range(2, nodes + 1))
    return IngressRules("10.200.0.0/16", (network,), hosts, tuple(made))


def with_another(rules: IngressRules, number: int) -> IngressRules:
    """One backend of one port is another one; the count stays, as in a rolling update."""
    port = rules.ports[number % len(rules.ports)]
    other = msgspec.structs.replace(port, backends=(Backend(FIRST + 60_000 + number, 80), *port.backends[1:]))
    ports = tuple(other if each is port else each for each in rules.ports)
    return msgspec.structs.replace(rules, ports=ports)


class Held:
    """The longest turn of the loop, in its own CPU time."""

    def __init__(self) -> None:
        self.longest_ms = 0.0

    async def watch(self) -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(TICK_S)
            self.longest_ms = max(self.longest_ms, 1_000 * (time.thread_time() - begun))


@contextlib.asynccontextmanager
async def held() -> AsyncIterator[Held]:
    found = Held()
    watch = asyncio.create_task(found.watch())
    try:
        yield found
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def timed(name: str, call: Callable[[int], Awaitable[object]], runs: int) -> None:
    found, own = [], []
    async with held() as loop:
        for number in range(runs):
            begun, begun_own = time.perf_counter(), time.process_time()
            await call(number)
            found.append(1_000 * (time.perf_counter() - begun))
            own.append(1_000 * (time.process_time() - begun_own))
    figures = (min(found), statistics.median(found), max(found), statistics.median(own), loop.longest_ms)
    print(f"  {name:34}" + "".join(f"{each:8.1f}" for each in figures), flush=True)


async def measure_size(rules: IngressRules, runs: int) -> None:
    ingress = KernelIngress()

    async def from_nothing(_: int) -> None:
        await ingress.remove()
        await ingress.apply(rules)

    async def one(number: int) -> None:
        await ingress.apply(with_another(rules, number))

    async def after_a_restart(_: int) -> None:
        await KernelIngress().apply(rules)

    async def another_node(number: int) -> None:
        hosts = (*rules.hosts, f"192.0.2.{number % 200 + 1}")
        await ingress.apply(msgspec.structs.replace(rules, hosts=hosts))

    await timed("remove and apply all", from_nothing, max(3, runs // 4))
    await timed("apply, one backend is another", one, runs)
    await ingress.apply(rules)
    await timed("apply, nothing has changed", lambda _: ingress.apply(rules), runs)
    await timed("matches, nobody was there", lambda _: ingress.matches(rules), runs)
    await timed("matches, in a new process", lambda _: KernelIngress().matches(rules), runs)
    await timed("apply, in a new process", after_a_restart, runs)
    await timed("apply, with another node", another_node, max(3, runs // 4))
    assert not await ingress.matches(rules)
    await ingress.apply(rules)
    assert await ingress.matches(rules)
    await ingress.remove()


async def measure(runs: int) -> None:
    print(f"{'':36}{'least':>8}{'median':>8}{'most':>8}{'own':>8}{'loop':>8}  ms")
    for sticky in (False, True):
        for ports, backends, nodes in SIZES:
            print(f"{ports} {'sticky ' if sticky else ''}ports of {backends} backends, {nodes} nodes")
            await measure_size(rules_for(ports, backends, nodes, sticky=sticky), runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with namespaces("bench") as names, inside(names["bench"]):
        run_in(names["bench"], "sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1")
        run_ip(
            names["bench"],
            "link add orion0 type bridge",
            "addr add 10.200.1.1/24 dev orion0",
            "link set orion0 up",
            "link add orion.vx type vxlan id 4200 dstport 8472 local 127.0.0.1 nolearning",
            "addr add 10.200.1.0/32 dev orion.vx",
            "link set orion.vx up",
        )
        uvloop.run(measure(runs))


if __name__ == "__main__":
    main()
