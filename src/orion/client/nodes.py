"""Nodes, as methods of the client."""

from collections.abc import Mapping

import msgspec

from orion.client.session import Session, page_query, path_of, stale_query
from orion.model.api.nodes import LabelsRequest, NodeView


class Nodes(Session):
    def nodes(self, *, stale: bool = False, after: str = "", limit: int = 0) -> list[NodeView]:
        """By name, the dead ones too. Pages as of tasks."""
        return self._get("/nodes", list[NodeView], {**stale_query(stale), **page_query(after, limit)})[0]

    def poll_nodes(self, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[list[NodeView], int]:
        """As poll_tasks."""
        return self._poll("/nodes", list[NodeView], after_index, wait_s)

    def node(self, node: str, *, stale: bool = False) -> NodeView:
        return self._get(path_of("/nodes", node), NodeView, stale_query(stale))[0]

    def poll_node(self, node: str, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[NodeView, int]:
        """As poll_tasks."""
        return self._poll(path_of("/nodes", node), NodeView, after_index, wait_s)

    def drain(self, node: str) -> NodeView:
        """Move its tasks elsewhere and give it no more."""
        return self._decoded(self._ask("POST", f"{path_of('/nodes', node)}/drain"), NodeView)

    def ready(self, node: str) -> NodeView:
        """Undo a drain."""
        return self._decoded(self._ask("POST", f"{path_of('/nodes', node)}/ready"), NodeView)

    def stop_node(self, node: str) -> NodeView:
        """A planned stop of one that has no tasks; Conflict where it has."""
        return self._decoded(self._ask("POST", f"{path_of('/nodes', node)}/stop"), NodeView)

    def label_node(self, node: str, labels: Mapping[str, str | None]) -> NodeView:
        """Sets these labels, and takes away those of None, whatever the node says of itself."""
        body = msgspec.json.encode(LabelsRequest(dict(labels)))
        return self._decoded(self._ask("POST", f"{path_of('/nodes', node)}/labels", body=body), NodeView)

    def remove_node(self, node: str) -> None:
        """Forget a node that is dead, stopped, or drained. One that still runs ends then."""
        self._ask("DELETE", path_of("/nodes", node))
