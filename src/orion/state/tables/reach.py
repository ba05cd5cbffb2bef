"""Events about nodes that do not reach each other by the cluster's own network. It has no rows."""

from orion.model.ids import NodeId
from orion.model.levels import since
from orion.state.core.command import Command, command
from orion.state.core.faults import first, node_fault, outside
from orion.state.core.step import Step
from orion.state.records import Tables

MAX_PEERS = 64
MAX_REASON_CHARS = 400
_NAMED = 3


@since(2)
class TellReach(Command, frozen=True, array_like=True, tag=43):
    """The node does not reach these others by the network, or again: they are `lost` or not. `reason` is for
    people.
    """

    node: NodeId
    peers: tuple[NodeId, ...]
    lost: bool
    reason: str = ""


def _fault(told: TellReach) -> str:
    return first(
        (
            outside("peers", len(told.peers), MAX_PEERS),
            outside("reason", len(told.reason), MAX_REASON_CHARS),
            *map(node_fault, (told.node, *told.peers)),
        )
    )


@command(TellReach, fault=_fault)
def tell_reach(state: Tables, step: Step, told: TellReach) -> None:
    if told.node not in state.nodes or not told.peers:
        return
    more = len(told.peers) - _NAMED
    names = ", ".join(told.peers[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    if told.lost:
        step.tell(
            "NetworkPeerLost",
            told.node,
            f"{told.node} does not reach {names} by the cluster's network: {told.reason}",
        )
    else:
        step.tell("NetworkPeerReached", told.node, f"{told.node} reaches {names} by the cluster's network again")


COMMANDS = (tell_reach,)
