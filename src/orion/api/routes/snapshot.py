"""/snapshot: a backup of the whole state."""

from orion.api.endpoint import Routes, Scope
from orion.api.http.request import MARGIN_S, Call
from orion.api.http.stream import Stream
from orion.api.params import STALE, TIMEOUT
from orion.node.rpc.reads import Read

routes = Routes()


@routes.add(
    "GET",
    "/snapshot",
    "A backup of the whole state: what 'orion snapshot save' writes to a file",
    Scope.ADMIN,
    params=(STALE, TIMEOUT),
    media="application/octet-stream",
    goes_on=True,
)
async def save(call: Call) -> Stream:
    read = Read(stale=call[STALE], timeout_s=call.timeout_s)
    # Until the first piece is there it may yet fail, and say why.
    patience_s = call.timeout_s + MARGIN_S
    return Stream(call.limits, call.service.backup(read), "application/octet-stream", patience_s=patience_s)
