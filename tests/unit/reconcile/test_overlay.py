"""The steps from what a kernel has to what a node wants, on the simulator's kernel, which tests/contract compares
with a real one.
"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.overlay import (
    NOTHING,
    Forwarding,
    FoundDevice,
    Neighbour,
    OverlayDevice,
    OverlayState,
    Peer,
    Route,
)
from orion.reconcile.overlay import (
    ORDER,
    AddAddress,
    AddRoute,
    CreateDevice,
    DeleteDevice,
    RemoveAddress,
    RemoveForwarding,
    RemoveNeighbour,
    RemoveRoute,
    SetDevice,
    SetForwarding,
    SetNeighbour,
    Step,
    steps,
)
from sim.overlay import HostNetwork, SimDevice
from sim.world import World

NAME = "orion.vx"
DEVICE = OverlayDevice(NAME, 4200, 8472, "10.77.0.1", "02:4f:52:00:00:01", 1450, "10.200.1.0", "orion node1")
FOUND = FoundDevice(4200, 8472, "10.77.0.1", "02:4f:52:00:00:01", 1450, "orion node1")


def peer(number, underlay=None):
    mac = f"02:4f:52:00:00:{number:02x}"
    return Peer(f"10.200.{number}.0/24", f"10.200.{number}.0", mac, underlay or f"10.77.0.{number}")


def as_wanted(*peers):
    return OverlayState(
        FOUND,
        frozenset({"10.200.1.0/32"}),
        frozenset(Neighbour(each.gateway, each.mac) for each in peers),
        frozenset(Forwarding(each.mac, each.underlay) for each in peers),
        frozenset(Route(each.subnet, each.gateway) for each in peers),
    )


PEERS = [peer(2), peer(3)]
WHOLE = as_wanted(*PEERS)


def changed(**fields):
    return msgspec.structs.replace(WHOLE, **fields)


def test_a_state_as_wanted_needs_nothing():
    assert steps(DEVICE, PEERS, WHOLE) == []
    assert steps(DEVICE, [], as_wanted()) == []


def test_a_host_without_the_device_gets_all_of_it_and_each_route_last():
    found = steps(DEVICE, [peer(2)], NOTHING)
    assert found == [
        CreateDevice(NAME, DEVICE),
        SetDevice(NAME, 1450, "orion node1"),
        AddAddress(NAME, "10.200.1.0/32"),
        SetNeighbour(NAME, Neighbour("10.200.2.0", "02:4f:52:00:00:02")),
        SetForwarding(NAME, Forwarding("02:4f:52:00:00:02", "10.77.0.2")),
        AddRoute(NAME, Route("10.200.2.0/24", "10.200.2.0")),
    ]


@pytest.mark.parametrize(
    "other",
    [{"vni": 1}, {"port": 4789}, {"local": "10.77.0.9"}, {"mac": "02:00:00:00:00:09"}, {"learning": True}],
)
def test_a_device_that_differs_in_what_cannot_be_changed_is_made_anew_with_all_that_it_has(other):
    found = steps(DEVICE, PEERS, changed(device=msgspec.structs.replace(FOUND, **other)))
    assert found == [DeleteDevice(NAME), *steps(DEVICE, PEERS, NOTHING)]


@pytest.mark.parametrize("other", [{"mtu": 1500}, {"alias": ""}, {"up": False}])
def test_what_can_be_changed_of_a_device_is_set_in_place(other):
    found = steps(DEVICE, PEERS, changed(device=msgspec.structs.replace(FOUND, **other)))
    assert found == [SetDevice(NAME, 1450, "orion node1")]


def test_an_address_is_added_before_another_is_removed():
    assert steps(DEVICE, PEERS, changed(addresses=frozenset({"10.200.9.0/32"}))) == [
        AddAddress(NAME, "10.200.1.0/32"),
        RemoveAddress(NAME, "10.200.9.0/32"),
    ]


def test_a_peer_that_left_is_removed_from_its_route_on():
    assert steps(DEVICE, [peer(2)], WHOLE) == [
        RemoveRoute(NAME, Route("10.200.3.0/24", "10.200.3.0")),
        RemoveNeighbour(NAME, Neighbour("10.200.3.0", "02:4f:52:00:00:03")),
        RemoveForwarding(NAME, Forwarding("02:4f:52:00:00:03", "10.77.0.3")),
    ]


def test_an_underlay_that_moved_is_replaced():
    assert steps(DEVICE, [peer(2), peer(3, "10.77.0.33")], WHOLE) == [
        SetForwarding(NAME, Forwarding("02:4f:52:00:00:03", "10.77.0.33")),
    ]


def test_two_peers_with_one_underlay_each_keep_their_way():
    both = [peer(2, "10.77.0.9"), peer(3, "10.77.0.9")]
    assert steps(DEVICE, both, as_wanted(*both)) == []
    assert steps(DEVICE, both[:1], as_wanted(*both))[-1] == RemoveForwarding(
        NAME, Forwarding("02:4f:52:00:00:03", "10.77.0.9")
    )


def test_a_mac_that_somebody_changed_is_set_again():
    other = frozenset({Neighbour("10.200.2.0", "02:00:00:00:00:99"), *list(as_wanted(peer(3)).neighbours)})
    assert steps(DEVICE, PEERS, changed(neighbours=other)) == [
        SetNeighbour(NAME, Neighbour("10.200.2.0", "02:4f:52:00:00:02"))
    ]


def test_forwarding_to_a_mac_that_nobody_has_is_removed_and_so_is_a_second_remote():
    flood, second = (
        Forwarding("00:00:00:00:00:00", "10.77.0.2"),
        Forwarding("02:4f:52:00:00:02", "10.77.0.2", port=4789),
    )
    found = steps(DEVICE, PEERS, changed(forwarding=WHOLE.forwarding | {flood, second}))
    assert found == [RemoveForwarding(NAME, flood), RemoveForwarding(NAME, second)]


def test_forwarding_that_would_be_forgotten_is_made_permanent():
    fleeting = frozenset(msgspec.structs.replace(each, permanent=False) for each in as_wanted(peer(2)).forwarding)
    found = steps(DEVICE, [peer(2)], msgspec.structs.replace(as_wanted(peer(2)), forwarding=fleeting))
    assert found == [SetForwarding(NAME, Forwarding("02:4f:52:00:00:02", "10.77.0.2"))]


def test_a_route_by_another_gateway_goes_before_the_right_one_comes():
    wrong = Route("10.200.2.0/24", "10.200.3.0")
    assert steps(DEVICE, PEERS, changed(routes=as_wanted(peer(3)).routes | {wrong})) == [
        RemoveRoute(NAME, wrong),
        AddRoute(NAME, Route("10.200.2.0/24", "10.200.2.0")),
    ]


def test_addresses_and_macs_that_are_written_another_way_are_the_same():
    wanted = msgspec.structs.replace(DEVICE, local="FD00:0::1", mac="02:4F:52:00:00:01")
    shouted = Peer("10.200.2.0/24", "10.200.2.0", "02:4F:52:00:00:02", "FD00:0:0::2")
    state = msgspec.structs.replace(
        as_wanted(peer(2, "fd00::2")), device=msgspec.structs.replace(FOUND, local="fd00::1")
    )
    assert steps(wanted, [shouted], state) == []


def test_every_step_has_its_place_in_the_order():
    assert set(ORDER) == set(Step.__args__)
    assert len(set(ORDER)) == len(ORDER)


# --- any state becomes any other ---------------------------------------------------------------------------

NUMBERS = st.integers(2, 6)
MACS = NUMBERS.map(lambda number: f"02:4f:52:00:00:{number:02x}")
UNDERLAYS = st.sampled_from(["10.77.0.2", "10.77.0.3", "10.77.0.4"])
REMOTE = st.tuples(UNDERLAYS, st.sampled_from([0, 4789]), st.sampled_from([0, 7]))
GATEWAYS = NUMBERS.map(lambda number: f"10.200.{number}.0")
ROUTES = st.builds(Route, GATEWAYS.map("{}/24".format), GATEWAYS | st.just(""), st.sampled_from([0, 0, 100]))


@st.composite
def devices(draw):
    """A device as somebody may have left it. The kernel takes neighbours and routes from one that is down."""
    device = SimDevice(
        msgspec.structs.replace(
            FOUND,
            mtu=draw(st.sampled_from([1450, 1450, 1280])),
            alias=draw(st.sampled_from(["orion node1", ""])),
            vni=draw(st.sampled_from([4200, 4200, 4200, 7])),
            learning=draw(st.sampled_from([False, False, False, True])),
            up=draw(st.booleans()),
        )
    )
    device.addresses = dict.fromkeys(
        draw(st.sets(st.sampled_from(["10.200.1.0/32", "10.200.1.0/24", "10.0.0.1/8"])))
    )
    device.remotes = {mac: [remote] for mac, remote in draw(st.dictionaries(MACS, REMOTE, max_size=4)).items()}
    if flooded := draw(st.lists(REMOTE, max_size=3, unique=True)):
        device.remotes["00:00:00:00:00:00"] = flooded
    device.fleeting = set(draw(st.sets(st.sampled_from(sorted(device.remotes))))) if device.remotes else set()
    if device.found.up:
        device.neighbours = draw(st.dictionaries(GATEWAYS, MACS, max_size=4))
        device.routes = {(each.subnet, each.metric): each for each in draw(st.lists(ROUTES, max_size=5))}.values()
        device.routes = set(device.routes)
    return device


PEER_LISTS = st.dictionaries(NUMBERS, UNDERLAYS, max_size=5).map(
    lambda found: [peer(number, underlay) for number, underlay in found.items()]
)


@given(st.none() | devices(), PEER_LISTS)
def test_the_steps_leave_exactly_what_is_wanted_and_then_there_are_none(device, peers):
    world = World(1)
    try:
        network = HostNetwork(world, "n", {})
        if device is not None:
            network.devices[NAME] = device
        before = device.state() if device else NOTHING
        for step in steps(DEVICE, peers, before):
            network.take(step)
        after = network.devices[NAME].state()
        assert after == as_wanted(*peers)
        assert steps(DEVICE, peers, after) == []
    finally:
        world.loop.close()
