"""What rules of the overlay can be."""

from ipaddress import IPv4Address, IPv4Network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.firewall import MAX_NETWORKS, FirewallRules, NetworkRules

RANGE = "10.200.0.0/16"
A = NetworkRules("a", "orion0", "orion.vx", "10.200.1.0/24", ("10.200.1.0/24", "10.200.2.0/24"))
B = NetworkRules("b", "orion1", "orion.vx", "10.200.3.0/24", ("10.200.3.0/24",))
changed = msgspec.structs.replace


def test_devices_and_subnets_elsewhere() -> None:
    rules = FirewallRules(RANGE, (A, B))
    assert rules.bridges == ("orion0", "orion1")
    assert rules.vxlans == ("orion.vx",)
    assert A.elsewhere == ("10.200.2.0/24",)
    assert B.elsewhere == ()


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        ((changed(A, name='a" accept'),), "is no name of a network"),
        ((changed(A, bridge="orion0; flush ruleset"),), "is no name of a device"),
        ((changed(A, bridge="a" * 16),), "is no name of a device"),
        ((changed(A, vxlan="lo"),), "is no name of a device"),
        ((changed(A, subnet="10.200.9.0/24"),), "this node's subnet 10.200.9.0/24"),
        ((A, changed(B, bridge="orion0")), "the same bridge"),
        ((A, changed(B, vxlan="orion0")), "orion0 is the bridge of one network and the VXLAN device"),
        ((A, changed(B, subnet="10.200.2.0/24", subnets=("10.200.2.0/24",))), "overlap"),
        ((A, changed(B, subnet="10.200.2.128/25", subnets=("10.200.2.128/25",))), "overlap"),
        ((changed(A, subnets=(*A.subnets, "10.201.0.0/24")),), "no subnet of the cluster's range"),
        ((changed(A, subnets=(*A.subnets, "10.200.3.1/24")),), "no subnet"),
        ((changed(A, subnets=(*A.subnets, "10.200.3.0/255.255.255.0")),), "no subnet"),
        ((changed(A, subnets=(*A.subnets, "10.200.3.0/24 }")),), "no subnet"),
        ((changed(A, subnets=(*A.subnets, "fe80::/64")),), "no subnet"),
        ((changed(A, subnets=(*A.subnets, "")),), "no subnet"),
        ((A,) * (MAX_NETWORKS + 1), f"at most {MAX_NETWORKS} networks"),
    ],
)
def test_a_fault_is_named(networks: tuple[NetworkRules, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FirewallRules(RANGE, networks)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.200.0.0",
        "10.200.0.1/16",
        "010.200.0.0/16",
        "10.256.0.0/16",
        "10.200.0.0/33",
        "10.200.0.0/016",
        "::/0",
        "x",
    ],
)
def test_a_range_is_one_of_ipv4(text: str) -> None:
    with pytest.raises(ValueError, match="no IPv4 range"):
        FirewallRules(text)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_each_range_is_read_as_the_library_reads_it(first: int, prefix: int) -> None:
    text = f"{IPv4Address(first)}/{prefix}"
    try:
        IPv4Network(text)
    except ValueError:
        with pytest.raises(ValueError, match="no IPv4 range"):
            FirewallRules(text)
    else:
        alone = NetworkRules("a", "orion0", "orion.vx", text, (text,))
        assert FirewallRules(text, (alone,)).networks == (alone,)


def test_what_is_decoded_is_checked() -> None:
    encoded = msgspec.json.encode(FirewallRules(RANGE, (A, B)))
    assert msgspec.json.decode(encoded, type=FirewallRules).networks == (A, B)
    with pytest.raises(msgspec.ValidationError, match="no subnet"):
        msgspec.json.decode(encoded.replace(b"10.200.2.0/24", b"10.20.2.0/24"), type=FirewallRules)
