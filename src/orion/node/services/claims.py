"""Claims to volumes of storage systems, as nodes that act on them ask for them."""

from orion.model.claims import ClaimedVolume
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.plugin_calls import AskClaim, AskWait
from orion.node.rpc.registry import Registry
from orion.node.services.freshness import Freshness
from orion.node.views.render_claims import claim_wait
from orion.ports.peers import Principal
from orion.state.tables.claims import Claims as Table
from orion.state.tables.volumes import Volumes


class Claims:
    def __init__(self, *, driver: RaftDriver, registry: Registry, freshness: Freshness) -> None:
        self._driver = driver
        self._freshness = freshness
        registry.answer_call(AskClaim, self._answer_claim)
        registry.answer_call(AskWait, self._answer_wait)

    async def _answer_claim(self, request: AskClaim, _: Principal) -> ClaimedVolume | None:
        await self._freshness.reached(request.read)
        view = self._driver.view
        claim, volume = view.of(Table).get((request.volume, request.node)), view.of(Volumes).get(request.volume)
        return ClaimedVolume(claim, volume) if claim is not None and volume is not None else None

    async def _answer_wait(self, request: AskWait, _: Principal) -> str:
        await self._freshness.reached(request.read)
        return claim_wait(self._driver.view, request.volume, request.node)
