"""Networks by name as the API asks for them: reads at a voter, changes through the log."""

from orion.model.api.network import NetworkDetailView, NetworkRequest, NetworkSummaryView
from orion.model.errors import NotFound
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.changes import Changes
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest
from orion.node.services.freshness import Freshness
from orion.node.views.render_networks import detail, summaries
from orion.ports.peers import Principal
from orion.state.tables.network_changes import CreateNetwork, RemoveNetwork

MAX_NAME = 1_024  # characters


class AskNetworks(CallRequest[list[NetworkSummaryView]], frozen=True, tag=51):
    """All networks."""

    read: Read


class AskNetworkDetail(CallRequest[NetworkDetailView], frozen=True, tag=52):
    """One network, and who is on it. NotFound when there is none of that name."""

    name: str
    read: Read

    def fault(self) -> str:
        return "" if len(self.name) <= MAX_NAME else f"a name of {len(self.name):,} characters"


class NamedNetworks:
    """Fulfils service.NetworkService."""

    def __init__(
        self, *, driver: RaftDriver, forward: Forward, registry: Registry, changes: Changes, freshness: Freshness
    ) -> None:
        self._driver = driver
        self._forward = forward
        self._changes = changes
        self._freshness = freshness
        registry.answer_call(AskNetworks, self._answer_networks)
        registry.answer_call(AskNetworkDetail, self._answer_detail)

    async def find(self, read: Read) -> list[NetworkSummaryView]:
        return await self._forward.ask(AskNetworks(read))

    async def get(self, name: str, read: Read) -> NetworkDetailView:
        return await self._forward.ask(AskNetworkDetail(name, read))

    async def create(self, request: NetworkRequest, *, idempotency_key: str, timeout_s: float) -> NetworkDetailView:
        await self._changes.make(
            lambda at_ms, key, since: CreateNetwork(at_ms, request.name, request.internal, key, since),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        return await self.get(request.name, self._changes.read_after(timeout_s))

    async def remove(self, name: str, *, idempotency_key: str, timeout_s: float) -> None:
        await self._changes.make(
            lambda at_ms, key, since: RemoveNetwork(at_ms, name, key, since),
            timeout_s,
            idempotency_key=idempotency_key,
        )

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_networks(self, request: AskNetworks, _: Principal) -> list[NetworkSummaryView]:
        await self._freshness.reached(request.read)
        return summaries(self._driver.view)

    async def _answer_detail(self, request: AskNetworkDetail, _: Principal) -> NetworkDetailView:
        await self._freshness.reached(request.read)
        found = detail(self._driver.view, request.name)
        if found is None:
            raise NotFound(f"there is no network {request.name}; orion network ls lists them")
        return found
