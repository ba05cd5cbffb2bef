"""Hosts that were cloned from one image, whose engines say the same id."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import api, images
from support.dockerd import Dockerd
from support.engine import network_namespace
from support.nodes import cluster

pytestmark = [pytest.mark.engine, pytest.mark.root]

PORT = "8090"


@contextlib.contextmanager
def clone_of(original: Dockerd) -> Iterator[Dockerd]:
    """Another running engine with the id of this one, in a network namespace of its own."""
    with network_namespace(f"orion-{secrets.token_hex(3)}") as namespace:
        home = Path(f"/var/lib/orion-test-engine-{secrets.token_hex(3)}")
        clone = Dockerd(home, namespace, tuple(original.identity().items()))
        clone.take_identity(original)
        try:
            clone.start()
            yield clone
        finally:
            clone.destroy()


@pytest.fixture
def clones(own_engine: Dockerd) -> Iterator[list[Dockerd]]:
    with clone_of(own_engine) as clone:
        engines = [own_engine, clone]
        assert len({api.ask_json(engine.host, "GET", "/info")["ID"] for engine in engines}) == 1
        for engine in engines:
            images.web(engine.host)
        yield engines


def test_a_port_that_is_taken_on_one_clone_is_free_on_the_other(clones: list[Dockerd]) -> None:
    with cluster([engine.host for engine in clones]) as made:
        made.grow_to(2)
        image = images.web(clones[0].host)
        placed = {made.run(name, image=image, portBindings={"80/tcp": PORT})["nodeId"] for name in ("one", "two")}
        assert placed == {"node1", "node2"}
        made.any().ask("POST", "/tasks", {"name": "three", "image": image, "portBindings": {"80/tcp": PORT}})
        made.wait(lambda: f"port {PORT} is taken on 2 of 2 nodes" in made.task("three/0")["reason"], "its reason")
        made.node("node2").kill()
        lost = made.wait(lambda: (t := made.task("two/0"))["state"] != "running" and t, "a task to be lost")
        assert lost["state"] == "pending"
        assert made.task("one/0")["state"] == "running", "what runs on a clone is nobody's leavings"


def test_nodes_of_one_engine_share_its_ports_and_keep_their_tasks_when_it_restarts(own_engine: Dockerd) -> None:
    image = images.web(own_engine.host)
    with cluster(own_engine.host) as made:
        made.grow_to(2)
        task = {"image": image, "portBindings": {"80/tcp": PORT}, "restartPolicy": "always"}
        before = made.run("one", **task)
        run = _bridge(own_engine)
        own_engine.kill()
        made.wait(lambda: all(n["reason"] for n in made.any().ask("GET", "/nodes")), "the engine to be missed")
        own_engine.start()
        assert _bridge(own_engine) != run, "by which its runs are told apart"
        made.wait_settled(2)
        made.wait_task("one/0", "running")
        assert [a["id"] for a in made.task("one/0")["allocations"]] == [a["id"] for a in before["allocations"]]
        made.any().ask("POST", "/tasks", {"name": "two", **task})
        made.wait(lambda: f"port {PORT} is taken on 2 of 2 nodes" in made.task("two/0")["reason"], "its reason")


def _bridge(engine: Dockerd) -> str:
    found: str = api.ask_json(engine.host, "GET", "/networks/bridge")["Id"]
    return found
