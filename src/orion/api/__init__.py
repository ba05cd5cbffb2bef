"""HTTP handlers: parse, call one service method, render. No decisions."""

from orion.api.app import App, create_app
from orion.api.http.server import Server, listen

__all__ = ["App", "Server", "create_app", "listen"]
