"""Why one node does not reach another by the cluster's own network: from what both see, the hop that fails.

The rules are a table: the first that holds is the verdict. They go from what is certain, a kernel that has not
what it should, to what is left when all else works.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from orion.model.ids import NodeId
from orion.model.overlay import OverlayState, Peer
from orion.model.reach import MAX_WORDS_CHARS, Arrivals, Cause, Evidence, Verdict, Witness
from orion.reconcile.local_network import PORT, LocalPart
from orion.reconcile.overlay import (
    AddAddress,
    AddRoute,
    CreateDevice,
    RemoveRoute,
    SetDevice,
    SetForwarding,
    SetNeighbour,
    Step,
    steps,
)

# --- a kernel that has not what it should -------------------------------------------------------------------


def kernel_faults(local: LocalPart, state: OverlayState, peer: Peer) -> tuple[str, ...]:
    """Returns, in words, what keeps this kernel from sending to the peer and from answering it."""
    wanted = steps(local.device, local.peers, state)
    found = (_FAULTS[type(step)](step, local, state, peer) for step in wanted if type(step) in _FAULTS)
    return tuple(filter(None, found))


def _of_create(_: CreateDevice, local: LocalPart, state: OverlayState, _peer: Peer) -> str:
    name = local.device.name
    if state.device is None:
        return f"the device {name} is not there"
    return f"the device {name} is another one than it should be (VNI, port, local address, MAC or learning)"


def _of_device(step: SetDevice, _: LocalPart, state: OverlayState, _peer: Peer) -> str:
    found = state.device
    if found is None:
        return ""  # it is made anew, which is said
    if not found.up:
        return f"the device {step.device} is down"
    return f"{step.device} has the MTU {found.mtu} and not {step.mtu}" if found.mtu != step.mtu else ""


def _of_address(step: AddAddress, *_: object) -> str:
    return f"{step.device} has not the address {step.address}"


def _of_neighbour(step: SetNeighbour, _: LocalPart, state: OverlayState, peer: Peer) -> str:
    if step.neighbour.address != peer.gateway:
        return ""
    other = next((each.mac for each in state.neighbours if each.address == peer.gateway), "")
    wrong = f"is for {other} and not {peer.mac}" if other else "is missing"
    return f"the neighbour entry of {peer.gateway} {wrong}"


def _of_forwarding(step: SetForwarding, _: LocalPart, state: OverlayState, peer: Peer) -> str:
    if step.forwarding.mac != peer.mac.lower():
        return ""
    other = next((each.underlay for each in state.forwarding if each.mac == peer.mac.lower()), "")
    wrong = f"leads to {other} and not to {peer.underlay}" if other else "is missing"
    return f"the forwarding (FDB) entry of {peer.mac} {wrong}"


def _of_route(step: AddRoute, _: LocalPart, _state: OverlayState, peer: Peer) -> str:
    return f"the route to {peer.subnet} is missing" if step.route.subnet == peer.subnet else ""


def _of_other_route(step: RemoveRoute, _: LocalPart, _state: OverlayState, peer: Peer) -> str:
    if step.route.subnet != peer.subnet:
        return ""
    return f"there is another route to {peer.subnet}, by {step.route.gateway or step.device}"


_Fault = Callable[[Any, LocalPart, OverlayState, Peer], str]
_FAULTS: dict[type[Step], _Fault] = {
    CreateDevice: _of_create,
    SetDevice: _of_device,
    AddAddress: _of_address,
    SetNeighbour: _of_neighbour,
    SetForwarding: _of_forwarding,
    AddRoute: _of_route,
    RemoveRoute: _of_other_route,
}

# --- packets that do not come -------------------------------------------------------------------------------

_SEE = "`nft list ruleset` and `iptables-save` there show which"


class _Hop(NamedTuple):
    """One direction, with what the node at its end has seen."""

    sender: NodeId
    receiver: NodeId
    seen: Witness

    def says(self, cause: Cause, words: str) -> Verdict:
        return Verdict(cause, self.sender, self.receiver, words[:MAX_WORDS_CHARS])


def verdict(found: Evidence) -> Verdict | None:
    """Returns None where all probes were answered and both kernels are as they should be."""
    return next(_verdicts(found), None)


def _verdicts(found: Evidence) -> Iterator[Verdict]:
    there = _Hop(found.node, found.peer, found.there or Witness())
    back = _Hop(found.peer, found.node, found.here)
    if found.here.faults:
        yield there.says(Cause.KERNEL, f"on {found.node}, {'; '.join(found.here.faults)}")
    if found.there is None:
        if not found.small:
            yield there.says(
                Cause.PEER_SILENT, f"{found.peer} can't be asked by its peer port either: {found.why_not}"
            )
        elif not (found.full and found.tcp and found.bridge):
            yield there.says(
                Cause.UNKNOWN, f"{_lacking(found)}, and {found.peer} can't be asked why: {found.why_not}"
            )
        return
    if found.there.faults:
        yield back.says(Cause.KERNEL, f"on {found.peer}, {'; '.join(found.there.faults)}")
    for holds, judge in _RULES:
        if holds(found, found.there.arrivals):
            yield judge(found, there, back)


def _lacking(found: Evidence) -> str:
    parts = (
        (found.full, f"no answer to packets of {found.full_bytes} bytes"),
        (found.tcp, "no answer by TCP"),
        (found.bridge, "no answer from the bridge"),
    )
    return " and ".join(words for passed, words in parts if not passed)


def _not_served(found: Evidence, there: _Hop, _: _Hop) -> Verdict:
    return there.says(
        Cause.NOT_SERVED,
        f"packets reach {found.peer}, but nobody there answers probes: `orion network ls` says how its part is",
    )


def _lost_there(_: Evidence, there: _Hop, _back: _Hop) -> Verdict:
    return _lost(there)


def _lost_back(_: Evidence, _there: _Hop, back: _Hop) -> Verdict:
    return _lost(back)


def _lost(hop: _Hop) -> Verdict:
    """Nothing is heard at the end of the hop: where it was seen last."""
    seen, sender, receiver = hop.seen.arrivals, hop.sender, hop.receiver
    if hop.seen.deaf:
        return hop.says(
            Cause.UNKNOWN,
            f"nothing from {sender} is heard on {receiver}, which can't see how far it comes: {hop.seen.deaf}",
        )
    if seen.inner_bytes:
        strict = ", or its reverse path filter (rp_filter is 1)" if hop.seen.strict else ""
        return hop.says(
            Cause.OVERLAY_FILTER,
            f"packets come out of {receiver}'s VXLAN device and are dropped there: by a filter{strict}; {_SEE}",
        )
    if seen.vxlan:
        return hop.says(
            Cause.HOST_FILTER,
            f"UDP {PORT} from {sender} arrives at {receiver} and is dropped there before its VXLAN device: by a"
            f" filter; {_SEE}",
        )
    if seen.plain_bytes:
        return hop.says(
            Cause.UDP_BLOCKED,
            f"UDP {PORT} from {sender} does not arrive at {receiver}, other UDP does: let it pass the firewalls"
            f" between them, and {sender}'s own",
        )
    return hop.says(
        Cause.HOST_BLOCKED,
        f"no UDP from {sender} arrives at {receiver}, while its peer port (TCP) answers: let UDP {PORT} pass the"
        f" firewalls between them, and {sender}'s own",
    )


def _too_large(found: Evidence, there: _Hop, back: _Hop) -> Verdict:
    heard = there.seen.arrivals.heard_bytes >= found.full_bytes
    hop = back if heard else there
    carried = f"up to {found.largest_bytes} bytes" if found.largest_bytes else "small packets only"
    return hop.says(
        Cause.MTU,
        f"the way from {hop.sender} to {hop.receiver} carries {carried} of the network's {found.full_bytes}: an"
        f" interface or a tunnel between them has a smaller MTU than the nodes' own. Give the nodes' interfaces"
        " that MTU",
    )


def _tcp_lost(found: Evidence, there: _Hop, back: _Hop) -> Verdict:
    for hop in (there, back):
        if hop.seen.arrivals.bad_checksums:
            return hop.says(
                Cause.CHECKSUM,
                f"TCP segments arrive at {hop.receiver} with wrong checksums, datagrams pass: a driver that leaves"
                f" them out. On {hop.sender}: ethtool -K orion.vx tx off",
            )
    return there.says(
        Cause.TCP_BLOCKED,
        f"datagrams of all sizes pass and TCP does not: a filter on {found.peer} or {found.node}; {_SEE}",
    )


def _bridge_silent(found: Evidence, there: _Hop, _: _Hop) -> Verdict:
    return there.says(
        Cause.BRIDGE,
        f"{found.peer} answers at its own address and not at that of its bridge: a filter there, or the bridge is"
        f" gone; {_SEE}",
    )


def _some_lost(found: Evidence, there: _Hop, _: _Hop) -> Verdict:
    return there.says(
        Cause.LOSS, f"some packets between {found.node} and {found.peer} are lost, or late: others were answered"
    )


_Holds = Callable[[Evidence, Arrivals], bool]
_Judge = Callable[[Evidence, _Hop, _Hop], Verdict]
_RULES: tuple[tuple[_Holds, _Judge], ...] = (
    (lambda e, _: not e.small and e.refused, _not_served),
    (lambda e, seen: not e.small and not seen.heard_bytes, _lost_there),
    (lambda e, _: not e.small and e.largest_bytes > 0, _some_lost),
    (lambda e, _: not e.small, _lost_back),
    (lambda e, _: not e.full and e.largest_bytes >= e.full_bytes, _some_lost),
    (lambda e, _: not e.full, _too_large),
    (lambda e, _: not e.tcp, _tcp_lost),
    (lambda e, _: not e.bridge, _bridge_silent),
)
