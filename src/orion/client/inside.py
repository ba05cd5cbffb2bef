"""A look inside tasks: programs, ports, files and use of their containers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from orion.client.container_session import ContainerSession
from orion.client.session import Session, path_of
from orion.client.sse import messages
from orion.client.transport import MARGIN_S
from orion.model.api.stats import StatsView
from orion.model.errors import Refused

TAR = "application/x-tar"
FILES_SILENCE_S = 70.0  # the node gives up first, and says why
STATS_SILENCE_S = 10.0
BEGIN_S = 70.0  # for a session: an engine under load takes its time


class Inside(Session):
    """A look into tasks. `task`: `job/index`, or `job` alone for its first task that runs."""

    def exec(
        self,
        task: str,
        command: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        user: str = "",
        workdir: str = "",
        env: Mapping[str, str] | None = None,
        columns: int = 0,
        rows: int = 0,
    ) -> ContainerSession:
        """Runs a program in the task's container. Closed before its end, it goes on without input or output."""
        query = [("command", word) for word in command]
        query += [("env", f"{name}={value}") for name, value in (env or {}).items()]
        flags = {"tty": tty, "stdin": stdin}
        texts = {"user": user, "workdir": workdir, "columns": str(columns or ""), "rows": str(rows or "")}
        query += [(name, "1") for name, given in flags.items() if given]
        query += [(name, text) for name, text in texts.items() if text]
        return ContainerSession(self._transport.websocket(_path(task, "exec"), query, BEGIN_S))

    def connect(self, task: str, port: int) -> ContainerSession:
        """Connects to a TCP port of the task's container. What is written goes there; its output comes back."""
        return ContainerSession(self._transport.websocket(_path(task, "connect"), [("port", str(port))], BEGIN_S))

    def get_files(self, task: str, path: str) -> Iterator[bytes]:
        """Yields a tar of a file, or of a folder with all in it. Raises Unavailable when it breaks off."""
        connect_s = FILES_SILENCE_S
        return self._transport.stream(
            _path(task, "files"), {"path": path}, self._headers({}), connect_s, FILES_SILENCE_S, TAR
        )

    def put_files(self, task: str, path: str, tar: Iterable[bytes]) -> None:
        """Unpacks a tar, in pieces, into the folder `path` of the task's container."""
        headers = {"Content-Type": TAR}
        self._transport.upload(_path(task, "files"), {"path": path}, headers, tar, FILES_SILENCE_S)

    def stats(self, task: str, *, follow: bool = False) -> Iterator[StatsView]:
        """Yields what the task uses: once, or every second or so until its container ends."""
        path = _path(task, "stats")
        wait_s = self._timeout_s + MARGIN_S
        if not follow:
            yield _understood(self._transport.ask("GET", path, {}, self._headers({}), None, wait_s).body)
            return
        query, media = {"follow": "1"}, "text/event-stream"
        chunks = self._transport.stream(path, query, self._headers({}), wait_s, STATS_SILENCE_S, media)
        for message in messages(chunks):
            yield _understood(message.data.encode())


def _understood(data: bytes) -> StatsView:
    try:
        return msgspec.json.decode(data, type=StatsView)
    except msgspec.MsgspecError as error:
        raise Refused(f"the node that was asked is not an Orion of this version: {error}") from None


def _path(task: str, what: str) -> str:
    return f"{path_of('/tasks', task)}/{what}"
