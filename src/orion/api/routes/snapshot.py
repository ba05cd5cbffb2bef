"""/snapshot: a backup of the whole state."""

from orion.api.http.request import MARGIN_S, Call
from orion.api.http.stream import Stream
from orion.api.params import STALE
from orion.node.rpc.reads import Read


async def save(call: Call) -> Stream:
    read = Read(stale=call[STALE], timeout_s=call.timeout_s)
    # Until the first piece is there it may yet fail, and say why.
    patience_s = call.timeout_s + MARGIN_S
    return Stream(call.limits, call.service.backup(read), "application/octet-stream", patience_s=patience_s)
