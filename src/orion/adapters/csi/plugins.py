"""`GrpcPlugins`: loads gRPC with the first plugin."""

import asyncio
import importlib
from collections.abc import Mapping
from typing import cast

from orion.ports.csi import CsiPlugin

_MODULE = "orion.adapters.csi.adapter"


class GrpcPlugins:
    """`deadlines_s`: by the call's name, where they differ from those in calls.py."""

    def __init__(self, deadlines_s: Mapping[str, float] | None = None) -> None:
        self._deadlines_s = deadlines_s

    async def open(self, socket: str) -> CsiPlugin:
        """As the port says. Loading takes a fifth of a second of a slow core, so it is done beside the loop."""
        module = await asyncio.to_thread(importlib.import_module, _MODULE)
        return cast("CsiPlugin", module.GrpcPlugin(socket, self._deadlines_s))
