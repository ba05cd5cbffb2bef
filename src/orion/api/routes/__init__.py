"""Handlers, a file a noun, each below the declaration of its route: parse, call one service method, render.

Each module here is a noun, and declares its `routes`.
"""

from orion.api.endpoint import Endpoint
from orion.model.nouns import nouns_of

ENDPOINTS: tuple[Endpoint, ...] = tuple(
    endpoint for noun in nouns_of(__name__, __path__) for endpoint in noun.routes.endpoints
)
