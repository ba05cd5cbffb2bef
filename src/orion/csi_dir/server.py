"""Serves the plugin's methods by gRPC at a Unix socket."""

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.message import Message
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

from orion.csi_dir.failed import Failed
from orion.wire.csi.methods import METHODS, Method

log = logging.getLogger("csi-dir")

MAX_CALLS = 64  # at once; more are told to come again
LAST_CALLS_S = 20.0  # for calls under way when the plugin ends

Answer = Callable[[Any], Message]


class Calls:
    """Every method of CSI, of which `answers` has those that this process serves. They block, so each runs in a
    thread; and goes on when its caller has left, so that copying a large volume comes to its end: who asks
    again meanwhile is answered ABORTED.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self._running: set[asyncio.Task[Message | Failed]] = set()

    def __mapping__(self) -> dict[str, Handler]:
        return {
            method.path: Handler(self._handler(name), Cardinality.UNARY_UNARY, method.request, method.reply)
            for name, method in METHODS.items()
        }

    async def finished(self) -> None:
        """Returns when no call is under way, or after LAST_CALLS_S."""
        if self._running:
            await asyncio.wait(self._running, timeout=LAST_CALLS_S)

    def _handler(self, name: str) -> Callable[[Stream[Any, Any]], Any]:
        answer = self._answers.get(name)

        async def handle(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            if answer is None or request is None:
                raise GRPCError(Status.UNIMPLEMENTED, f"this part of the plugin does not have {name}")
            if len(self._running) >= MAX_CALLS:
                raise GRPCError(Status.UNAVAILABLE, f"{MAX_CALLS} calls are under way")
            running = asyncio.create_task(asyncio.to_thread(_answered, name, answer, request))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
            done = await asyncio.shield(running)
            if isinstance(done, Failed):
                raise GRPCError(done.status, done.words)
            await stream.send_message(done)

        return handle


def _answered(name: str, answer: Answer, request: Message) -> Message | Failed:
    """Returns also what went wrong: nobody may be there any more to be raised at."""
    try:
        done: Message | Failed = answer(request)
    except Failed as error:
        done = error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        done = Failed(Status.RESOURCE_EXHAUSTED if full else Status.INTERNAL, str(error))
    except msgspec.DecodeError as error:
        done = Failed(Status.DATA_LOSS, f"a record is damaged: {error}")
    if isinstance(done, Failed):
        log.info("%s: %s: %s", name, done.status.name, done.words)
    return done


async def serve(socket: Path, answers: Mapping[str, Answer], ended: asyncio.Event) -> None:
    """Answers at the socket until `ended`. Only its owner may connect: who can, can mount."""
    calls = Calls(answers)
    server = Server([calls])
    former = os.umask(0o177)
    try:
        await server.start(path=str(socket))  # in the place of a former process's socket
    finally:
        os.umask(former)
    try:
        log.info("serving at %s", socket)
        await ended.wait()
    finally:
        server.close()
        await calls.finished()
        await server.wait_closed()


def methods_of(*services: object) -> dict[str, Answer]:
    """Returns the methods that these objects have, by their names in the specification."""
    return {name: getattr(each, name) for each in services for name in METHODS if hasattr(each, name)}


__all__ = ["Method", "methods_of", "serve"]
