"""/tasks/{id}/exec, connect and files: sessions with a task's container."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import ASGIApp, Message, Receive, Response
from orion.api.http.request import Call
from orion.api.http.stream import Stream
from orion.api.params import FLAG, Kind, queries, query, text, whole
from orion.api.routes.tasks import TASK
from orion.model.errors import Refused, Unavailable
from orion.model.sessions import (
    MAX_NAME,
    MAX_PATH,
    MAX_PORT,
    MAX_WINDOW,
    Connect,
    Exec,
    Exited,
    GetFiles,
    Input,
    InputEnd,
    Purpose,
    PutFiles,
    purpose_fault,
)
from orion.node.services.sessions import Session

PATIENCE_S = 60.0  # for an engine to say that there is no such file; then the head of the answer is sent
BODY_SILENCE_S = 60.0
TAR = "application/x-tar"

routes = Routes()

_WINDOW = Kind(whole, type="integer", minimum=0, maximum=MAX_WINDOW)
_NAME = Kind(str, type="string", maxLength=MAX_NAME)
_PATH = Kind(str, **text(r"^/[^\x00]*$", MAX_PATH))

COMMAND = queries("command", "the program, and further ones its arguments", required=True)
TTY = query("tty", FLAG, False, "in a terminal of its own: stdout and stderr are one, keys as Ctrl-C reach it")
STDIN = query("stdin", FLAG, False, "it gets what the client sends; without, its input is empty")
USER = query("user", _NAME, "", "the user that it runs as; the container's, if none")
WORKDIR = query("workdir", Kind(str, type="string", maxLength=MAX_PATH), "", "its folder")
ENV = queries("env", "a variable more, NAME=VALUE")
COLUMNS = query("columns", _WINDOW, 0, "with tty: the width of the client's terminal")
ROWS = query("rows", _WINDOW, 0, "with tty: its height")
PORT = query(
    "port", Kind(whole, type="integer", minimum=1, maximum=MAX_PORT), 0, "of the container, TCP", required=True
)
PATH = query("path", _PATH, "", "a file or a folder of the container", required=True)
FOLDER = query("path", _PATH, "", "a folder of the container, which is there", required=True)

_MESSAGES = (
    "Binary messages are a byte for the stream (0 stdin, 1 stdout, 2 stderr) and its data; texts are JSON, "
    '{"type":"end"} and {"type":"resize","columns":80,"rows":24} from the client, {"type":"exit","code":0} or '
    '{"type":"error","code":…,"detail":…} as the last of the server'
)


def _checked(purpose: Purpose) -> Purpose:
    if fault := purpose_fault(purpose):
        raise Refused(fault)
    return purpose


def _socket(call: Call, purpose: Purpose) -> ASGIApp:
    from orion.api.http.session import SessionSocket

    checked = _checked(purpose)
    return SessionSocket(call.limits, call.scope, lambda: call.service.session(call[TASK], checked))


@routes.add(
    "GET",
    "/tasks/{id}/exec",
    f"Run a program in a task's container, as a WebSocket. {_MESSAGES}",
    Scope.DEPLOY,
    params=(TASK, COMMAND, TTY, STDIN, USER, WORKDIR, ENV, COLUMNS, ROWS),
    status=101,
    socket=True,
)
async def exec_(call: Call) -> ASGIApp:
    purpose = Exec(
        command=call[COMMAND],
        tty=call[TTY],
        stdin=call[STDIN],
        user=call[USER],
        workdir=call[WORKDIR],
        env=call[ENV],
        columns=call[COLUMNS],
        rows=call[ROWS],
    )
    return _socket(call, purpose)


@routes.add(
    "GET",
    "/tasks/{id}/connect",
    "Connect to a port of a task's container, as a WebSocket. Messages are as of exec: stdin goes to the port, "
    "what comes from it is stdout",
    Scope.DEPLOY,
    params=(TASK, PORT),
    status=101,
    socket=True,
)
async def connect(call: Call) -> ASGIApp:
    return _socket(call, Connect(call[PORT]))


@routes.add(
    "GET",
    "/tasks/{id}/files",
    "A file or a folder of a task's container, as a tar",
    Scope.DEPLOY,
    params=(TASK, PATH),
    media=TAR,
    goes_on=True,
)
async def files(call: Call) -> Stream:
    purpose = _checked(GetFiles(call[PATH]))
    return Stream(call.limits, _tar(call.service.session(call[TASK], purpose)), TAR, patience_s=PATIENCE_S)


async def _tar(opening: contextlib.AbstractAsyncContextManager[Session]) -> AsyncGenerator[bytes, None]:
    async with opening as session:
        while not isinstance(said := await session.receive(), Exited):
            yield said.data


@routes.add(
    "PUT",
    "/tasks/{id}/files",
    "Unpack a tar into a folder of a task's container",
    Scope.DEPLOY,
    params=(TASK, FOLDER),
    raw_body=TAR,
    status=204,
)
async def put_files(call: Call) -> Response:
    purpose = _checked(PutFiles(call[FOLDER]))
    try:
        async with (
            call.limits.limit(None, waits=True),
            call.service.session(call[TASK], purpose) as session,
            asyncio.TaskGroup() as group,
        ):
            sending = group.create_task(_send(call.receive, session))
            while not isinstance(await session.receive(), Exited):
                pass
            sending.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return Response(status=204)


async def _send(receive: Receive, session: Session) -> None:
    while True:
        try:
            async with asyncio.timeout(BODY_SILENCE_S):
                message: Message = await receive()
        except TimeoutError:
            raise Unavailable(f"nothing of the files came for {BODY_SILENCE_S:g} s") from None
        if message["type"] == "http.disconnect":
            raise Refused("the connection was closed before all of the files had come")
        if data := message.get("body", b""):
            await session.send(Input(data))
        if not message.get("more_body", False):
            await session.send(InputEnd())
            return
