"""The agent's question before it starts or removes anything: is that still so, by what a quorum has agreed on?"""

import msgspec

from orion.model.ids import AllocationId, NodeId
from orion.model.node import NodeStatus
from orion.node.consensus.driver import RaftDriver
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest
from orion.node.runtime.deadline import deadline
from orion.ports.peers import Principal
from orion.state.view import View

MAX_CONFIRMED = 65_536  # allocations, and nodes: more than run on one machine
TIMEOUT_S = 3.0


class Confirmed(msgspec.Struct, frozen=True, array_like=True):
    wanted: tuple[AllocationId, ...]
    gone: tuple[NodeId, ...]


class Confirm(CallRequest[Confirmed], frozen=True, tag=8):
    """Linearizable: which of these allocations are still wanted, and which of these nodes are down or gone?"""

    allocations: tuple[AllocationId, ...]
    nodes: tuple[NodeId, ...]

    def fault(self) -> str:
        if max(len(self.allocations), len(self.nodes)) > MAX_CONFIRMED:
            return f"more than {MAX_CONFIRMED:,} allocations or nodes at a time"
        return ""


def answer_confirms(registry: Registry, driver: RaftDriver) -> None:
    async def confirm(request: Confirm, _: Principal) -> Confirmed:
        async with deadline(TIMEOUT_S, "no quorum answers"):
            await driver.read_barrier()
        return confirmed(driver.view, request)

    registry.answer_call(Confirm, confirm)


def confirmed(view: View, request: Confirm) -> Confirmed:
    """The answer from applied state; the caller has made sure that it is fresh."""
    wanted = tuple(
        a
        for a in request.allocations
        if (found := view.allocation(a)) is not None and found.wanted and not found.terminal
    )
    gone = tuple(n for n in request.nodes if (known := view.node(n)) is None or known.status is NodeStatus.DOWN)
    return Confirmed(wanted, gone)
