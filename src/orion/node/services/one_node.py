"""One node's answer for a view of many: why there is none is a part of the view, and no error."""

import asyncio
from typing import TypeVar

import msgspec

from orion.model.errors import OrionError
from orion.model.ids import NodeId
from orion.node.routing.forward import Forward
from orion.node.rpc.request import CallRequest

R = TypeVar("R", bound=msgspec.Struct)


async def answer_or_why(forward: Forward, node: NodeId, request: CallRequest[R], within_s: float) -> R | str:
    """Returns the answer, or in words why it did not come."""
    try:
        async with asyncio.timeout(within_s):
            return await forward.ask_node(node, request, timeout_s=within_s)
    except TimeoutError:
        return f"{node} has not answered within {within_s:g} s"
    except OrionError as error:
        return f"{node} can't be asked: {error.detail}"
