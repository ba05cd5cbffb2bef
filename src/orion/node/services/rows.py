"""Single rows of any table of the state, by key: a noun that is only looked up needs nothing of its own here."""

from typing import Any, TypeVar

import msgspec

from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest
from orion.node.services.freshness import Freshness
from orion.ports.peers import Principal
from orion.state.core.frames import frame_tag
from orion.state.core.table import KeyedTable
from orion.state.tables import TABLES

Row = TypeVar("Row")

MAX_KEY = 1_024  # characters

_TABLES: dict[int, type[KeyedTable[Any, Any]]] = {
    frame_tag(table.rows_frame): table for table in TABLES if issubclass(table, KeyedTable)
}


class AskRow(CallRequest[tuple[bytes | None, int]], frozen=True, tag=23):
    """The row of the table whose frames have this tag, None where there is none of that key."""

    frame: int
    key: str
    read: Read

    def fault(self) -> str:
        if self.frame not in _TABLES:
            return f"{self.frame} is no table's"
        long = len(self.key)
        return f"a key of {long:,} characters; at most {MAX_KEY:,} are taken" if long > MAX_KEY else ""


class Rows:
    """As service.Service has it."""

    def __init__(self, *, driver: RaftDriver, forward: Forward, registry: Registry, freshness: Freshness) -> None:
        self._driver = driver
        self._forward = forward
        self._freshness = freshness
        registry.answer_call(AskRow, self._answer_row)

    async def get(self, table: type[KeyedTable[Any, Row]], key: str, read: Read) -> tuple[Row | None, int]:
        data, index = await self._forward.ask(AskRow(frame_tag(table.rows_frame), key, read))
        return (None if data is None else msgspec.msgpack.decode(data, type=table.row_type())), index

    async def _answer_row(self, request: AskRow, _: Principal) -> tuple[bytes | None, int]:
        await self._freshness.reached(request.read)
        row = self._driver.view.of(_TABLES[request.frame]).get(request.key)
        return (None if row is None else msgspec.msgpack.encode(row)), self._driver.applied_index
