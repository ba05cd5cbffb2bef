"""The cluster's networks, as methods of the client."""

import msgspec

from orion.client.session import Session, new_key, path_of, stale_query
from orion.model.api.network import (
    NetworkCheckView,
    NetworkDetailView,
    NetworkRequest,
    NetworkSummaryView,
    NetworkView,
)

CHECK_S = 120.0  # 200 nodes, of which many do not answer


class Network(Session):
    def network(self) -> NetworkView:
        """With how each node's part of it is, as that node says."""
        return self._get("/network", NetworkView)[0]

    def network_check(self, node: str = "") -> NetworkCheckView:
        """Has all nodes look whom they reach by it; with `node` only the ways from and to that one."""
        query = {"node": node} if node else {}
        return self._decoded(self._ask("GET", "/network/check", query, timeout_s=CHECK_S), NetworkCheckView)

    def networks(self, *, stale: bool = False) -> list[NetworkSummaryView]:
        """All that jobs can name, the default one first."""
        return self._get("/networks", list[NetworkSummaryView], stale_query(stale))[0]

    def network_detail(self, name: str, *, stale: bool = False) -> NetworkDetailView:
        """A network, and who is on it."""
        return self._get(path_of("/networks", name), NetworkDetailView, stale_query(stale))[0]

    def create_network(self, name: str, *, internal: bool = False, idempotency_key: str = "") -> NetworkDetailView:
        """Raises Conflict when the name is taken."""
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        body = msgspec.json.encode(NetworkRequest(name, internal))
        return self._decoded(self._ask("POST", "/networks", {}, headers, body), NetworkDetailView)

    def remove_network(self, name: str, *, idempotency_key: str = "") -> None:
        """Raises Conflict while a job names it."""
        self._ask("DELETE", path_of("/networks", name), {}, {"Idempotency-Key": idempotency_key or new_key()})
