"""Claims in words for people: why a node does not have a volume of a storage system yet, and until when."""

from orion.model.claims import SLACK_MS, Claim, ClaimPhase, access_of, excludes, only_reads
from orion.model.ids import NodeId
from orion.model.node import NodeStatus
from orion.model.times import time_of_day
from orion.model.volumes import Volume
from orion.state.tables.claims import Claims
from orion.state.tables.volumes import Volumes
from orion.state.view import View


def claim_wait(view: View, name: str, node: NodeId) -> str:
    """Returns words that follow "waits for its volume data:"."""
    volume = view.of(Volumes).get(name)
    if volume is None or volume.system is None:
        return "there is no such volume of a storage system any more"
    if volume.system.removing:
        return "it is being removed"
    if not volume.data:
        return f"plugin {volume.driver} makes it{_because(volume.system.why)}"
    claims = view.of(Claims).of_volume(name)
    if only_reads(access_of(volume)) and not claims:
        return f"it is {access_of(volume).value}, so tasks have to mount it read-only: {name}:/PATH:ro"
    mine = next((each for each in claims if each.node == node), None)
    if mine is not None:
        return _own(volume, mine)
    mode = access_of(volume)
    for other in claims:
        if excludes(mode, read_only=False, other_read_only=other.read_only):
            return _others(view, volume, other)
    if (row := view.node(node)) is None or (plugin := row.plugin(volume.driver)) is None or not plugin.node:
        return f"plugin {volume.driver} does not work on {node}"
    return f"the cluster gives it to {node}"


def holder_wait(view: View, claim: Claim) -> str:
    """Returns what a claim waits for: its last failure, or that its node is down; "" for nothing."""
    node = view.node(claim.node)
    if claim.phase is ClaimPhase.UNPUBLISHING or node is None or node.status is not NodeStatus.DOWN:
        return claim.why
    if (until_ms := release_ms(view, claim)) is not None:
        return f"{claim.node} is down, and its tasks end there by {time_of_day(until_ms)}"
    return (
        f"{claim.node} is down, and its tasks there may go on without the cluster: start {claim.node} again, or"
        f" 'orion nodes rm {claim.node}' says that it never returns"
    )


def release_ms(view: View, claim: Claim) -> int | None:
    """Returns when a dead node's claim ends at the latest, if the cluster keeps its leader: Unix ms; None where it
    takes a word of that node or of a person.
    """
    node = view.node(claim.node)
    if node is None or node.status is not NodeStatus.DOWN or not claim.stop_after_ms:
        return None
    return node.changed_at_ms + claim.stop_after_ms + SLACK_MS


def _own(volume: Volume, claim: Claim) -> str:
    if claim.phase is ClaimPhase.PUBLISHING:
        return f"plugin {volume.driver} gives it to {claim.node}{_because(claim.why)}"
    if claim.phase is ClaimPhase.PUBLISHED:
        return f"{claim.node} has not heard yet that it has it"
    return f"{claim.node} gives it back first{_because(claim.why)}"


def _others(view: View, volume: Volume, claim: Claim) -> str:
    node = view.node(claim.node)
    if claim.phase is ClaimPhase.UNPUBLISHING:
        return f"plugin {volume.driver} takes it from {claim.node}{_because(claim.why)}"
    if node is not None and node.status is NodeStatus.DOWN:
        return holder_wait(view, claim)
    return f"{claim.node} has it still{_because(claim.why)}"


def _because(why: str) -> str:
    return f" ({why})" if why else ""
