"""How published ports become chains, elements and routes."""

import collections

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.ingress import Backend, IngressNetwork, IngressPeer, IngressPort, IngressRules
from orion.reconcile import nft
from orion.reconcile.ingress import (
    MARK,
    MARK_MASK,
    TABLE,
    devices_in,
    is_shown,
    missing_spreads,
    number_of,
    removal_of_chains,
    ruleset,
    spreads,
)
from orion.reconcile.ingress_elements import element_change, elements_of, port_change, spreads_of
from orion.reconcile.ingress_routes import MarkRule, ReturnRoute, returns
from orion.reconcile.ingress_slots import SLOTS, chain_of, slots_of

RANGE = "10.200.0.0/16"
PEERS = tuple(IngressPeer(f"02:4f:52:00:00:{number:02x}", f"10.200.{number}.0") for number in (2, 3))
A = IngressNetwork("orion0", "orion.vx", "10.200.1.0/24", PEERS)
B = IngressNetwork("orion1", "b.vx", "10.200.11.0/24", (IngressPeer(PEERS[0].mac, "10.200.12.0"),))
BOTH = IngressRules(RANGE, (A, B), ("192.0.2.2", "fe80::1", "192.0.2.2"))
changed = msgspec.structs.replace

backend_sets = st.sets(st.builds(Backend, st.integers(1, 40), st.just(80)), max_size=20)
ports = st.builds(
    lambda port, protocol, sticky, backends: IngressPort(port, protocol, sticky, tuple(backends)),
    st.integers(1, 4),
    st.sampled_from(("tcp", "udp")),
    st.booleans(),
    backend_sets,
)
port_lists = st.lists(ports, max_size=6, unique_by=lambda port: (port.port, port.protocol)).map(tuple)


def backends(count: int) -> tuple[Backend, ...]:
    return tuple(Backend(0x0A000000 + 256 * node + 2, 80) for node in range(1, count + 1))


# --- slots -------------------------------------------------------------------------------------------------


def test_a_port_that_is_not_sticky_has_a_number_for_each_backend() -> None:
    port = IngressPort(80, "tcp", False, backends(5)[::-1])
    assert slots_of(port) == backends(5)
    assert chain_of(port) == "spread_5"


