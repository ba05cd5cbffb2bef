"""Two builds in one cluster, as processes: this one, and one that is a field, a command and a level newer. It
joins, leads, is led, and is rolled back, under load.
"""

import contextlib
import http.client
import itertools
import sys
import threading
from typing import Self

import pytest

from orion.model.levels import LEVEL
from orion.wire.backups import BackupReader
from support import images, newer
from support.nodes import Cluster, NodeProcess, Problem, cluster

pytestmark = pytest.mark.engine

FORMER = [sys.executable, "-m", "orion"]


@pytest.fixture
def newer_program(tmp_path) -> list[str]:
    return ["env", f"PYTHONPATH={newer.write(tmp_path)}", *FORMER]


class Load:
    """Writes configs through every node in turn, and remembers those that were acknowledged."""

    def __init__(self, made: Cluster) -> None:
        self._cluster = made
        self._over = threading.Event()
        self._may = threading.Event()
        self._may.set()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.written: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._may.set()
        self._thread.join(30)

    def pause(self) -> None:
        self._idle.clear()
        self._may.clear()
        assert self._idle.wait(30)

    def resume(self) -> None:
        self._may.set()

    def _write(self) -> None:
        for number, node in zip(itertools.count(), itertools.cycle(self._cluster.nodes), strict=False):
            if not self._may.is_set():
                self._idle.set()
                self._may.wait()
            if self._over.is_set():
                return
            key, value = f"load/{number % 500}", b"value %d" % number
            self.written.pop(key, None)  # until it is known how this one ended
            with contextlib.suppress(OSError, http.client.HTTPException):
                if config(node, "PUT", key, value)[0] == 200:
                    self.written[key] = value


def config(node: NodeProcess, method: str, key: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=5)
    try:
        connection.request(method, f"/configs/{key}", body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def exchange(made: Cluster, node: NodeProcess, program: list[str], *, kill: bool = False) -> None:
    """As somebody who upgrades does it: end the process, start the other build on its directory."""
    if kill:
        node.kill()
    else:
        assert node.stop() == 0
    node.program = program
    node.start(*made.joining(node))
    made.wait_settled(len(made.nodes))


def let_lead(made: Cluster, node: NodeProcess) -> None:
    made.lead(node.name)


def state_of(node: NodeProcess) -> tuple[int, bytes]:
    """Its own, as a backup has it: the index, and the bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=15)
    try:
        connection.request("GET", "/snapshot?stale=1")
        reader = BackupReader()
        chunks = b"".join(reader.feed(connection.getresponse().read()))
        return reader.finish().index, chunks
    finally:
        connection.close()


def the_state(made: Cluster, load: Load) -> bytes:
    """Equal to the byte on all nodes."""
    load.pause()

    def equal() -> bytes:
        states = [state_of(node) for node in made.nodes]
        return states[0][1] if len({index for index, _ in states}) == 1 and _same(states) else b""

    def _same(states: list[tuple[int, bytes]]) -> bool:
        assert len({state for _, state in states}) == 1, "the states have parted"
        return True

    try:
        return made.wait(equal, "all nodes at one index")
    finally:
        load.resume()


def create(node: NodeProcess, name: str, note: str = "", **more: object) -> dict:
    env = {"NOTE": note} if note else {}
    request = {
        "name": name,
        "image": images.BUSYBOX,
        "command": ["sleep", "1000"],
        "memory": 10_000_000,
        "env": env,
    }
    return node.ask("POST", "/tasks", request | more)


def refused(node: NodeProcess, name: str) -> str:
    with pytest.raises(Problem) as caught:
        create(node, name, "remember the milk")
    assert caught.value.status == 409
    return caught.value.body["detail"]


def label(node: NodeProcess, note: str) -> None:
    """Which the newer build takes for its new command."""
    node.ask("POST", f"/nodes/{node.name}/labels", {"labels": {"note-before": note}})


def level(node: NodeProcess) -> int:
    return node.ask("GET", "/raft")["level"]


def tasks(made: Cluster) -> dict[str, tuple[str, str, str]]:
    listed = made.any().ask("GET", "/tasks")
    return {t["id"]: (t["state"], t["allocations"][-1]["id"], t["startedAt"]) for t in listed}


def test_a_newer_build_joins_leads_is_led_and_is_rolled_back(docker_host, busybox_image, newer_program):
    with cluster(docker_host) as made:
        made.grow_to(3)
        one, two, three = made.nodes
        with Load(made) as load:
            create(one, "before", nodeSelectors={"id": "node1"})  # which is never killed
            made.wait_task("before/0", "running")
            ran = tasks(made)

            exchange(made, two, newer_program)
            assert "node1 (0.1.0), node3 (0.1.0)" in one.ask("GET", "/raft")["levelOutlook"]
            let_lead(made, two)
            text = refused(two, "early")
            assert text.startswith(f"not all nodes understand Job.note yet, which is of level {newer.NEXT}: node1")
            create(three, "led-by-newer")
            with pytest.raises(Problem, match="not all nodes understand NoteJob yet"):
                label(two, "hello")
            let_lead(made, one)
            assert f"not all nodes understand this yet, which is of level {newer.NEXT}" in refused(two, "early")
            create(two, "led-by-former")
            the_state(made, load)

            exchange(made, three, newer_program, kill=True)
            exchange(made, two, FORMER)  # rolled back
            let_lead(made, two)
            assert "milk" not in the_state(made, load).decode(errors="replace")
            assert {level(node) for node in made.nodes} == {LEVEL}

            exchange(made, two, newer_program, kill=True)
            exchange(made, one, newer_program)
            made.wait(lambda: {level(node) for node in made.nodes} == {newer.NEXT}, "the level to rise")
            create(three, "noted", "remember the milk")
            label(one, "hello-from-a-command")
            state = the_state(made, load)
            assert state.count(b"remember the milk") == 2  # the variable, and the note
            assert b"hello-from-a-command" in state
            assert not one.ask("GET", "/raft")["levelOutlook"]

            assert_the_former_ends(made, three, newer_program)
            the_state(made, load)
            load.pause()
            for key, value in load.written.items():
                assert config(one, "GET", key) == (200, value)
            kept = {t: run for t, run in tasks(made).items() if t in ran}
            assert kept == ran, "a task was started again by an upgrade"
            load.resume()
        assert all(node.alive for node in made.nodes)
        assert len(load.written) > 50


def assert_the_former_ends(made: Cluster, node: NodeProcess, program: list[str]) -> None:
    """Once the level has risen, on a directory that a newer build has written to."""
    assert node.stop() == 0
    node.program = FORMER
    node.start(*made.joining(node))
    assert node.process is not None
    assert node.process.wait(30) == 1
    last = node.log_tail(1)
    assert "orion: " in last, last
    assert f"this version of orion understands {LEVEL}" in last or "no command that this version knows" in last, (
        last
    )
    node.program = program
    node.start(*made.joining(node))
    made.wait_settled(len(made.nodes))
