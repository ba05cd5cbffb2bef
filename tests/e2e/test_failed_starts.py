"""What can't be started now is wanted all the same: it is tried again, here and elsewhere, until it runs."""

import contextlib
import socket
from typing import Any

import pytest

from support import api, images
from support.dockerd import Dockerd
from support.nodes import Cluster, cluster
from support.refusals import refusing_registry

pytestmark = [pytest.mark.engine, pytest.mark.root]

STATUSES = {401: "always", 403: "always", 429: "on-failure:1", 503: "no"}
TRIES = 4  # more than end a task whose image does not exist


def test_a_registry_that_refuses_at_failover_ends_no_task(docker_host: str, own_engine: Dockerd) -> None:
    """The images are on the third node's engine alone. It dies, and returns."""
    with refusing_registry() as registry, cluster([docker_host, docker_host, own_engine.host]) as made:
        made.grow_to(3)
        for status in STATUSES:
            repository, _, tag = registry.image(status).rpartition(":")
            api.ask(own_engine.host, "POST", f"/images/{images.BUSYBOX}/tag?repo={repository}&tag={tag}")
        for name in ("node1", "node2"):
            made.any().ask("POST", f"/nodes/{name}/drain")
        for status, policy in STATUSES.items():
            image = registry.image(status)
            made.run(f"s{status}", image=image, command=["sleep", "1000000"], restartPolicy=policy)
        for name in ("node1", "node2"):
            made.any().ask("POST", f"/nodes/{name}/ready")
        third = made.node("node3")
        third.kill()
        for status in STATUSES:
            enough = registry.times_asked(status) + TRIES
            made.wait(lambda s=status, n=enough: registry.times_asked(s) >= n, f"tries at {status}", 300)
        for status in STATUSES:
            task = made.task(f"s{status}")
            assert task["state"] in ("starting", "pulling"), task
            assert registry.image(status) in task["reason"], task
        third.start(*made.joining(third))
        for status in STATUSES:
            assert made.wait_task(f"s{status}", "running", 300)["nodeId"] == "node3"


def test_a_port_that_orion_chose_and_the_machine_refuses_is_chosen_anew(docker_host: str, web_image: str) -> None:
    """What a task of this name gets is known once it got it: another program takes that, and the next one too."""
    ask = {"image": web_image, "portBindings": {"80/tcp": ""}}
    with cluster(docker_host) as made, contextlib.ExitStack() as programs:
        made.grow_to(1)
        first = host_port(made.run("web", **ask))
        remove(made, "web")
        for port in (first, first + 1):
            taken = programs.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("", port))
            taken.listen()
        web = made.run("web", **ask)
        assert host_port(web) not in (first, first + 1)
        web = made.wait(
            lambda: (t := made.task("web")) and states(t) == THIRD_RUNS and t, "the end of what was refused"
        )
        assert f"port {first} is taken" in web["allocations"][0]["reason"]
        remove(made, "web")
        web = made.run("web", **ask)
        assert host_port(web) not in (first, first + 1)
        assert len(web["allocations"]) == 1, "what was refused is not tried again"


THIRD_RUNS = ["stopped", "stopped", "running"]


def states(task: dict[str, Any]) -> list[str]:
    return [a["state"] for a in task["allocations"]]


def host_port(task: dict[str, Any]) -> int:
    return int(task["ports"]["80/tcp"].rpartition(":")[2])


def remove(made: Cluster, task: str) -> None:
    made.any().ask("DELETE", f"/tasks/{task}")
    made.wait(lambda: not made.any().ask("GET", "/tasks"), f"{task} to be forgotten")
