"""Handlers, a file a noun, each below the declaration of its route: parse, call one service method, render."""

from orion.api.endpoint import Endpoint
from orion.api.routes import cluster, configs, history, logs, nodes, snapshot, tasks

_NOUNS = (tasks, logs, history, nodes, configs, cluster, snapshot)

ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for noun in _NOUNS for endpoint in noun.routes.endpoints)
