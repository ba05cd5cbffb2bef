"""Sessions and use of containers, as a FakeService has them."""

import asyncio
import contextlib

from orion.model.errors import NotFound, Unavailable
from orion.model.sessions import STDERR, STDOUT, Connect, Exec, Exited, GetFiles, Input, InputEnd, Output, PutFiles
from orion.model.stats import ContainerStats

READING = ContainerStats(1_735_689_600_000, 250, 64_000_000, 0, 1, 2, 3, 4, 5)


class FakeSession:
    """The programs are cat, exit N, both (a word on each stream), flood and fail."""

    def __init__(self, purpose):
        self.purpose = purpose
        self.typed = []
        self.closed = False
        self._output = asyncio.Queue(4)
        match purpose:
            case Exec(("exit", code)):
                self._say(Exited(int(code)))
            case Exec(("both",)):
                self._say(Output(STDOUT, b"out"), Output(STDERR, b"err"), Exited(0))
            case Exec(("fail",)):
                self._say(Output(STDOUT, b"begun"), Unavailable("node2 has gone"))
            case Exec(("flood",)):
                self.floods = True
            case GetFiles():
                self._say(Output(STDOUT, b"a tar"), Exited(0))
            case Exec(("cat",)) | Exec(("hang",)) | Connect() | PutFiles():
                pass

    floods = False

    def _say(self, *items):
        for item in items:
            self._output.put_nowait(item)

    async def send(self, typed):
        self.typed.append(typed)
        if isinstance(typed, InputEnd):
            await self._output.put(Exited(0))
        elif isinstance(typed, Input) and not isinstance(self.purpose, PutFiles):
            await self._output.put(Output(STDOUT, typed.data))

    async def receive(self):
        if self.floods:
            await asyncio.sleep(0)
            return Output(STDOUT, bytes(65_536))
        item = await self._output.get()
        if isinstance(item, Exception):
            raise item
        return item


class FakeSessions:
    """A part of FakeService."""

    def begin_sessions(self):
        self.sessions = []
        self.checks_of = {}  # RunChecksViews, or an error, by the task's id

    @contextlib.asynccontextmanager
    async def session(self, task, purpose):
        if task not in {"web", "web/0"}:
            raise NotFound(f"there is no task {task}")
        session = FakeSession(purpose)
        self.sessions.append(session)
        try:
            yield session
        finally:
            session.closed = True

    async def checks(self, task, *, timeout_s):
        found = self.checks_of.get(task if "/" in task else f"{task}/0")
        if found is None:
            raise NotFound(f"there is no task {task}")
        if isinstance(found, Exception):
            raise found
        return found

    async def stats(self, task, *, follow):
        if task not in {"web", "web/0"}:
            raise NotFound(f"there is no task {task}")
        for _ in range(3 if follow else 1):
            yield "000000a1", "node1", READING
