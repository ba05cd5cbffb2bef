"""A cluster as screens are given it, played by a test: its rows, and answers to what is asked of it."""

import asyncio
import functools
import time
from types import SimpleNamespace

from textual.app import App

from orion.client.watch import Current, Rows
from orion.model.api.deployments import DeploymentView
from orion.model.api.jobs import JobView
from orion.model.api.nodes import Amounts, NodeView
from orion.model.api.volumes import VolumeView
from orion.model.api.watch import ROWS, AllocationRow, JobRow, TaskRow
from orion.tui.store import Store

WAIT_S = 120


class PlayedStream:
    """What a screen follows. `give` and `end` are what the node would have said."""

    def __init__(self, take, on_end, items=()):
        self.take, self.on_end, self.closed = take, on_end, False
        self.items = items

    def give(self, *items):
        for item in items:
            if not self.closed:
                self.take(item)

    def end(self, why=""):
        if not self.closed:
            self.on_end(why)

    def close(self):
        self.closed = True


class Scripted:
    """`answers`: methods of the client by their names, each a function or the answer itself. An exception that is
    an answer is raised. `asked`: (name, arguments, keywords) of all that was asked.
    """

    def __init__(self, rows=(), **answers):
        self.store = Store()
        self.address = "192.0.2.1:8000"
        self.answers = {"events": (), **answers}
        self.asked = []
        self.streams = []
        self.client = SimpleNamespace(address=self.address)
        self.tell(*rows)

    def tell(self, *rows, gone=()):
        """Has these rows be there, and those of `gone`, as (noun, key), not any more."""
        for row in rows:
            self.store.take(Rows(noun_of(row), [row]), 0.0)
        for noun, key in gone:
            self.store.take(Rows(noun, [], [key]), 0.0)
        self.store.take(Current(self.store.index + 1, "node1"), time.monotonic())

    async def ask(self, call):
        await asyncio.sleep(0)
        return call(Client(self))

    def stream(self, begin, take, on_end):
        played = PlayedStream(take, on_end, begin(Client(self)))
        self.streams.append(played)
        return played


class Client:
    def __init__(self, cluster):
        self._cluster = cluster
        self.address = cluster.address

    def __getattr__(self, name):
        def method(*arguments, **keywords):
            self._cluster.asked.append((name, arguments, keywords))
            answer = self._cluster.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments, **keywords) if callable(answer) else answer

        return method


def noun_of(row):
    return next(noun for noun, (kind, _) in ROWS.items() if kind is type(row))


class Bare(App):
    """Nothing but the screen under test."""

    def __init__(self, screen):
        super().__init__()
        self._first = screen

    def on_mount(self):
        self.push_screen(self._first)


def piloted(test):
    """Runs a test that is a coroutine."""

    @functools.wraps(test)
    def run(*arguments, **keywords):
        asyncio.run(asyncio.wait_for(test(*arguments, **keywords), WAIT_S * 3))

    return run


async def until(pilot, true):
    """Lets the app go on until `true()`."""
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, "it never came"
        await pilot.pause()


async def press(pilot, *keys):
    await pilot.press(*keys)
    await pilot.pause()


def text_on(app):
    """All that is on the screen, a line a row."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def node(name, **values):
    amounts = {"cpu": Amounts(4.0, 1.0, 0.5), "memory": Amounts(8e9, 2e9, 1e9), "disk": Amounts(100e9, 0.0, None)}
    fixed = {"ip": "192.0.2.1", "api_address": "192.0.2.1:8000", "role": "voter", "status": "alive", "reason": ""}
    return NodeView(**{"name": name, **fixed, "version": "0.1.0", "labels": {}, **amounts, "tasks": 0, **values})


def job(name, **values):
    return JobRow(**{"name": name, "kind": "service", "image": "nginx:1.27", "version": 1, "count": 1, **values})


def task(key, **values):
    fixed = {"state": "running", "image": "nginx:1.27", "version": 1, "ready": True, "node_id": "node1"}
    return TaskRow(**{"id": key, "job": key.partition("/")[0], **fixed, **values})


def allocation(key, of, **values):
    return AllocationRow(
        **{"id": key, "task": of, "node_id": "node1", "state": "running", "version": 1, "wanted": True, **values}
    )


def deployment(number, job, **values):
    fixed = {"kind": "deploy", "from_version": 1, "to_version": 2, "state": "running", "rolling_back": False}
    more = {"promoted": False, "reason": "", "progress": None, "started_at": None, "ended_at": None}
    return DeploymentView(**{"id": number, "job": job, **fixed, **more, **values})


def volume(name, **values):
    fixed = {
        "kind": "host",
        "node_id": "node1",
        "state": "ready",
        "used_by": [],
        "created_at": None,
        "used_at": None,
    }
    more = {"in_use": True, "labels": {}, "slot": None, "driver": "host", "created_index": 1}
    return VolumeView(**{"name": name, **fixed, **more, **values})


def job_view(name, **values):
    fixed = {
        "version": 1,
        "created_index": 1,
        "created_at": None,
        "stopped": False,
        "removing": False,
        "reason": "",
    }
    counts = dict.fromkeys(("active", "running", "ready", "waiting", "updated"), 0)
    return JobView(**{"name": name, "image": "nginx:1.27", **fixed, **counts, **values})
