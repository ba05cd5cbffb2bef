"""The `Engine` port on a Docker Engine, 20.10 or later. `Docker` is all that others need."""

from orion.adapters.docker.adapter import Docker

__all__ = ["Docker"]
