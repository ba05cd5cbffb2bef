"""Verdicts on why one node does not reach another: a table of what both have seen, and the hop at fault."""

import msgspec
import pytest

from orion.model.container import EngineNetwork
from orion.model.network import DEFAULT, DEFAULT_NUMBER
from orion.model.overlay import NOTHING, Forwarding, Neighbour, OverlayDevice, Route
from orion.model.reach import Arrivals, Cause, Evidence, Witness
from orion.reconcile.local_network import LocalPart
from orion.reconcile.reach import kernel_faults, verdict
from unit.reconcile.test_overlay import FOUND, PEERS, WHOLE

FULL = 1_450
THERE, BACK = ("a", "b"), ("b", "a")
HEARD = Arrivals(vxlan=True, plain_bytes=FULL, inner_bytes=FULL, heard_bytes=FULL)


def evidence(**changes) -> Evidence:
    """All is well, but for the changes."""
    well = Evidence(
        node="a",
        peer="b",
        small=True,
        full=True,
        tcp=True,
        bridge=True,
        full_bytes=FULL,
        largest_bytes=FULL,
        refused=False,
        here=Witness(arrivals=HEARD),
        there=Witness(arrivals=HEARD),
    )
    return msgspec.structs.replace(well, **changes)


def saw(**changes) -> Witness:
    return Witness(arrivals=Arrivals(**changes))


SILENT = {"small": False, "full": False, "tcp": False, "bridge": False, "largest_bytes": 0}
TABLE = [
    ({}, None, THERE, ""),
    ({**SILENT, "there": saw()}, Cause.HOST_BLOCKED, THERE, "no UDP from a arrives at b"),
    ({**SILENT, "there": saw(plain_bytes=64)}, Cause.UDP_BLOCKED, THERE, "UDP 8472 from a does not arrive at b"),
    ({**SILENT, "there": saw(vxlan=True, plain_bytes=64)}, Cause.HOST_FILTER, THERE, "arrives at b and is dropped"),
    ({**SILENT, "there": saw(vxlan=True, inner_bytes=64)}, Cause.OVERLAY_FILTER, THERE, "come out of b's VXLAN"),
    (
        {**SILENT, "there": Witness((), Arrivals(vxlan=True, inner_bytes=64), strict=True)},
        Cause.OVERLAY_FILTER,
        THERE,
        "reverse path filter",
    ),
    ({**SILENT, "here": saw()}, Cause.HOST_BLOCKED, BACK, "no UDP from b arrives at a"),
    ({**SILENT, "here": saw(vxlan=True)}, Cause.HOST_FILTER, BACK, "arrives at a and is dropped"),
    ({**SILENT, "here": saw(inner_bytes=64)}, Cause.OVERLAY_FILTER, BACK, "come out of a's VXLAN"),
    ({**SILENT, "there": Witness(deaf="no right")}, Cause.UNKNOWN, THERE, "can't see how far it comes: no right"),
    ({**SILENT, "there": None, "why_not": "refused"}, Cause.PEER_SILENT, THERE, "refused"),
    ({"tcp": False, "there": None, "why_not": "refused"}, Cause.UNKNOWN, THERE, "no answer by TCP"),
    ({**SILENT, "refused": True}, Cause.NOT_SERVED, THERE, "nobody there answers probes"),
    ({"small": False}, Cause.LOSS, THERE, "some packets"),
    ({**SILENT, "here": Witness(("the device is down",), HEARD)}, Cause.KERNEL, THERE, "on a, the device is down"),
    ({**SILENT, "there": Witness(("no route",))}, Cause.KERNEL, BACK, "on b, no route"),
    (
        {"full": False, "largest_bytes": 1_350, "there": saw(heard_bytes=1_350)},
        Cause.MTU,
        THERE,
        "up to 1350 bytes",
    ),
    ({"full": False, "largest_bytes": 1_350}, Cause.MTU, BACK, "from b to a carries up to 1350"),
    ({"full": False, "largest_bytes": FULL}, Cause.LOSS, THERE, "some packets"),
    ({"tcp": False}, Cause.TCP_BLOCKED, THERE, "TCP does not"),
    ({"tcp": False, "there": saw(heard_bytes=FULL, bad_checksums=3)}, Cause.CHECKSUM, THERE, "On a: ethtool"),
    ({"tcp": False, "here": saw(heard_bytes=FULL, bad_checksums=3)}, Cause.CHECKSUM, BACK, "On b: ethtool"),
    ({"bridge": False}, Cause.BRIDGE, THERE, "not at that of its bridge"),
]


