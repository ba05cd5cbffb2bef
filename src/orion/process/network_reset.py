"""Takes away what Orion's networks have left on a machine on which no node runs any more."""

import asyncio
import contextlib

from orion.adapters.docker import Docker
from orion.model.errors import OrionError, Refused
from orion.node.network.devices import take_away
from orion.process.network_adapters import network_adapters
from orion.process.running import find
from orion.reconcile.local_network import cluster_of, engine_name, number_of


def reset(docker_host: str) -> tuple[list[str], OrionError | None]:
    """Returns what was taken away, in words, and the first failure, which keeps nothing else from being tried.

    Raises Refused while a node runs on this machine: it would bring all of it back.
    """
    if running := find():
        raise Refused(
            f"{running[0].node} runs on this machine, and would bring its network back: stop it first, or take the"
            " network from the whole cluster with 'orion config put orion/network off'"
        )
    return asyncio.run(_reset(docker_host))


async def _reset(docker_host: str) -> tuple[list[str], OrionError | None]:
    ports, done, failures = network_adapters(), list[str](), list[OrionError]()
    async with contextlib.AsyncExitStack() as stack:
        engine = Docker(docker_host)
        stack.push_async_callback(engine.close)
        for name, number, cluster in _own(await ports.kernel.devices()):
            try:
                await take_away(engine, ports.kernel, name, cluster)
                done.append(f"network {engine_name(number)}")
            except OrionError as error:
                failures.append(error)
        if not failures:
            await ports.remove_rules()
            done.append("rules of nftables and iptables")
    return done, next(iter(failures), None)


def _own(devices: dict[str, str]) -> list[tuple[str, int, int]]:
    """Returns those that are Orion's, each with the number of its network and its cluster."""
    found = ((name, number_of(name), cluster_of(alias)) for name, alias in sorted(devices.items()))
    return [
        (name, number, cluster) for name, number, cluster in found if number is not None and cluster is not None
    ]
