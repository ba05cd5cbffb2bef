"""A Service that answers from memory, and a real HTTP server of api/ on it in a thread."""

import asyncio
import contextlib
import http.client
import json
import math
import os
import threading
from collections.abc import AsyncGenerator, Iterator

import msgspec

from orion.api import Server, create_app, listen
from orion.model.api.cluster import MemberView, RaftView
from orion.model.api.codec import job_from_request
from orion.model.api.network import NetworkCheckView, NetworkNodeView, NetworkView, NodeCheckView, WayView
from orion.model.api.nodes import Amounts, NodeView
from orion.model.api.rebalance import MoveView, RebalanceView
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.api.watch import Noun
from orion.model.container import LogEntry, LogQuery
from orion.model.errors import Conflict, NotFound
from orion.model.events import ALL_EVENTS, Event, EventChoice
from orion.model.figures import Figure, FigureKind, Sample, gauge, gauges
from orion.model.logs import LogItem, LogPiece, LogPosition, Mark
from orion.node.rpc.lists import CHUNK_BYTES
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.services.service import Health
from orion.node.services.watch import WatchItem
from orion.state.tables.cron_rows import Crons
from unit.api.fake_configs import FakeConfigs
from unit.api.fake_endpoints import FakeEndpoints
from unit.api.fake_jobs import FakeJobs
from unit.api.fake_networks import FakeNetworks
from unit.api.fake_plugins import FakePlugins
from unit.api.fake_sessions import FakeSessions
from unit.api.fake_storage import FakeStorage
from unit.api.fake_volumes import FakeVolumes

# So long a client or a test waits for what comes at once, on a machine that may have no processor for it meanwhile.
# Where a test is to fail (mutants/runner.py), it is shorter.
PATIENT_S = float(os.environ.get("TESTS_PATIENT_S", "120"))


def task_view(name: str, **fields) -> TaskView:
    values = {
        "id": f"{name}/0",
        "name": name,
        "image": "nginx",
        "command": [],
        "env": {},
        "state": "pending",
        "reason": "",
        "node_id": None,
        "address": "",
        "ports": {},
        "memory": 0,
        "cpu": 0.0,
        "disk": 0,
        "node_selectors": {},
        "port_bindings": {},
        "restart_policy": "on-failure",
        "created_at": "2025-01-01T00:00:00Z",
        "started_at": None,
        "finished_at": None,
        "allocations": [],
    }
    return TaskView(**{**values, **fields})


def node_view(name: str, **fields) -> NodeView:
    values = {
        "name": name,
        "ip": "127.0.0.1",
        "api_address": "127.0.0.1:8000",
        "role": "voter",
        "status": "alive",
        "reason": "",
        "version": "0.1.0",
        "labels": {"id": name},
        "cpu": Amounts(2.0, 0.5, 0.1),
        "memory": Amounts(8e9, 1e9, None),
        "disk": Amounts(100e9, 0, None),
        "tasks": 0,
    }
    return NodeView(**{**values, **fields})


def log_piece(second: int, text: bytes, *, stderr: bool = False, allocation: int = 0xA1) -> LogPiece:
    """One entry, written at 2025-01-01T00:00:`second`."""
    at = f"2025-01-01T00:00:{second:02}.000000000Z"
    position = LogPosition(allocation, Mark(at, 1), Mark(at))
    return LogPiece(f"{allocation:08x}", "node1", [LogEntry(at, stderr, text)], position)