@pytest.mark.parametrize("count", [1, 2, 3, 10, 16, 17, 64])
def test_no_backend_of_a_sticky_port_has_more_than_a_tenth_above_its_share(count: int) -> None:
    slots = slots_of(IngressPort(80, "tcp", True, backends(count)))
    assert len(slots) in SLOTS.values()
    loads = collections.Counter(slots)
    assert len(loads) == count
    assert max(loads.values()) <= -(-len(slots) * 1.1 // count)


@pytest.mark.parametrize("count", [3, 10, 15, 40, 200, 1_000])
def test_a_backend_that_leaves_takes_few_slots_of_others_with_it(count: int) -> None:
    before = slots_of(IngressPort(80, "tcp", True, backends(count)))
    after = slots_of(IngressPort(80, "tcp", True, backends(count)[1:]))
    others = sum(a != b for a, b in zip(before, after, strict=True) if a != backends(1)[0])
    assert others <= len(before) / 10


def test_of_very_many_backends_of_a_sticky_port_almost_all_have_slots() -> None:
    loads = collections.Counter(slots_of(IngressPort(80, "tcp", True, backends(300))))
    assert len(loads) > 290
    assert max(loads.values()) < 5 * 4_096 / 300


def test_without_a_backend_there_is_no_chain() -> None:
    for sticky in (True, False):
        port = IngressPort(80, "tcp", sticky)
        assert (chain_of(port), slots_of(port)) == ("", ())


# --- elements ----------------------------------------------------------------------------------------------


@given(port_lists, port_lists)
def test_a_change_turns_the_elements_of_some_ports_into_those_of_others(before: tuple, after: tuple) -> None:
    change = port_change(before, after)
    assert change == element_change(elements_of(before), elements_of(after))
    for name in ("services", "backends"):
        kernel = dict(getattr(elements_of(before), name))
        for key, value in getattr(change.removed, name).items():
            assert kernel.pop(key) == value
        for key, value in getattr(change.added, name).items():
            assert key not in kernel
            kernel[key] = value
        assert kernel == getattr(elements_of(after), name)
    assert change.is_empty == (elements_of(before) == elements_of(after))


@given(port_lists)
def test_each_number_that_a_chain_may_draw_leads_to_a_backend(ports: tuple) -> None:
    made = elements_of(ports)
    for (protocol, port), chain in made.services.items():
        _, _, count = chain.rpartition("_")
        assert all((protocol, port, number) in made.backends for number in range(int(count)))
    assert len(made.services) == sum(bool(port.backends) for port in ports)


# --- chains ------------------------------------------------------------------------------------------------


def test_ports_change_no_chain() -> None:
    assert ruleset(BOTH) == ruleset(changed(BOTH, ports=(IngressPort(80, "tcp", False, backends(3)),)))


@pytest.mark.parametrize(
    "other",
    [
        changed(BOTH, networks=(A,)),
        changed(BOTH, hosts=("192.0.2.3",)),
        changed(BOTH, networks=(changed(A, peers=PEERS[:1]), B)),
        changed(BOTH, cluster_range="10.200.0.0/15"),
    ],
)
def test_other_networks_or_hosts_have_other_chains(other: IngressRules) -> None:
    assert not is_shown(ruleset(BOTH), ruleset(other).shown)


def test_chains_of_spreads_are_there_beside_the_others() -> None:
    wanted = ruleset(BOTH)
    assert missing_spreads((3, 20), wanted.shown) == [3, 20]
    shown = wanted.shown | {"spread_3": nft.Shown("", "", (f"{TABLE}: tcp, any of 3", f"{TABLE}: udp, any of 3"))}
    assert is_shown(wanted, shown)
    assert missing_spreads((3, 20), shown) == [20]
    assert missing_spreads((3,), shown | {"spread_3": nft.Shown("", "", ())}) == [3]
    assert spreads((3, 20)).count("add rule") == 4
    assert spreads_of((IngressPort(1, "tcp", False, backends(3)), IngressPort(2, "tcp", True, backends(4)))) == {3}


def test_chains_that_are_not_wanted_are_taken_away_and_spreads_stay() -> None:
    wanted = ruleset(changed(BOTH, networks=(B,)))
    shown = ruleset(BOTH).shown | {"spread_3": nft.Shown("", "", ()), "theirs": nft.Shown("", "", ())}
    script = removal_of_chains(wanted, shown)
    assert [line.split()[-1] for line in script.splitlines() if line.startswith("delete")] == [
        "from_orion.vx",
        "theirs",
    ]
    assert removal_of_chains(wanted, wanted.shown) == ""


def test_the_devices_that_chains_are_for_are_told_from_them() -> None:
    assert devices_in(ruleset(BOTH).shown) == {"orion0", "orion.vx", "orion1", "b.vx"}
    assert devices_in({}) == set()


def test_each_rule_has_a_comment_and_none_twice_in_a_chain() -> None:
    for chain in ruleset(BOTH).shown.values():
        assert len(set(chain.comments)) == len(chain.comments)
        assert all(len(comment) < 128 for comment in chain.comments)  # as long as nft takes


# --- routes ------------------------------------------------------------------------------------------------


def test_answers_leave_through_the_node_that_they_belong_to_in_each_network() -> None:
    found = returns(BOTH)
    assert found.rules == {
        MarkRule("orion0", MARK | 2, 0x0AC80200),
        MarkRule("orion0", MARK | 3, 0x0AC80300),
        MarkRule("orion1", MARK | 12, 0x0AC80C00),
    }
    assert found.routes == {
        ReturnRoute(0x0AC80200, "orion.vx", "10.200.2.0"),
        ReturnRoute(0x0AC80300, "orion.vx", "10.200.3.0"),
        ReturnRoute(0x0AC80C00, "b.vx", "10.200.12.0"),
    }


@pytest.mark.parametrize(("gateway", "whole"), [("10.255.255.0", "10.0.0.0/8"), ("10.0.0.0", "10.0.0.0/8")])
def test_a_number_fits_beside_the_mark(gateway: str, whole: str) -> None:
    assert not number_of(gateway, whole) & MARK_MASK
