"""Where a storage plugin is, or may be, that does not work."""

from orion.model.ids import NodeId
from orion.node.services.plugins import NodePart, NodeParts, not_working, views

DIR = "dir.csi.orion.dev"


def found(**parts):
    return views([(NodeId(node), NodeParts((part,))) for node, part in parts.items()])


def test_a_plugin_that_stopped_working_is_named_with_its_sockets():
    gone = NodePart("/run/dir.sock", DIR, "1", controller=(), why="no such file")
    there = found(node1=gone, node2=NodePart("/run/nfs.sock", why="connection refused"))
    assert not_working(there, DIR) == (
        "it does not work where it is (node1 at /run/dir.sock: no such file): start it there"
    )


def test_one_that_nobody_knows_may_be_at_the_sockets_that_are_silent():
    there = found(node1=NodePart("/run/dir.sock", why="no such file"), node2=NodePart("/run/nfs.sock", "nfs"))
    assert not_working(there, DIR) == (
        "no plugin has answered yet where it may be (node1 at /run/dir.sock: no such file): start it there"
    )


def test_of_many_places_some_are_named():
    there = found(**{f"node{n}": NodePart("/run/dir.sock", why="no such file") for n in range(1, 6)})
    assert not_working(there, DIR).endswith(
        "node3 at /run/dir.sock: no such file, and 2 more ('orion plugin ls')): start it there"
    )


def test_nothing_is_said_where_all_that_is_there_works():
    assert not_working(found(node1=NodePart("/run/dir.sock", DIR)), DIR) == ""
    assert not_working([], DIR) == ""
