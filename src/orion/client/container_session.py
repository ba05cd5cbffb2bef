"""A session with a task's container: a program, or a connection to a port."""

from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import msgspec

from orion.client.websocket import WebSocket
from orion.model.api.sessions import EndMessage, ErrorMessage, ExitMessage, FromServer, ResizeMessage
from orion.model.api.websocket import Message, Opcode
from orion.model.errors import OrionError, Refused, Unavailable, by_code

STDIN, STDOUT, STDERR = 0, 1, 2
PIECE_BYTES = 64 * 1024
FULL_BYTES = 128 * 1024  # unsent: whoever writes more waits

_decoder = msgspec.json.Decoder(FromServer)


class Output(msgspec.Struct, frozen=True):
    """`stream` is 1 for stdout, or 2 for stderr."""

    stream: int
    data: bytes


class ContainerSession:
    """Iterate over it for its output; `exit_code` is set at the end. All raise OrionErrors.

    Who reads other things meanwhile calls `wait` with their file descriptors, and then `outputs`.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._ended_input = False
        self._failure: OrionError | None = None  # told once what came before it is taken
        self.exit_code: int | None = None

    @property
    def full(self) -> bool:
        """True while so much waits to be sent that no more input is to be given."""
        return self._socket.unsent_bytes >= FULL_BYTES

    def write(self, data: bytes) -> None:
        """Never waits: see `full`."""
        for at in range(0, len(data), PIECE_BYTES):
            self._socket.send(Opcode.BINARY, bytes((STDIN,)) + data[at : at + PIECE_BYTES])

    def end_input(self) -> None:
        if not self._ended_input:
            self._ended_input = True
            self._socket.send(Opcode.TEXT, msgspec.json.encode(EndMessage()))

    def resize(self, columns: int, rows: int) -> None:
        self._socket.send(Opcode.TEXT, msgspec.json.encode(ResizeMessage(columns, rows)))

    def wait(self, inputs: tuple[int, ...] = (), timeout_s: float | None = None) -> set[int]:
        """Waits until there is output, or one of `inputs` can be read; returns those of them that can."""
        return {self.fileno()} if self._failure is not None else self._socket.wait(inputs, timeout_s)

    def outputs(self) -> list[Output]:
        """Returns what has come."""
        if self._failure is not None:
            raise self._failure
        found = []
        for message in self._socket.receive():
            if message.opcode is Opcode.BINARY and message.data:
                found.append(Output(message.data[0], message.data[1:]))
            else:
                self._heed(message)
        if self._socket.closed and self.exit_code is None and self._failure is None:
            self._failure = Unavailable("the session was closed before its end")
        return found

    def fileno(self) -> int:
        return self._socket.fileno()

    def _heed(self, message: Message) -> None:
        try:
            said = _decoder.decode(message.data)
        except msgspec.MsgspecError as error:
            raise Refused(f"a message of the session is not understood: {error}") from None
        match said:
            case ExitMessage(code):
                self.exit_code = code
            case ErrorMessage(code, detail):
                self._failure = by_code(code, detail)

    def __iter__(self) -> Iterator[Output]:
        waiting: deque[Output] = deque()
        while waiting or self.exit_code is None:
            if waiting:
                yield waiting.popleft()
                continue
            self.wait()
            waiting.extend(self.outputs())

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
