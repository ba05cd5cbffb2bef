"""Sessions with a container: a program in it, a connection to one of its ports, files out of it and into it."""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from orion.adapters.docker import decode, errors
from orion.adapters.docker.connection import WORK_S, Connection
from orion.adapters.docker.frames import STDERR as ERROR_STREAM
from orion.adapters.docker.frames import Frames
from orion.adapters.docker.http import Answer, Refused, Upload
from orion.adapters.docker.streams import pieces
from orion.model.errors import EngineError, NotFound
from orion.model.sessions import STDERR, STDOUT, Connect, Exec, GetFiles, Output, Purpose, PutFiles
from orion.ports.engine import EngineSession

CONNECT_S = 5.0
ENDED_S = 10.0  # for the engine to say how a program ended whose output has come to its end
SILENCE_S = 60.0  # of an archive
PIECE_BYTES = 64 * 1024
# Docker takes these keys out of a terminal's input to detach from it, and holds a first one back until it knows the
# next. Its own choice begins with Ctrl-P, which shells use.
DETACH_KEYS = "ctrl-^,ctrl-_,ctrl-^,ctrl-_"
# As in shells. Some engines say the one where they mean the other.
NOT_RUN, NOT_FOUND = 126, 127
_NOT_FOUND = rb"[\s\S]{0,8}OCI runtime exec failed: .*(executable file not found|no such file)"
_TAR = "application/x-tar"


@contextlib.asynccontextmanager
async def open_session(
    connection: Connection, container: str, purpose: Purpose, *, local: bool
) -> AsyncGenerator[EngineSession, None]:
    """As ports.engine has it. `local`: the engine's networks are this machine's."""
    match purpose:
        case Exec():
            opened: Any = _exec(connection, container, purpose)
        case Connect(port):
            opened = _connected(connection, container, port, local=local)
        case GetFiles(path):
            opened = _files_out(connection, container, path)
        case PutFiles(path):
            opened = _files_in(connection, container, path)
    async with opened as session:
        yield session


# --- a program -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _exec(connection: Connection, container: str, asked: Exec) -> AsyncGenerator[EngineSession, None]:
    config = {
        "AttachStdin": asked.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": asked.tty,
        "DetachKeys": DETACH_KEYS,
        "Cmd": asked.command,
        "User": asked.user,
        "WorkingDir": asked.workdir,
        "Env": asked.env,
    }
    late = errors.late("run the command")
    async with connection.calling(late, WORK_S) as api:
        made = str((await api.ask("POST", f"containers/{container}/exec", body=config))["Id"])
    start = {"Detach": False, "Tty": asked.tty}
    async with connection.streaming(
        "POST", f"exec/{made}/start", {}, body=start, late=late, deadline_s=WORK_S, upgrade=True
    ) as answer:
        session = _Program(connection, made, answer, tty=asked.tty)
        if asked.tty and asked.columns and asked.rows:
            await session.resize(asked.columns, asked.rows)
        yield session


class _Program:
    """Without a terminal its output comes in frames that name the stream, with one as it is."""

    def __init__(self, connection: Connection, id_: str, answer: Answer, *, tty: bool) -> None:
        self._connection = connection
        self._id = id_
        self._answer = answer
        self._frames = None if tty else Frames()
        self._read: deque[Output] = deque()
        self._missing = False  # the engine says that there is no such program

    async def read(self) -> Output | None:
        while not self._read:
            with self._connection.translating():
                piece = await self._answer.piece()
            if not piece:
                return None
            self._missing = self._missing or re.match(_NOT_FOUND, piece) is not None
            if self._frames is None:
                return Output(STDOUT, piece)
            for frame in self._frames.feed(piece):
                self._read.append(Output(STDERR if frame.stream == ERROR_STREAM else STDOUT, frame.data))
        return self._read.popleft()

    async def write(self, data: bytes) -> None:
        try:
            await self._answer.write(data)
        except OSError as error:
            raise EngineError(f"the program takes no more input ({error})") from None

    async def end_input(self) -> None:
        """With TLS a half of a connection can't be closed: there the program waits on."""
        if self._answer.can_end:
            self._answer.end()

    async def resize(self, columns: int, rows: int) -> None:
        params = {"h": str(rows), "w": str(columns)}
        async with self._connection.calling(errors.late("resize the terminal")) as api:
            with contextlib.suppress(Refused):  # it has ended, or has no terminal
                await api.ask("POST", f"exec/{self._id}/resize", params)

    async def exit_code(self) -> int:
        async with self._connection.calling(errors.late("say how the program ended"), ENDED_S) as api:
            pause_s = 0.01
            while (shown := await api.ask("GET", f"exec/{self._id}/json"))["Running"]:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, 0.5)
            code = int(shown["ExitCode"])
            return NOT_FOUND if code == NOT_RUN and self._missing else code


