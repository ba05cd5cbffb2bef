"""The nodes that can make calls of a storage plugin's controller now."""

from orion.model.ids import NodeId
from orion.model.node import NodeStatus
from orion.node.consensus.driver import RaftDriver

Found = tuple[tuple[NodeId, str], ...]  # each with the version that it has


class Controllers:
    """Found anew when a node has changed."""

    def __init__(self, driver: RaftDriver) -> None:
        self._driver = driver
        self._known: dict[str, Found] = {}
        self._known_at = (-1, -1)

    def of(self, plugin: str) -> Found:
        view = self._driver.view
        if self._known_at != (self._driver.installs, view.facts_epoch):
            self._known_at, self._known = (self._driver.installs, view.facts_epoch), {}
        if plugin not in self._known:
            self._known[plugin] = tuple(
                (node.id, found.version)
                for node in view.nodes()
                if node.status is NodeStatus.READY
                and (found := node.plugin(plugin)) is not None
                and found.controller
            )
        return self._known[plugin]
