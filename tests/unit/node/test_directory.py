"""Metadata that members spread by gossip is understood whole or refused, and never raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.ids import NodeId, RaftId
from orion.model.membership import MemberState, NodeRole
from orion.model.node import Node
from orion.model.resources import Resources
from orion.node.membership.directory import Directory, NodeMetadata, parse_metadata
from orion.ports.machine import Usage
from orion.ports.membership import Member
from orion.state.tables import State
from orion.state.view import View

GOOD = NodeMetadata(
    RaftId(2**64 - 1),
    "10.0.0.1:7000",
    "[fd00::1]:8000",
    "0.1.0",
    NodeRole.LEADER,
    3,
    5,
    Usage(0.25, 10**9),
    7 << 32,
)
KEYS = tuple(GOOD.encode())


def test_metadata_that_was_encoded_is_read():
    assert parse_metadata(GOOD.encode()) == GOOD
    plain = NodeMetadata(RaftId(1), "host.example:1", "h:65535", "", NodeRole.WORKER, 0, 0)
    assert parse_metadata(plain.encode()) == plain


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("u", "9" * 330 + "/1"),  # no float holds it
        ("u", f"1/{2**64}"),
        ("u", "-1/1"),
        ("u", "1/"),
        ("u", "nan/1"),
        ("t", "9" * 400),
        ("t", str(2**64)),
        ("t", "-1"),
        ("t", "1_0"),
        ("t", "٣"),
        ("r", "f" * 17),
        ("r", "0"),
        ("r", "-1"),
        ("r", "0x1"),
        ("c", "1" + "0" * 16),
        ("c", " 5"),
        ("g", "f" * 100),
        ("g", "-1"),
        ("p", "10.0.0.1:0"),
        ("p", "10.0.0.1:7000\n2026-11-29 ERROR   forged"),
        ("p", "\x1b[2Jhost:7000"),
        ("p", "no address"),
        ("p", "x" * 300 + ":1"),
        ("a", "host:²"),
        ("a", "a..b\x00:1"),
        ("v", "1\n2"),
        ("v", "9" * 300),
        ("o", "emperor"),
    ],
)
def test_metadata_with_a_value_that_can_not_be_read_is_refused(key, value):
    assert parse_metadata(GOOD.encode() | {key: value}) is None


@pytest.mark.parametrize("key", ["r", "p", "a", "v", "o", "c"])
def test_metadata_without_a_key_is_refused(key):
    metadata = GOOD.encode()
    del metadata[key]
    assert parse_metadata(metadata) is None


numbers = st.integers(min_value=-(10**400), max_value=10**400)
words = st.one_of(st.text(max_size=400), numbers.map(str), st.builds("{}/{}".format, numbers, numbers))


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, words)))
def test_nothing_that_a_member_says_raises(said):
    for metadata in (said, GOOD.encode() | said):
        found = parse_metadata(metadata)
        if found is not None:
            assert all(0 <= n < 2**64 for n in (found.raft_id, found.term, found.cluster, found.recovery))
            assert parse_metadata(found.encode()) is not None


def directory():
    found = Directory(lambda: View(State()))
    found.cluster = 5
    return found


def member(name, **said):
    metadata = NodeMetadata(RaftId(77), "10.0.9.9:7000", "10.0.9.9:8000", "0.1", NodeRole.LEADER, 3, 5).encode()
    return Member(NodeId(name), MemberState.ALIVE, "10.0.9.9:6000", 1, metadata | said)


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "node1\n", "\x1b[31mnode1", "größe", "a/b"])
def test_a_name_that_no_node_may_have_is_not_in_it(name):
    found = directory()
    found.update([member(name), member("node2")])
    assert [s.member.node for s in found.all_seen()] == ["node2"]


def known_node(number):
    return Node(
        NodeId(f"node{number}"), RaftId(number), number, f"10.0.0.{number}:7000", "h:1", Resources(), (), "", ""
    )


class Known:
    """A view of two nodes."""

    def nodes(self):
        return [known_node(2), known_node(3)]

    def node(self, name):
        return next((node for node in self.nodes() if node.id == name), None)


def test_an_address_is_gossip_s_first_and_else_that_of_the_state():
    """As at a start, when gossip has not met anybody yet."""
    found = Directory(Known)
    found.cluster = 5
    node2, node3, node4 = NodeId("node2"), NodeId("node3"), NodeId("node4")
    metadata = NodeMetadata(RaftId(2), "10.0.9.2:7000", "10.0.9.2:8000", "0.1", NodeRole.VOTER, 0, 5).encode()
    found.update([Member(node2, MemberState.ALIVE, "10.0.9.2:6000", 1, metadata)])
    addresses = [found.address_of_node(node) for node in (node2, node3, node4)]
    assert addresses == ["10.0.9.2:7000", "10.0.0.3:7000", None]
    assert [found.address_of_raft(RaftId(raft)) for raft in (2, 3, 4)] == addresses
