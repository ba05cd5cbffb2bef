"""Two builds in one cluster, as processes: this one, and one that is a field, a command and a level newer. It
joins, leads, is led, and is rolled back, under load.
"""

import contextlib
import functools
import http.client
import itertools
import sys
import threading
from collections.abc import Callable
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
        assert self._idle.wait(60)

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
        response = connection.getresponse()
        if response.status != 200:
            raise OSError(f"{response.status}: {response.read().decode()}")
        reader = BackupReader()
        chunks = b"".join(reader.feed(response.read()))
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


def create(node: NodeProcess, name: str, note: str = "", key: str = "", **more: object) -> dict:
    """Asked for with the same key it is created once."""
    env = {"NOTE": note} if note else {}
    request = {
        "name": name,
        "image": images.BUSYBOX,
        "command": ["sleep", "1000"],
        "memory": 10_000_000,
        "env": env,
    }
    return node.ask("POST", "/tasks", request | more, headers={"Idempotency-Key": key} if key else None)


def created(made: Cluster, node: NodeProcess, name: str, note: str = "", **more: object) -> None:
    """A node whose process has just been exchanged may be a moment without a leader."""
    made.wait(lambda: create(node, name, note, f"create {name}", **more), f"{name} to be created")


def refused(made: Cluster, leader: NodeProcess, ask: Callable[[], object]) -> str:
    """The words, while this one leads."""

    def words() -> str:
        let_lead(made, leader)
        try:
            ask()
        except Problem as problem:
            if problem.status != 409:
                raise  # nobody leads now
            return problem.body["detail"] if made.leader() is leader else ""
        raise AssertionError("it was not refused")

    return made.wait(words, f"a refusal while {leader.name} leads")


def label(node: NodeProcess, note: str) -> dict:
    """Which the newer build takes for its new command."""
    return node.ask("POST", f"/nodes/{node.name}/labels", {"labels": {"note-before": note}})


def levels(made: Cluster) -> set[int]:
    return made.wait(lambda: {node.ask("GET", "/raft")["level"] for node in made.nodes}, "the levels")


def tasks(made: Cluster) -> dict[str, tuple[str, str, str]]:
    listed = made.wait(lambda: made.any().ask("GET", "/tasks"), "the tasks")
    return {t["id"]: (t["state"], t["allocations"][-1]["id"], t["startedAt"]) for t in listed}


def value_of(made: Cluster, node: NodeProcess, key: str) -> tuple[int, bytes]:
    def answer() -> tuple[int, bytes] | None:
        found = config(node, "GET", key)
        return found if found[0] < 500 else None

    return made.wait(answer, f"an answer about {key}")


def test_a_newer_build_joins_leads_is_led_and_is_rolled_back(docker_host, busybox_image, newer_program):
    with cluster(docker_host) as made:
        made.grow_to(3)
        one, two, three = made.nodes
        with Load(made) as load:
            created(made, one, "before", nodeSelectors={"id": "node1"})  # which is never killed
            made.wait_task("before/0", "running")
            ran = tasks(made)

            exchange(made, two, newer_program)
            former = "node1 (0.1.0), node3 (0.1.0)"
            made.wait(lambda: former in one.ask("GET", "/raft")["levelOutlook"], "it to say who is a former one")
            early = functools.partial(create, two, "early", "remember the milk")
            text = refused(made, two, early)
            assert text.startswith(f"not all nodes understand Job.note yet, which is of level {newer.NEXT}: node1")
            created(made, three, "led-by-newer")
            assert "not all nodes understand NoteJob yet" in refused(made, two, lambda: label(two, "hello"))
            words = f"not all nodes understand this yet, which is of level {newer.NEXT}"
            assert words in refused(made, one, early)
            created(made, two, "led-by-former")
            the_state(made, load)

            exchange(made, three, newer_program, kill=True)
            exchange(made, two, FORMER)  # rolled back
            let_lead(made, two)
            assert "milk" not in the_state(made, load).decode(errors="replace")
            assert levels(made) == {LEVEL}

            exchange(made, two, newer_program, kill=True)
            exchange(made, one, newer_program)
            made.wait(lambda: levels(made) == {newer.NEXT}, "the level to rise")
            created(made, three, "noted", "remember the milk")
            made.wait(lambda: label(one, "hello-from-a-command"), "the command to be taken")
            state = the_state(made, load)
            assert state.count(b"remember the milk") == 2  # the variable, and the note
            assert b"hello-from-a-command" in state
            made.wait(lambda: not one.ask("GET", "/raft")["levelOutlook"], "nobody to be behind")

            assert_the_former_ends(made, three, newer_program)
            the_state(made, load)
            load.pause()
            for key, value in load.written.items():
                assert value_of(made, one, key) == (200, value)
            made.wait_task("before/0", "running")
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
    assert node.process.wait(120) == 1
    last = node.log_tail(1)
    assert "orion: " in last, last
    assert f"this version of orion understands {LEVEL}" in last or "no command that this version knows" in last, (
        last
    )
    node.program = program
    node.start(*made.joining(node))
    made.wait_settled(len(made.nodes))
