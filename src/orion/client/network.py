"""The cluster's own network, as methods of the client."""

from orion.client.session import Session
from orion.model.api.network import NetworkCheckView, NetworkView

CHECK_S = 120.0  # 200 nodes, of which many do not answer


class Network(Session):
    def network(self) -> NetworkView:
        """With how each node's part of it is, as that node says."""
        return self._get("/network", NetworkView)[0]

    def network_check(self, node: str = "") -> NetworkCheckView:
        """Has all nodes look whom they reach by it; with `node` only the ways from and to that one."""
        query = {"node": node} if node else {}
        return self._decoded(self._ask("GET", "/network/check", query, timeout_s=CHECK_S), NetworkCheckView)
