"""Storage plugins that nodes find by their sockets: real nodes, and orion-csi-dir as a process."""

import json
from pathlib import Path
from typing import Any

from support.command import orion
from support.csi import PluginProcess
from support.nodes import Cluster, NodeProcess, cluster

NAME = "dir.csi.orion.dev"
NO_ENGINE = "unix:///nonexistent/docker.sock"


def shown(node: NodeProcess) -> list[dict[str, Any]]:
    code, out, err = orion(node, "plugin", "ls", "--output", "json")
    if code != 0:
        raise OSError(err)  # who waits looks again
    assert err == ""
    return list(json.loads(out))


def health(made: Cluster) -> dict[str, bool]:
    return {part["nodeId"]: part["healthy"] for each in shown(made.nodes[0]) for part in each["parts"]}


def test_a_plugin_is_found_shown_missed_and_found_again(tmp_path: Path) -> None:
    plugin = PluginProcess(tmp_path)
    with cluster([NO_ENGINE] * 2, "--csi-socket", str(plugin.socket)) as made:
        made.grow_to(2, engines=False)
        asked = made.nodes[1]
        assert [each["name"] for each in shown(asked)] == [""], "nobody is there yet"
        with plugin:
            made.wait(lambda: health(made) == {"node1": True, "node2": True}, "the plugin on both nodes")
            one = json.loads(orion(asked, "plugin", "inspect", NAME)[1])
            assert one["healthy"]
            assert "create-delete-volume" in one["parts"][0]["controller"]
            assert one["parts"][0]["knownAs"] == "node1"
            label = made.wait(
                lambda: asked.ask("GET", "/nodes/node1")["labels"].get(f"csi.{NAME}"), "the node's label"
            )
            assert label == "controller.node"
            plugin.end()
            made.wait(lambda: health(made) == {"node1": False, "node2": False}, "both to miss it")
            assert "csi" not in str(made.wait(lambda: no_label(asked), "its label to go"))
            plugin.start()
            made.wait(lambda: health(made) == {"node1": True, "node2": True}, "both to have it again")
        code, _, err = orion(asked, "plugin", "inspect", "nothing")
        assert code == 1
        assert NAME in err


def no_label(node: NodeProcess) -> dict[str, str] | None:
    labels: dict[str, str] = node.ask("GET", "/nodes/node1")["labels"]
    return labels if f"csi.{NAME}" not in labels else None
