"""The endpoints of a FakeService, by job; those that are not ready are shown when everything is asked for."""

import asyncio

import msgspec

from orion.model.api.endpoints import EndpointView
from orion.model.errors import NotFound
from orion.node.rpc.reads import ALL


def endpoint(task, *, ready=True, **fields):
    values = {
        "node_id": "node1",
        "address": "172.17.0.2",
        "ports": {"80/tcp": "10.0.0.1:8080"},
        "version": 3,
        "ready_since": "2025-01-01T00:00:00Z" if ready else None,
        "allocation": "000000a1",
    }
    return EndpointView(task=task, ready=ready, **{**values, **fields})


class FakeEndpoints:
    def __init__(self, service):
        self._service = service
        self.of = {"web": [endpoint("web/0"), endpoint("web/1", ready=False)]}
        self.goes_on = False

    def _chosen(self, job, everything):
        if job not in self.of:
            raise NotFound(f"there is no job {job}; 'orion ps' lists tasks, by job")
        return [each for each in self.of[job] if everything or each.ready]

    async def find(self, job, read, *, everything=False):
        await self._service._read(read)
        return self._service.listing(self._chosen(job, everything), "task", ALL)

    async def watch(self, job, *, everything=False):
        await self._service._check()
        yield msgspec.json.encode(self._chosen(job, everything))
        for found in self.of.get(f"{job} later", ()):
            yield msgspec.json.encode(found)
        if self.goes_on:
            await asyncio.Event().wait()
