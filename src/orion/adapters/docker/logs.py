"""Docker's log stream: stdout and stderr in frames of one connection (Engine API, "Stream format")."""

import struct
from collections.abc import AsyncGenerator, AsyncIterator

from orion.model.container import LogQuery

_HEADER = struct.Struct(">BxxxL")  # which stream, how many bytes follow


def log_params(query: LogQuery) -> dict[str, str]:
    params = {
        "follow": str(int(query.follow)),
        "stdout": str(int(query.stdout)),
        "stderr": str(int(query.stderr)),
        "tail": "all" if query.tail is None else str(query.tail),
    }
    if query.since_ms:
        params["since"] = f"{query.since_ms // 1000}.{query.since_ms % 1000:03d}000000"
    return params


async def unframed(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The bytes without the headers, passed on as they come: a frame is never held back until it is whole."""
    pending = b""
    due = 0  # bytes of the present frame that have not come yet
    async for chunk in body:
        pending += chunk
        out = bytearray()
        while pending:
            if not due:
                if len(pending) < _HEADER.size:
                    break
                _, due = _HEADER.unpack_from(pending)
                pending = pending[_HEADER.size :]
            out += pending[:due]
            pending, due = pending[due:], due - min(due, len(pending))
        if out:
            yield bytes(out)
