"""The storage plugins of a FakeService: one, on two nodes, which works on one of them."""

from orion.model.api.plugins import PluginPartView, PluginView
from orion.model.errors import NotFound

NAME = "dir.csi.example.org"


def part(node, why=""):
    return PluginPartView(
        node_id=node,
        socket="/run/dir.sock",
        healthy=not why,
        why=why,
        version="1.2",
        controller=["create-delete-volume"],
        node=None if why else ["stage-unstage-volume"],
        known_as=f"{node}.example",
        max_volumes=0,
        topology={},
    )


class FakePlugins:
    def __init__(self):
        parts = [part("node1"), part("node2", "it does not answer")]
        self.plugins = [PluginView(NAME, False, parts, ["node3 can't be asked: no route"])]

    async def find(self):
        return self.plugins

    async def get(self, name):
        if name != NAME:
            raise NotFound(f"no node has a storage plugin {name!r}; there are: {NAME}")
        return self.plugins[0]
