"""The networks of a FakeService: the default one, and those that are made."""

from orion.model.api.network import NetworkDetailView, NetworkSubnetView, NetworkSummaryView, NetworkTaskView
from orion.model.errors import Conflict, NotFound

_MADE_AT = "2025-01-01T00:00:00Z"


class FakeNetworks:
    def __init__(self):
        self.internal = {"default": False}
        self.jobs = {"default": ["web"]}

    async def find(self, _read):
        return [
            NetworkSummaryView(name, internal, 1, 1, None if name == "default" else _MADE_AT)
            for name, internal in self.internal.items()
        ]

    async def get(self, name, _read=None):
        self._require(name)
        return NetworkDetailView(
            name=name,
            internal=self.internal[name],
            vni=4200,
            bridge="orion0",
            device="orion.vx",
            created_at=None,
            jobs=self.jobs.get(name, []),
            subnets=[NetworkSubnetView("node1", "10.200.1.0/24", 1)],
            tasks=[NetworkTaskView("web/0", "node1", "10.200.1.2", True)],
        )

    async def create(self, request, *, idempotency_key, timeout_s):
        if request.name in self.internal:
            raise Conflict(f"a network {request.name} is there already; choose another name: orion network ls")
        self.internal[request.name] = request.internal
        return await self.get(request.name)

    async def remove(self, name, *, idempotency_key, timeout_s):
        self._require(name)
        if self.jobs.get(name):
            raise Conflict(f"network {name} is named by {self.jobs[name][0]}")
        del self.internal[name]

    def _require(self, name):
        if name not in self.internal:
            raise NotFound(f"there is no network {name}; orion network ls lists them")
