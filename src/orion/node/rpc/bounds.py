"""What a peer may ask for in one request: no more than an honest node does, so that no answer is without end."""

from typing import Any

from orion.model.ids import NODE_ID
from orion.model.limits import MAX_MOUNTS
from orion.node.rpc.reads import Read
from orion.node.rpc.requests import AskConfigs, AskRaftId, Confirm, ReadLogs, Request, WatchAssignments
from orion.wire.envelopes import MAX_CALL_MS

MAX_CONFIRMED = 65_536  # allocations, and nodes: more than run on one machine
MAX_TAIL = 10**9  # lines


def request_fault(request: Request[Any]) -> str:
    """Why the request is not answered; "" when it is."""
    read = getattr(request, "read", None)
    if isinstance(read, Read) and (fault := _read_fault(read)):
        return fault
    match request:
        case AskConfigs(keys=keys) if len(keys) > MAX_MOUNTS:
            return f"{len(keys):,} configs at a time; at most {MAX_MOUNTS} are given"
        case Confirm(allocations=allocations, nodes=nodes) if max(len(allocations), len(nodes)) > MAX_CONFIRMED:
            return f"more than {MAX_CONFIRMED:,} allocations or nodes at a time"
        case WatchAssignments(node=node) | AskRaftId(node=node) if not NODE_ID.fullmatch(node):
            return "not a node's name"
        case ReadLogs(query=query) if query.tail is not None and not 0 <= query.tail <= MAX_TAIL:
            return f"the last {query.tail} lines"
    return ""


def _read_fault(read: Read) -> str:
    """Not a number compares with nothing, so it is refused as well."""
    most_s = MAX_CALL_MS / 1000
    if 0 <= read.timeout_s <= most_s and 0 <= read.wait_s <= most_s and read.after_index >= 0:
        return ""
    return f"a wait of {read.wait_s + read.timeout_s} s past {read.after_index}"
