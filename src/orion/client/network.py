"""The cluster's own network, as methods of the client."""

from orion.client.session import Session
from orion.model.api.network import NetworkView


class Network(Session):
    def network(self) -> NetworkView:
        """With how each node's part of it is, as that node says."""
        return self._get("/network", NetworkView)[0]
