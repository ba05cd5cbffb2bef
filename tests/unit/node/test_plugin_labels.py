"""node/volumes/labels.py: which plugins a node has, as the cluster knows it."""

from orion.model.csi import NodeFeature, PluginInfo
from orion.node.services.plugins import NodePart, NodeParts, views
from orion.node.volumes.labels import plugin_labels
from orion.node.volumes.one_plugin import PluginState

DIR = PluginInfo("dir.csi.example.org", "1")


def state(info=DIR, why="", **parts):
    return PluginState("/run/a.sock", info, why=why, **parts)


def test_what_works_is_a_label_with_its_parts():
    both = state(controller=frozenset(), node=frozenset({NodeFeature.EXPAND_VOLUME}))
    assert plugin_labels([both]) == (("csi.dir.csi.example.org", "controller.node"),)
    apart = [state(controller=frozenset()), state(node=frozenset())]
    assert plugin_labels(apart) == plugin_labels([both])


def test_what_does_not_work_or_is_no_label_is_none():
    assert plugin_labels([state(why="it does not answer", node=frozenset())]) == ()
    assert plugin_labels([state(info=None)]) == ()
    assert plugin_labels([state(info=PluginInfo("a" * 63, "1"), node=frozenset())]) == ()


def test_parts_are_shown_by_plugin_and_silent_nodes_in_words():
    answers = [
        ("node1", NodeParts((NodePart("/a", "x", node=()), NodePart("/b", why="it was not asked yet")))),
        ("node2", "node2 can't be asked: no route"),
        ("node3", NodeParts((NodePart("/a", "x", why="it does not answer"),))),
    ]
    nameless, found = views(answers)
    assert (nameless.name, nameless.healthy) == ("", False)
    assert ([part.node_id for part in found.parts], found.healthy) == (["node1", "node3"], False)
    assert found.unasked == ["node2 can't be asked: no route"]
