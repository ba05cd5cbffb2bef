"""Hooks: a container that has addresses on the cluster's networks is attached there, and starts only once this
node's kernel keeps from it whom its job does not allow. Where that can't be had it is a failure of the start, so
that another node has its turn.
"""

from typing import Protocol

from msgspec.structs import replace

from orion.model.allocation import Allocation
from orion.model.container import Attachment
from orion.model.dns import DOMAIN
from orion.model.errors import EngineError
from orion.model.network import address_text
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest
from orion.reconcile.local_network import LocalPart


class LocalNetworks(Protocol):
    """This node's part of the cluster's networks. `why`: why it is not as it should be.

    `wanted`: false once the network has been switched off; what has an address and did not start yet has none then,
    unless its job needs the network.
    """

    why: str

    @property
    def wanted(self) -> bool: ...

    def part_at(self, address: int) -> LocalPart | None:
        """Returns the network that has the address, None while it is not up."""

    def dns(self, part: LocalPart) -> str:
        """Returns the address of this node's DNS server there; "" while there is none."""

    async def connect(self, container: str, attach: Attachment) -> None: ...

    async def route(self, container: str, allocation: Allocation) -> None: ...


class ClusterNetworkAttachment:
    name = "cluster network"

    def __init__(self, network: LocalNetworks) -> None:
        self._network = network

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        allocation, needed = start.allocation, start.spec.needs_addresses
        if not needed and (not allocation.ip or not self._network.wanted):
            return prepared
        if start.container and (start.ran or not allocation.more_ips):
            return prepared
        attach = self._attachment(start)
        if start.container:  # a former process may have died before it was on all of its networks
            await self._network.connect(start.container, attach)
            return prepared
        return replace(prepared, attach=attach)

    async def poststart(self, start: StartRequest) -> None:
        if start.allocation.more_ips:
            await self._network.route(start.container, start.allocation)

    def _attachment(self, start: StartRequest) -> Attachment:
        allocation, names = start.allocation, start.spec.network_names
        given = (allocation.ip, *allocation.more_ips)
        lacking = [name for name, ip in zip(names, given, strict=False) if not ip] or names[len(given) :]
        if lacking:
            raise EngineError(f"this node has no address left on network {', '.join(lacking)}")
        if not self._network.wanted:
            raise EngineError("the cluster's network is off: orion config put orion/network 10.200.0.0/16")
        parts = [part for ip in given if (part := self._network.part_at(ip)) is not None]
        if len(parts) < len(given) and self._network.why:
            raise EngineError(f"this node's part of the cluster's network is not up: {self._network.why}")
        if len(parts) < len(given):
            raise NotYet("waits until this node's part of the cluster's network is up")
        places = [(part.engine.name, address_text(ip)) for part, ip in zip(parts, given, strict=True)]
        dns = self._network.dns(parts[0])
        return Attachment(*places[0], dns, DOMAIN if dns else "", tuple(places[1:]))


class Guards(Protocol):
    """`why`: why this node's kernel is not as it should be; "" when it is, or nobody knows yet."""

    why: str

    def guards(self, allocation: Allocation) -> bool: ...


class GuardBeforeStart:
    name = "guard"

    def __init__(self, guards: Guards) -> None:
        self._guards = guards

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        if not start.spec.allow_from or self._guards.guards(start.allocation):
            return prepared
        if not start.allocation.ip:
            raise EngineError(
                "this node has no address left for it, without which nobody is kept from it (allowFrom)"
            )
        if self._guards.why:
            raise EngineError(f"this node can't keep others from it (allowFrom): {self._guards.why}")
        raise NotYet("waits until this node keeps others from it (allowFrom)")
