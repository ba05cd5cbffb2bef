"""A node that can't start a task is left for another one that may."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support import api, images
from support.dockerd import Dockerd
from support.nodes import Cluster, cluster, free_ports

pytestmark = [pytest.mark.engine, pytest.mark.root]


@contextlib.contextmanager
def somebody_listens(engine: Dockerd, port: int) -> Iterator[None]:
    """A program of the host's own on the engine's side of the network."""
    program = f"import socket; s = socket.create_server(('', {port})); print('listens', flush=True); s.accept()"
    enter = ["nsenter", f"--net=/var/run/netns/{engine.namespace}"]
    process = subprocess.Popen([*enter, sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def two(docker_host: str, own_engine: Dockerd) -> Iterator[Cluster]:
    """node2 has an engine of its own."""
    with cluster([docker_host, own_engine.host]) as made:
        made.grow_to(2)
        yield made


def on_node2_alone(two: Cluster, task: dict[str, object]) -> None:
    """Placed while node1 takes nothing, so it has to try there first."""
    two.any().ask("POST", "/nodes/node1/drain")
    two.any().ask("POST", "/tasks", task)
    two.wait(lambda: "trying again" in two.task("web")["reason"], "web to fail to start on node2")
    assert two.task("web")["nodeId"] == "node2"


def test_a_task_whose_host_port_another_program_holds_moves(
    two: Cluster, own_engine: Dockerd, web_image: str
) -> None:
    images.web(own_engine.host)
    port = free_ports()[0]
    with somebody_listens(own_engine, port):
        on_node2_alone(two, {"name": "web", "image": web_image, "portBindings": {"80/tcp": str(port)}})
        two.wait(lambda: "in use" in two.task("web")["reason"], "the engine's words")
        two.any().ask("POST", "/nodes/node1/ready")
        two.wait(lambda: (t := two.task("web"))["nodeId"] == "node1" and t["state"] == "running", "web on node1")
        with socket.create_connection(("127.0.0.1", port), 10):
            pass
    left = two.wait(
        lambda: (a := two.task("web")["allocations"][-2])["state"] == "stopped" and a, "its end on node2"
    )
    assert left["nodeId"] == "node2"
    assert "in use" in left["reason"]
    assert "web/0 does not start on node2 (" in two.any().ask("GET", "/events?after=0.0&follow=0")


def test_a_task_whose_image_only_one_node_has_moves_there(two: Cluster, docker_host: str) -> None:
    image = "127.0.0.1:1/only/here:1"
    api.ask(docker_host, "POST", f"/images/{images.web(docker_host)}/tag?repo=127.0.0.1:1/only/here&tag=1")
    try:
        two.any().ask("POST", "/nodes/node1/drain")
        two.any().ask("POST", "/tasks", {"name": "web", "image": image, "restartPolicy": "always"})
        two.wait(lambda: two.task("web")["reason"], "web to fail on node2")
        two.any().ask("POST", "/nodes/node1/ready")
        two.wait(lambda: (t := two.task("web"))["nodeId"] == "node1" and t["state"] == "running", "web on node1")
    finally:
        two.any().ask("DELETE", "/tasks/web")
        two.wait(lambda: not [t for t in two.any().ask("GET", "/tasks") if t["name"] == "web"], "web to be gone")
        api.ask(docker_host, "DELETE", f"/images/{image}?noprune=1")