@pytest.mark.parametrize(("changes", "cause", "hop", "words"), TABLE)
def test_the_hop_at_fault_and_why(changes, cause, hop, words):
    found = verdict(evidence(**changes))
    if cause is None:
        assert found is None
        return
    assert found is not None
    assert (found.cause, (found.sender, found.receiver)) == (cause, hop)
    assert words in found.words


def test_each_cause_is_in_the_table():
    assert {cause for _, cause, _, _ in TABLE} - {None} == set(Cause)


LOCAL = LocalPart(
    DEFAULT,
    DEFAULT_NUMBER,
    False,
    0x0AC80100,
    OverlayDevice("orion.vx", 4200, 8472, "10.77.0.1", FOUND.mac, 1450, "10.200.1.0", FOUND.alias),
    tuple(PEERS),
    EngineNetwork("orion", 1, "a", "10.200.1.0/24", "10.200.1.1", "orion0", 1450, "orion.vx"),
)
PEER, OTHER = PEERS
MISSING = msgspec.structs.replace
FORWARDED = Forwarding(PEER.mac, "10.77.0.9")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (WHOLE, ()),
        (NOTHING, ("the device orion.vx is not there",)),
        (MISSING(WHOLE, device=MISSING(FOUND, up=False)), ("the device orion.vx is down",)),
        (MISSING(WHOLE, device=MISSING(FOUND, mtu=1400)), ("orion.vx has the MTU 1400 and not 1450",)),
        (MISSING(WHOLE, device=MISSING(FOUND, vni=7)), ("the device orion.vx is another one",)),
        (MISSING(WHOLE, addresses=frozenset()), ("orion.vx has not the address 10.200.1.0/32",)),
        (MISSING(WHOLE, neighbours=frozenset()), ("the neighbour entry of 10.200.2.0 is missing",)),
        (
            MISSING(WHOLE, neighbours=frozenset({Neighbour(PEER.gateway, OTHER.mac)})),
            (f"the neighbour entry of 10.200.2.0 is for {OTHER.mac} and not {PEER.mac}",),
        ),
        (MISSING(WHOLE, forwarding=frozenset()), (f"the forwarding (FDB) entry of {PEER.mac} is missing",)),
        (
            MISSING(WHOLE, forwarding=frozenset({FORWARDED})),
            (f"the forwarding (FDB) entry of {PEER.mac} leads to 10.77.0.9 and not to 10.77.0.2",),
        ),
        (MISSING(WHOLE, routes=frozenset()), ("the route to 10.200.2.0/24 is missing",)),
        (
            MISSING(WHOLE, routes=WHOLE.routes | {Route(PEER.subnet, "10.200.3.0", 7)}),
            ("there is another route to 10.200.2.0/24, by 10.200.3.0",),
        ),
    ],
)
def test_what_the_kernel_has_otherwise_is_said_of_this_peer_alone(state, words):
    found = kernel_faults(LOCAL, state, PEER)
    assert len(found) >= len(words)
    assert bool(found) == bool(words)
    for word in words:
        assert any(each.startswith(word) for each in found), found
    if state is not NOTHING and state.device == FOUND and state.addresses:
        assert not any(OTHER.subnet in each for each in found)
