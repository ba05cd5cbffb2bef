"""`orion logs -f` follows the task: over restarts, drains, the death of its node and of the node that is asked."""

import pytest

from support import api, images
from support.cleanup import containers
from support.following import COUNTS, following, goes_on, told, whole
from support.nodes import Cluster, NodeProcess

pytestmark = pytest.mark.engine


def addresses(*nodes: NodeProcess) -> list[str]:
    return [f"127.0.0.1:{node.port}" for node in nodes]


def counter(cluster: Cluster, *, away_from: NodeProcess | None = None) -> NodeProcess:
    """Runs the counting task, on another node than that one; returns where it runs."""
    if away_from is not None:
        cluster.any().ask("POST", f"/nodes/{away_from.name}/drain")
    task = cluster.run("web", image=images.BUSYBOX, command=COUNTS, restartPolicy="always")
    if away_from is not None:
        cluster.any().ask("POST", f"/nodes/{away_from.name}/ready")
    return cluster.node(task["nodeId"])


def test_following_loses_and_doubles_nothing_over_a_restart_and_a_drain(
    shared: Cluster, docker_host: str, busybox_image: str
) -> None:
    shared.grow_to(3)
    first = shared.nodes[0]
    home = counter(shared, away_from=first)
    with following(addresses(first), "web") as follower:
        shared.wait(goes_on(follower, 1), "the first lines")
        (container,) = containers(docker_host, f"dev.orion.cluster={shared.id}")
        api.ask(docker_host, "POST", f"/containers/{container['Id']}/kill")
        again = ("web/0: exit code 137", f"running again on {home.name} since")
        shared.wait(told(follower, *again), "the restart told")
        shared.wait(lambda: follower.runs()[container["Id"][:12]].count(5) == 2, "lines of after the restart")
        first.ask("POST", f"/nodes/{home.name}/drain")
        shared.wait(told(follower, f"web/0: {home.name} was drained; running on "), "the move told")
        shared.wait(goes_on(follower, 2), "lines of the new run")
        before, after = follower.runs().values()
        restart = before.index(0, 1)
        assert before[0] == after[0] == 0
        assert all(map(whole, (before[:restart], before[restart:], after)))
        assert len(follower.notices) == 2, follower.notices
        first.ask("DELETE", "/tasks/web")
        assert follower.process.wait(30) == 0
        follower.join()
        assert follower.notices[2:] == ["web/0 was stopped and is forgotten"]


def test_following_goes_on_after_the_death_of_the_task_s_node(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    first = shared.nodes[0]
    home = counter(shared, away_from=first)
    with following(addresses(first), "web") as follower:
        shared.wait(goes_on(follower, 1), "the first lines")
        home.kill()
        shared.wait(told(follower, f"web/0: {home.name} went down", "running on ", " since "), "the death told")
        shared.wait(goes_on(follower, 2), "lines of the new run")
        before, after = follower.runs().values()
        assert before[0] == after[0] == 0
        assert whole(before)
        assert whole(after)
        (notice,) = follower.notices
        assert f"(what it wrote on {home.name} after " in notice


def test_following_goes_on_after_the_death_of_the_node_that_is_asked(shared: Cluster, busybox_image: str) -> None:
    """Once while the task runs elsewhere, once with the task on it: with another address nothing is lost."""
    shared.grow_to(5)
    first, second, *_ = shared.nodes
    first.ask("POST", f"/nodes/{second.name}/drain")
    home = counter(shared, away_from=first)
    with following(addresses(first, second), "web") as follower:
        shared.wait(goes_on(follower, 1), "the first lines")
        first.kill()
        shared.wait(told(follower, f"the stream from 127.0.0.1:{first.port} broke off"), "the break told")
        seen = len(follower.lines)
        shared.wait(lambda: len(follower.lines) > seen + 10, "more lines, by the other node")
        (numbers,) = follower.runs().values()
        assert whole(numbers)
    with following(addresses(home, second), "web") as follower:
        shared.wait(goes_on(follower, 1), "the first lines")
        home.kill()
        shared.wait(goes_on(follower, 2), "lines of the new run")
        assert all(map(whole, follower.runs().values()))


def test_following_a_task_that_waits_begins_once_it_runs(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    first = shared.nodes[0]
    first.ask("POST", "/nodes/node1/drain")
    first.ask("POST", "/tasks", {"name": "web", "image": images.BUSYBOX, "command": ["sh", "-c", "echo hello"]})
    with following(addresses(first), "web") as follower:
        shared.wait(told(follower, "web/0 is pending: "), "the wait told")
        first.ask("POST", "/nodes/node1/ready")
        assert follower.process.wait(30) == 0
        follower.join()
        assert follower.lines == ["hello"]
        assert follower.notices[-1] == "web/0 has completed"
