"""What the overlay's firewall costs: the time to apply its rules, and to see that they are still as applied.

    script/bench firewall [--runs 20]

In a network namespace of its own, with nothing in it. Needs root. The event loop is free meanwhile: nft and
iptables are processes.
"""

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable

import uvloop

from orion.adapters.firewall import KernelFirewall
from orion.model.firewall import FirewallRules, NetworkRules
from support.namespaces import inside, namespaces

SIZES = ((1, 3), (1, 50), (5, 200), (32, 256))  # networks, nodes
IPTABLES = ("iptables-nft", "iptables-legacy")


def rules_for(networks: int, nodes: int) -> FirewallRules:
    made = []
    for network in range(networks):
        numbers = range(network * nodes, (network + 1) * nodes)
        subnets = tuple(f"10.{number >> 8}.{number & 255}.0/24" for number in numbers)
        made.append(NetworkRules(f"n{network}", f"orion{network}", "orion.vx", subnets[0], subnets))
    return FirewallRules("10.0.0.0/8", tuple(made))


async def timed(call: Callable[[], Awaitable[object]], runs: int) -> list[float]:
    """Milliseconds, in order."""
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        await call()
        found.append(1_000 * (time.perf_counter() - begun))
    return sorted(found)


async def measure(runs: int) -> None:
    print(f"{'':16}{'networks':>9}{'nodes':>7}{'':9}{'least':>8}{'median':>8}{'most':>8}  ms")
    for iptables in IPTABLES:
        firewall = KernelFirewall(iptables)
        for networks, nodes in SIZES:
            rules = rules_for(networks, nodes)
            calls = {"apply": lambda: firewall.apply(rules), "matches": lambda: firewall.matches(rules)}  # noqa: B023
            for name, call in calls.items():
                found = await timed(call, runs)
                figures = "".join(f"{each:8.1f}" for each in (found[0], statistics.median(found), found[-1]))
                print(f"{iptables:16}{networks:9}{nodes:7}  {name:7}{figures}")
            assert await firewall.matches(rules)
        await firewall.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with namespaces("bench") as names, inside(names["bench"]):
        uvloop.run(measure(runs))


if __name__ == "__main__":
    main()
