"""What the network's check costs: probes of all other nodes, and a look at one that does not answer.

    script/bench network_check [--peers 199] [--runs 5]

All nodes are addresses of the loopback, which one process answers for. So what a network adds is missing, and what
both ends compute is counted together. Needs root, for a namespace of its own.
"""

import argparse
import asyncio
import resource
import statistics
import time

import uvloop

from orion.adapters.reach import SocketReach
from orion.model.reach import SMALL_BYTES, Way
from orion.node.network.reachability import AT_ONCE, ECHO_S, TCP_S, TRIES
from support.namespaces import inside, namespaces

ME = "127.9.0.1"
FULL_BYTES = 1_450


async def probe(reach: SocketReach, peer: str) -> bool:
    """As Reachability does; the bridge's address is the peer's own."""
    small = await reach.echo(ME, peer, SMALL_BYTES, tries=TRIES, within_s=ECHO_S)
    full, tcp, bridge = await asyncio.gather(
        reach.echo(ME, peer, FULL_BYTES, tries=TRIES, within_s=ECHO_S),
        reach.transfer(ME, peer, within_s=TCP_S),
        reach.echo(ME, peer, SMALL_BYTES, tries=TRIES, within_s=ECHO_S),
    )
    return bool(small.us and full.us and tcp and bridge.us)


async def measure(peers: int, runs: int) -> None:
    reach = SocketReach(8472)
    addresses = [f"127.9.1.{number}" for number in range(1, peers + 1)]
    serving = asyncio.create_task(reach.serve(addresses, lambda: {ME}))
    await asyncio.sleep(0.1)
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(peer: str) -> bool:
        async with turn:
            return await probe(reach, peer)

    took, spent = [], []
    for _ in range(runs):
        begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        found = await asyncio.gather(*map(one, addresses))
        took.append(1_000 * (time.perf_counter() - begun))
        now = resource.getrusage(resource.RUSAGE_SELF)
        spent.append(1_000 * (now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime))
        assert all(found), f"{found.count(False)} of {peers} peers did not answer"
    print(f"{peers} peers: {statistics.median(took):.0f} ms, {statistics.median(spent):.0f} ms of a processor;")
    print(f"  for each {1_000 * statistics.median(spent) / peers:.0f} us of a processor, both ends together")
    begun, used = time.perf_counter(), time.process_time()
    await reach.listen(Way(addresses[0], ME, addresses[0], ME), "lo", within_s=1.5)
    ms = 1_000 * (time.process_time() - used)
    print(f"a witness: {time.perf_counter() - begun:.2f} s, {ms:.1f} ms of a processor")
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=199)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with namespaces("check") as made, inside(made["check"]):
        uvloop.run(measure(arguments.peers, arguments.runs))


if __name__ == "__main__":
    main()
