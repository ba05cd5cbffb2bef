"""Sessions with a simulated container: as much of a shell as the contract asks for, and its files."""

import asyncio
import contextlib
import io
import tarfile

from orion.model.container import File
from orion.model.errors import EngineError, NotFound
from orion.model.sessions import STDERR, STDOUT, Connect, Exec, GetFiles, Output, PutFiles

NOT_FOUND = 127
HELD_PIECES = 16


@contextlib.asynccontextmanager
async def session(purpose, files):
    """`files` of the container, by path."""
    match purpose:
        case Exec(command):
            yield Program(list(command))
        case Connect(port):
            raise EngineError(f"port {port} of the container can't be reached: nothing listens there")
        case GetFiles(path):
            if path not in files:
                raise NotFound(f"there is no {path} in the container")
            yield Files(packed(files[path]))
        case PutFiles(path):
            yield Unpacked(files, path)


def packed(file: File) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(file.path.rpartition("/")[2])
        info.size, info.mode = len(file.content), file.mode
        tar.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()


class Program:
    """cat, echo WORDS, sh -c 'exit N', sh -c 'echo WORD >&2'."""

    def __init__(self, command):
        self._output = asyncio.Queue(HELD_PIECES)
        self._code = 0
        self.cats = command == ["cat"]
        match command:
            case ["cat"]:
                return
            case ["echo", *words]:
                self._output.put_nowait(Output(STDOUT, f"{' '.join(words)}\n".encode()))
            case ["sh", "-c", script] if script.startswith("exit "):
                self._code = int(script.removeprefix("exit "))
            case ["sh", "-c", script] if script.endswith(" >&2"):
                self._output.put_nowait(Output(STDERR, script.removeprefix("echo ")[:-4].encode() + b"\n"))
            case _:
                self._output.put_nowait(Output(STDOUT, b"OCI runtime exec failed: executable file not found\n"))
                self._code = NOT_FOUND
        self._output.put_nowait(None)

    async def read(self):
        return await self._output.get()

    async def write(self, data):
        if self.cats:
            await self._output.put(Output(STDOUT, data))

    async def end_input(self):
        if self.cats:
            await self._output.put(None)

    async def resize(self, columns, rows):
        pass

    async def exit_code(self):
        return self._code


class Files:
    def __init__(self, tar):
        self._pieces = [tar]

    async def read(self):
        return Output(STDOUT, self._pieces.pop()) if self._pieces else None

    async def write(self, data):
        raise EngineError("files that come out take no input")

    async def end_input(self):
        pass

    async def resize(self, columns, rows):
        pass

    async def exit_code(self):
        return 0


class Unpacked(Files):
    def __init__(self, files, path):
        super().__init__(b"")
        self._files, self._path, self._tar = files, path, bytearray()
        self._whole = asyncio.Event()

    async def write(self, data):
        self._tar += data

    async def end_input(self):
        self._whole.set()

    async def read(self):
        await self._whole.wait()
        with tarfile.open(fileobj=io.BytesIO(bytes(self._tar))) as tar:
            for info in tar:
                path = f"{self._path.rstrip('/')}/{info.name}"
                self._files[path] = File(path, tar.extractfile(info).read(), info.mode)
        return
