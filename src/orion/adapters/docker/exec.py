"""A command in a container that runs, to its end."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from orion.adapters.docker import errors
from orion.adapters.docker.connection import Connection
from orion.adapters.docker.frames import Frames
from orion.adapters.docker.streams import pieces
from orion.model.container import ExecResult
from orion.model.errors import EngineDown, EngineError

log = logging.getLogger(__name__)

OUTPUT_BYTES = 4 * 1024  # the end of what it writes


async def run_command(
    connection: Connection, container: str, command: Sequence[str], timeout_ms: int, *, local: bool
) -> ExecResult:
    """As in ports/engine.py. `local`: the engine is this machine's, so that a process may be killed from here. The
    Engine API has nothing that ends a command.
    """
    late = errors.late("run a command in the container")
    asked = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
    async with connection.calling(late) as api:
        made = await api.ask("POST", f"containers/{container}/exec", body=asked)
        id_ = str(made["Id"])
    output = bytearray()
    try:
        async with asyncio.timeout(timeout_ms / 1000) as within:
            await _read(connection, id_, output)
    except TimeoutError:
        if not within.expired():
            raise
        if local:
            await _kill(connection, id_, container)
        return ExecResult(None, output.decode(errors="replace"))
    async with connection.calling(late) as api:
        shown = await api.ask("GET", f"exec/{id_}/json")
        code = shown["ExitCode"]
    if code is None:
        raise EngineError("the Docker Engine does not say how the command ended")
    return ExecResult(int(code), output.decode(errors="replace"))


async def _read(connection: Connection, id_: str, output: bytearray) -> None:
    """Starts it, and adds what it writes to the output."""
    late = errors.late("run a command in the container")
    how = {"Detach": False, "Tty": False}
    frames = Frames()
    opened = connection.streaming("POST", f"exec/{id_}/start", {}, body=how, late=late, upgrade=True)
    async with opened as answer:
        async for piece in pieces(answer, None):
            for frame in frames.feed(piece):
                output += frame.data
            del output[:-OUTPUT_BYTES]


async def _kill(connection: Connection, id_: str, container: str) -> None:
    """Kills it, where it can be killed from here; else it runs on in its container, and ends with it."""
    try:
        async with connection.calling(errors.late("show the command")) as api:
            shown = await api.ask("GET", f"exec/{id_}/json")
            pid = int(shown["Pid"]) if shown["Running"] else 0
        if pid > 0 and await asyncio.to_thread(_kill_in, container, pid):
            return
        log.debug("a command that takes too long runs on in container %s", container[:12])
    except EngineDown:
        raise
    except EngineError as error:
        log.debug("a command in container %s may run on: %s", container[:12], error.detail)


def _kill_in(container: str, pid: int) -> bool:
    """Returns whether the process was there: of this machine by that number, and in that container. It blocks."""
    if not hasattr(os, "pidfd_open"):
        return False
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            if container in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii", errors="replace"):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                return True
        finally:
            os.close(process)
    return False