class FakeService(FakeSessions):
    """Tasks by id; `failure` is raised by every call; `hang` makes every call wait for ever."""

    def __init__(self) -> None:
        self.begin_sessions()
        self.tasks_by_id: dict[str, TaskView] = {}
        self.nodes_by_name = {name: node_view(name) for name in ("node1", "node2")}
        self.index = 7
        self.configs = FakeConfigs(self)
        self.endpoints = FakeEndpoints(self)
        self.jobs = FakeJobs(self)
        self.networks = FakeNetworks()
        self.volumes = FakeVolumes()
        self.storage = FakeStorage(self.volumes)
        self.plugins = FakePlugins()
        self.failure: Exception | None = None
        self.hang = False
        self.reads: list[Read] = []
        self.creates: list[dict] = []
        self.log_queries: list[LogQuery] = []
        self.log_items: list[bytes | LogItem | Exception] = [b"one\n", b"two\n"]
        self.logs_after: list[LogPosition | None] = []
        self.logs_go_on = False
        self.backup_items: list[bytes | Exception] = []
        self.event_items: list[Event | None] = []
        self.watched: list[tuple[Noun, ...]] = []
        self.watch_items: list[WatchItem] = []
        self.events_asked: list[tuple] = []
        self.events_chosen: list[EventChoice] = []
        self.events_go_on = False
        self.ended: list[str] = []
        self.transfers: list[str] = []
        self.rebalances: list[tuple[bool, int]] = []
        self.checked: list[str] = []
        self.is_ready = True
        self.changed = asyncio.Event()

    async def _check(self) -> None:
        if self.hang:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append("hang")
        if self.failure:
            raise self.failure

    async def _read(self, read: Read) -> None:
        self.reads.append(read)
        await self._check()
        if read.after_index >= self.index:
            try:
                async with asyncio.timeout(read.wait_s):
                    await self.changed.wait()
            except TimeoutError:
                pass
            finally:
                self.ended.append("poll")

    async def create_task(self, request: TaskRequest, *, idempotency_key, timeout_s, wait_running_s):
        await self._check()
        self.creates.append(
            {"request": request, "key": idempotency_key, "timeout_s": timeout_s, "wait_running_s": wait_running_s}
        )
        name = request.name or "web-00001"
        job_from_request(request, name, 0)
        if f"{name}/0" in self.tasks_by_id:
            raise Conflict(f"there is a job {name} already")
        view = task_view(name, image=request.image, memory=request.memory)
        self.tasks_by_id[view.id] = view
        return view

    async def delete_task(self, task: str, *, created_index=0, timeout_s: float) -> TaskView:
        view, _ = await self.task(task, Read(timeout_s=timeout_s))
        if created_index not in (0, view.created_index):
            raise NotFound(f"another {task}")
        return self.tasks_by_id.pop(view.id)

    async def stop_task(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._change(task, stopped=True, state="stopped")

    async def start_task(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._change(task, stopped=False, state="running")

    async def _change(self, task: str, **fields) -> TaskView:
        view, _ = await self.task(task, Read())
        self.tasks_by_id[view.id] = msgspec.structs.replace(view, **fields)
        return self.tasks_by_id[view.id]

    async def tasks(self, read: Read, page: Page = ALL):
        await self._read(read)
        return self.listing([self.tasks_by_id[key] for key in sorted(self.tasks_by_id)], "id", page)

    def listing(self, views, key: str, page: Page) -> Listing:
        views = [view for view in views if not page.after or str(getattr(view, key)) > page.after]
        shown = views[: page.limit or None]
        following = str(getattr(shown[-1], key)) if len(shown) < len(views) else ""
        data = msgspec.json.encode(shown) + b"\n"
        chunks = tuple(data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
        return Listing(self.index, (), following, chunks)

    async def row(self, table, key: str, read: Read):
        await self._read(read)
        state = self.jobs.state if table is Crons else self.configs.state
        return state.of(table).get(key), self.index

    async def task(self, task: str, read: Read):
        await self._read(read)
        view = self.tasks_by_id.get(task if "/" in task else f"{task}/0")
        if view is None:
            raise NotFound(f"there is no task {task}; 'orion ps' lists them")
        return view, self.index

    async def backup(self, read: Read) -> AsyncGenerator[bytes, None]:
        self.reads.append(read)
        for item in self.backup_items:
            if isinstance(item, Exception):
                raise item
            yield item

    async def logs(self, task: str, query: LogQuery, after: LogPosition | None = None, *, previous=False):
        self.log_queries.append(query)
        self.previous = previous
        self.logs_after.append(after)
        ended = self.ended  # of the test that began it
        try:
            await self.task(task, Read())
            for number, item in enumerate(self.log_items, 1):
                if isinstance(item, Exception):
                    raise item
                yield log_piece(number, item) if isinstance(item, bytes) else item
            if self.logs_go_on:
                await asyncio.Event().wait()
        finally:
            ended.append("logs")

    async def nodes(self, read: Read, page: Page = ALL):
        await self._read(read)
        return self.listing(list(self.nodes_by_name.values()), "name", page)

    async def node(self, node: str, read: Read):
        await self._read(read)
        if node not in self.nodes_by_name:
            raise NotFound(f"there is no node {node}")
        return self.nodes_by_name[node], self.index

    async def label_node(self, node: str, labels, *, timeout_s: float) -> NodeView:
        view, _ = await self.node(node, Read(timeout_s=timeout_s))
        changed = {key: value for key, value in {**view.labels, **labels}.items() if value is not None}
        view = msgspec.structs.replace(view, labels=changed, label_changes=dict(labels))
        self.nodes_by_name[node] = view
        return view

    async def drain(self, node: str, *, draining: bool, timeout_s: float) -> NodeView:
        view, _ = await self.node(node, Read(timeout_s=timeout_s))
        status = "alive" if not draining else "draining" if view.tasks else "drained"
        view = msgspec.structs.replace(view, status=status)
        self.nodes_by_name[node] = view
        return view

    async def stop_node(self, node: str, *, timeout_s: float) -> NodeView:
        view, _ = await self.node(node, Read(timeout_s=timeout_s))
        self.nodes_by_name[node] = msgspec.structs.replace(view, status="left")
        return view

    async def remove_node(self, node: str, *, timeout_s: float) -> None:
        await self.node(node, Read(timeout_s=timeout_s))
        del self.nodes_by_name[node]

    async def raft(self) -> RaftView:
        await self._check()
        voters = [
            MemberView("node1", f"{1:016x}", 7, "replicate", 0, "alive"),
            MemberView("node2", f"{2:016x}", 3, "probe", 1_200, "dead", "2025-01-01T00:00:00Z"),
        ]
        workers = [MemberView("node3", f"{3:016x}", status="alive")]
        plan = ["node2 dead for 6 s, replaced in 4 s unless it returns"]
        tasks = len(self.tasks_by_id)
        return RaftView("00000000000000aa", "leader", 3, "node1", 7, 7, voters, [], 1, 0, tasks, workers, plan)

    async def network(self, *, timeout_s: float) -> NetworkView:
        return NetworkView("10.200.0.0/16", [NetworkNodeView("node1", "10.200.1.0/24", 3, up=True)])

    async def network_check(self, node: str, *, timeout_s: float) -> NetworkCheckView:
        self.checked.append(node)
        way = WayView("node1", "node2", "udp-blocked", "node1", "node2", "UDP 8472 does not arrive")
        back = WayView("node2", "node1", "udp-blocked", "node1", "node2", "UDP 8472 does not arrive")
        nodes = [
            NodeCheckView("node1", 2, 1),
            NodeCheckView("node2", 2, 1),
            NodeCheckView("node3", 0, 0, "is dead"),
        ]
        return NetworkCheckView("10.200.0.0/16", nodes, [way, back], 4, 2, 210, 1_400, ["node1", "node3"])

    async def rebalance(self, *, dry_run: bool, max_moves: int, timeout_s: float) -> RebalanceView:
        self.rebalances.append((dry_run, max_moves))
        return RebalanceView([MoveView("web/0", "node1", "node2")], more=True, made=not dry_run)

    async def transfer_leader(self, to: str, *, timeout_s: float) -> RaftView:
        self.transfers.append(to)
        return await self.raft()

    async def watch(self, nouns) -> AsyncGenerator[WatchItem, None]:
        self.watched.append(nouns)
        for item in self.watch_items:
            yield item

    async def events(self, after, *, follow: bool, chosen=ALL_EVENTS) -> AsyncGenerator[Event | None, None]:
        self.events_asked.append((after, follow))
        self.events_chosen.append(chosen)
        ended = self.ended
        try:
            for event in self.event_items:
                yield event
            if follow and self.events_go_on:
                await asyncio.Event().wait()
        finally:
            ended.append("events")

    def health(self) -> Health:
        return Health(self.is_ready, "leader" if self.is_ready else "no leader")

    def metrics(self) -> list[Figure]:
        return [
            Figure("orion_events_total", "Events so far", (Sample(9),), FigureKind.COUNTER),
            gauge("orion_raft_term", "Raft's term", 3.0),
            gauges("orion_tasks", "Tasks", "state", {"running": 2, "pending": 0.5, 'a "\\\n': math.inf}),
        ]


class Running:
    """The server of one FakeService in a thread of its own."""

    def __init__(self, service: FakeService, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self.server = server
        self.loop = loop
        self.host, self.port = server.address

    def connect(self, timeout: float = PATIENT_S) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def ask(self, method: str, path: str, body=None, headers=None) -> "Answer":
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response, response.read())

    def wait_until(self, condition) -> None:
        """Returns when `condition()` holds, looked at on the server's loop."""

        async def look() -> None:
            async with asyncio.timeout(PATIENT_S):
                while not condition():  # noqa: ASYNC110 -- any condition will do
                    await asyncio.sleep(0.005)

        asyncio.run_coroutine_threadsafe(look(), self.loop).result(PATIENT_S + 10)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.server.stop)

    def change(self, index: int) -> None:
        """The state moves on: long polls wake up."""

        def now() -> None:
            self.service.index = index
            self.service.changed.set()

        self.loop.call_soon_threadsafe(now)


class Answer:
    def __init__(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.kind = response.headers.get_content_type()
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


@contextlib.contextmanager
def running(service: FakeService | None = None) -> Iterator[Running]:
    service = service or FakeService()
    ready: list[Running] = []
    started = threading.Event()

    async def serve() -> None:
        server = Server(create_app(service), listen("127.0.0.1", 0))
        ready.append(Running(service, server, asyncio.get_running_loop()))
        started.set()
        await server.serve()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(PATIENT_S)
        yield ready[0]
    finally:
        with contextlib.suppress(RuntimeError):  # its loop is closed: a test has stopped it
            ready[0].stop()
        thread.join(PATIENT_S)
        assert not thread.is_alive(), "the server did not end"
