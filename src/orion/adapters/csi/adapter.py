"""`GrpcPlugin`: one plugin, by its Unix socket."""

from collections.abc import Mapping

from orion.adapters.csi.calls import Caller
from orion.adapters.csi.controller import Controller
from orion.adapters.csi.identity import Identity
from orion.adapters.csi.node import Node


class GrpcPlugin(Identity, Controller, Node):
    def __init__(self, socket: str, deadlines_s: Mapping[str, float] | None = None) -> None:
        self.socket = socket
        self._caller = Caller(socket, deadlines_s)

    async def close(self) -> None:
        await self._caller.close()
