"""The `Engine` port on a Docker Engine, 20.10 or later. `Docker` is all that others need.

Importing this is cheap: aiodocker, which takes a quarter of a second, is imported with the first call.
"""

from orion.adapters.docker.adapter import Docker

__all__ = ["Docker"]
