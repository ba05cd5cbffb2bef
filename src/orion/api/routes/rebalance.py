"""/rebalance: tasks from full nodes to empty ones."""

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import TIMEOUT
from orion.model.api.rebalance import MAX_MOVES, RebalanceRequest, RebalanceView
from orion.model.errors import FieldError, Invalid

routes = Routes()


@routes.add(
    "POST",
    "/rebalance",
    "Move tasks from full nodes to empty ones, or show which would move",
    Scope.ADMIN,
    params=(TIMEOUT,),
    body=RebalanceRequest,
    answer=RebalanceView,
)
async def rebalance(call: Call) -> Response:
    asked = await call.optional_body(RebalanceRequest, '{"dryRun": true}')
    if not 1 <= asked.max_moves <= MAX_MOVES:
        raise Invalid((FieldError("/maxMoves", f"maxMoves is {asked.max_moves:,}: give 1 to {MAX_MOVES:,}"),))
    work = call.service.rebalance(dry_run=asked.dry_run, max_moves=asked.max_moves, timeout_s=call.timeout_s)
    return json(await call.within(work))
