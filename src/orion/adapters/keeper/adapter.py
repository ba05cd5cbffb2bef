"""Fulfils ports.Keeper: begins the keeper's process where there is none, and tells it by its socket."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from orion.model.ids import AllocationId, allocation_text
from orion.ports.keeper import KeeperFailed

_SOCKET = "keeper.sock"
_START_S = 5.0
_ANSWER_S = 5.0
_AGAIN_S = 0.02


class KeeperProcess:
    """`directory`: of this node's data, where the socket and what the keeper says are. `label` is the one of
    containers that holds their allocation, `engine` as process.py has it.
    """

    def __init__(self, directory: Path, label: str, engine: Mapping[str, Any]) -> None:
        self._directory = directory
        self._child = 0
        self._kept: set[AllocationId] = set()
        self._label = label
        self._engine = msgspec.json.encode(engine).decode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def renew(self, until_ms: Mapping[AllocationId, int], ended: Collection[AllocationId] = ()) -> None:
        told = {
            "until": {allocation_text(each): time_ms / 1000 for each, time_ms in until_ms.items()},
            "ended": [allocation_text(each) for each in ended],
        }
        line = msgspec.json.encode(told) + b"\n"
        async with self._turn:
            try:
                async with asyncio.timeout(_START_S + _ANSWER_S):
                    if not await self._told(line):  # it was killed, or ended by itself
                        await self._told(line, again=True)
                self._kept = (self._kept | until_ms.keys()) - set(ended)
                if not self._kept:  # it may end
                    await self.close()
            except (OSError, TimeoutError) as error:
                await self.close()
                words = str(error) or "it does not answer"
                raise KeeperFailed(
                    f"the keeper in {self._directory} could not be told what to watch: {words}"
                ) from None

    async def close(self) -> None:
        """Leaves it to itself."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _told(self, line: bytes, *, again: bool = False) -> bool:
        if self._streams is None:
            self._streams = await self._connected()
        reader, writer = self._streams
        try:
            writer.write(line)
            await writer.drain()
            if await reader.readline() == b"ok\n":
                return True
        except ConnectionError:
            pass
        await self.close()
        if again:
            raise ConnectionResetError("it hangs up")
        return False

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            return await self._opened()
        await asyncio.to_thread(self._begin)
        async with asyncio.timeout(_START_S):
            while True:
                with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
                    return await self._opened()
                await asyncio.sleep(_AGAIN_S)

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The path of a socket has at most 107 bytes, a directory's any number."""
        directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
        try:
            return await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{_SOCKET}")
        finally:
            os.close(directory)

    def _begin(self) -> None:
        """In a session of its own: what ends this process does not end it."""
        if self._child:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._child, os.WNOHANG)  # the former one has ended
        (self._directory / _SOCKET).unlink(missing_ok=True)
        program = str(Path(__file__).with_name("process.py"))
        arguments = ["-I", "-S", program, str(self._directory), _SOCKET, self._label, self._engine]
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._child = os.posix_spawn(
            sys.executable,
            [sys.executable, *arguments],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(self._directory / "keeper.log"), append, 0o600),
            ],
            setsid=True,
        )
