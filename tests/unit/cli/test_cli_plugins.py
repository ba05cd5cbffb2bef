"""orion plugin, against an API whose plugins are in the test's hand."""

import json


def test_plugins_are_shown_with_their_nodes_and_why_they_do_not_work(orion, api):
    code, out, err = orion("plugin", "ls", "--no-trunc")
    assert (code, err) == (0, "node3 can't be asked: no route\n")
    assert [line.split(maxsplit=4) for line in out.splitlines()] == [
        ["PLUGIN", "NODE", "VERSION", "PARTS", "STATE"],
        ["dir.csi.example.org", "node1", "1.2", "controller,", "node   works"],
        ["dir.csi.example.org", "node2", "1.2", "controller", "it does not answer"],
    ]


def test_one_plugin_is_shown_whole(orion, api):
    shown = json.loads(orion("plugin", "inspect", "dir.csi.example.org")[1])
    assert shown["parts"][0]["knownAs"] == "node1.example"
    code, _, err = orion("plugin", "inspect", "other")
    assert code == 1
    assert "there are: dir.csi.example.org" in err


def test_where_there_is_none_nothing_is_shown(orion, api):
    api.service.plugins.plugins = []
    code, out, _ = orion("plugin", "ls")
    assert (code, len(out.splitlines())) == (0, 1)