# --- a port --------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _connected(
    connection: Connection, container: str, port: int, *, local: bool
) -> AsyncGenerator[EngineSession, None]:
    if not local:
        raise EngineError(f"the engine at {connection.docker_host} is on another machine, so are its ports")
    async with connection.calling(errors.late("show the container")) as api:
        shown = await api.ask("GET", f"containers/{container}/json")
    with connection.translating():
        address = _address(shown)
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(address, port, limit=PIECE_BYTES)
    except TimeoutError:
        raise EngineError(f"nothing answers at port {port} of the container ({address})") from None
    except OSError as error:
        why = "nothing listens there" if isinstance(error, ConnectionRefusedError) else error.strerror or error
        raise EngineError(f"port {port} of the container ({address}) can't be reached: {why}") from None
    try:
        yield _Socket(reader, writer)
    finally:
        writer.transport.abort()


def _address(shown: dict[str, Any]) -> str:
    if not shown["State"]["Running"]:
        raise EngineError("the container does not run")
    if shown["HostConfig"].get("NetworkMode") == "host":
        return "127.0.0.1"
    found = decode.addresses(shown.get("NetworkSettings") or {})
    if not found:
        raise EngineError("the container has no address of its own")
    return found[0][0]


class _Socket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> Output | None:
        try:
            data = await self._reader.read(PIECE_BYTES)
        except OSError as error:
            raise EngineError(f"the connection to the container broke ({error})") from None
        return Output(STDOUT, data) if data else None

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise EngineError(f"the connection to the container broke ({error})") from None

    async def end_input(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    async def resize(self, columns: int, rows: int) -> None:
        pass

    async def exit_code(self) -> int:
        return 0


# --- files ---------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _files_out(connection: Connection, container: str, path: str) -> AsyncGenerator[EngineSession, None]:
    late = errors.late("give the container's files")
    try:
        async with connection.streaming(
            "GET", f"containers/{container}/archive", {"path": path}, late=late, deadline_s=WORK_S, refused=_told
        ) as answer:
            yield _Archive(connection, answer)
    except _Missing:
        raise NotFound(f"there is no {path} in the container") from None


class _Missing(EngineError):
    """The engine says "Could not find the file /x in container abc"."""


def _told(status: int, message: str) -> EngineError:
    if status == 404 and "No such container" not in message:
        return _Missing(message)
    return errors.refusal(status, message)


class _Archive:
    """A tar that comes out."""

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._pieces = pieces(answer, SILENCE_S)

    async def read(self) -> Output | None:
        with self._connection.translating():
            piece = await anext(self._pieces, None)
        return Output(STDOUT, piece) if piece else None

    async def write(self, data: bytes) -> None:  # noqa: ARG002 -- the port's signature
        raise EngineError("files that come out of a container take no input")

    async def end_input(self) -> None:
        pass

    async def resize(self, columns: int, rows: int) -> None:
        pass

    async def exit_code(self) -> int:
        return 0


@contextlib.asynccontextmanager
async def _files_in(connection: Connection, container: str, path: str) -> AsyncGenerator[EngineSession, None]:
    late = errors.late("take the container's files")
    # Docker removes a folder that is in a file's way, all that is in it too, unless told not to.
    params = {"path": path, "noOverwriteDirNonDir": "true"}
    try:
        async with connection.uploading(
            "PUT", f"containers/{container}/archive", params, content_type=_TAR, late=late
        ) as upload:
            yield _Unpacked(connection, upload)
    except _Missing:
        raise NotFound(f"there is no folder {path} in the container") from None


class _Unpacked:
    """A tar that goes in. Its only output is its end."""

    def __init__(self, connection: Connection, upload: Upload) -> None:
        self._connection = connection
        self._upload = upload
        self._whole = asyncio.Event()  # or the engine wants no more of it

    async def read(self) -> Output | None:
        await self._whole.wait()
        with self._connection.translating(_told):
            async with asyncio.timeout(SILENCE_S):
                await self._upload.finish()
        return None

    async def write(self, data: bytes) -> None:
        try:
            await self._upload.write(data)
        except OSError as error:
            if not self._upload.answered:
                self._whole.set()
                raise EngineError(f"the Docker Engine takes no more of the files ({error})") from None
        if self._upload.answered:
            self._whole.set()

    async def end_input(self) -> None:
        self._whole.set()

    async def resize(self, columns: int, rows: int) -> None:
        pass

    async def exit_code(self) -> int:
        return 0
