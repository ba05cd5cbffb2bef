"""A hook: a container that has an address of the cluster's own network is attached there. Where the network can't
be brought up that is a failure of the start, so that another node has its turn.
"""

from typing import Protocol

from msgspec.structs import replace

from orion.model.container import Attachment
from orion.model.dns import DOMAIN
from orion.model.errors import EngineError
from orion.model.network import address_text
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest


class LocalNetwork(Protocol):
    """This node's part of the cluster's network. `name`: the engine's for it, "" while it is not up. `why`: why.
    `dns`: the address of this node's DNS server there.
    `wanted`: false once the network has been switched off; what has an address and did not start yet has none then.
    """

    name: str
    why: str
    dns: str

    @property
    def wanted(self) -> bool: ...


class ClusterNetworkAttachment:
    name = "cluster network"

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        if not start.allocation.ip or start.container or not self._network.wanted:
            return prepared
        if not self._network.name and self._network.why:
            raise EngineError(f"this node's part of the cluster's network is not up: {self._network.why}")
        if not self._network.name:
            raise NotYet("waits until this node's part of the cluster's network is up")
        name, dns, address = self._network.name, self._network.dns, address_text(start.allocation.ip)
        return replace(prepared, attach=Attachment(name, address, dns, DOMAIN if dns else ""))
