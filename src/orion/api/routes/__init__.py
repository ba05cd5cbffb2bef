"""Handlers, a file a noun, each below the declaration of its route: parse, call one service method, render."""

from orion.api.endpoint import Endpoint
from orion.api.routes import cluster, configs, logs, nodes, snapshot, tasks

ENDPOINTS: tuple[Endpoint, ...] = tuple(
    endpoint for noun in (tasks, logs, nodes, configs, cluster, snapshot) for endpoint in noun.routes.endpoints
)
