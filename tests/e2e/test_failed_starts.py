"""What can't be started now is wanted all the same: it is tried again, here and elsewhere, until it runs."""

import pytest

from support import api, images
from support.dockerd import Dockerd
from support.nodes import cluster
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
            made.wait(lambda s=status, n=enough: registry.times_asked(s) >= n, f"tries at {status}", 120)
        for status in STATUSES:
            task = made.task(f"s{status}")
            assert task["state"] in ("starting", "pulling"), task
            assert registry.image(status) in task["reason"], task
        third.start(*made.joining(third))
        for status in STATUSES:
            assert made.wait_task(f"s{status}", "running", 60)["nodeId"] == "node3"
