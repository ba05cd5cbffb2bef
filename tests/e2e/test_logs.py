"""`orion logs -f` follows the task: over restarts, drains, the death of its node and of the node that is asked."""

import pytest

from support import api, images
from support.cleanup import containers
from support.command import orion
from support.following import COUNTS, Following, following, goes_on, told, whole
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


def turns(follower: Following) -> list[str]:
    """The notices of runs that were turned to. What a wait is for is told besides where it takes long."""
    return [notice for notice in follower.notices if " since " in notice]


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
        assert len(turns(follower)) == 2, follower.notices
        first.ask("DELETE", "/tasks/web")
        assert follower.process.wait(60) == 0
        follower.join()
        assert follower.notices[-1] == "web/0 was stopped and is forgotten"
        assert len(turns(follower)) == 2, follower.notices


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
        (notice,) = turns(follower)
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
        assert follower.process.wait(60) == 0
        follower.join()
        assert follower.lines == ["hello"]
        assert follower.notices[-1] == "web/0 has completed"


def test_the_run_before_is_read_as_long_as_the_setting_keeps_it(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(2)
    first, second = shared.nodes
    home = counter(shared)
    other = second if home is first else first
    shared.wait(lambda: orion(first, "logs", "-n", "1", "web")[1], "the first lines")
    assert orion(first, "logs", "--previous", "web")[0] == 1
    before = orion(first, "logs", "web")[1].split(maxsplit=1)[0]
    first.ask("POST", f"/nodes/{home.name}/drain")
    shared.wait(lambda: shared.task("web")["nodeId"] == other.name, "the move")
    shared.wait_task("web", "running")
    code, out, err = orion(first, "logs", "--previous", "web")
    assert (code, err) == (0, "")
    assert {line.split()[0] for line in out.splitlines()} == {before}
    assert whole([int(line.split()[1]) for line in out.splitlines()])
    first.ask("PUT", "/configs/orion/kept-logs", 0)
    first.ask("POST", f"/nodes/{home.name}/ready")
    first.ask("POST", f"/nodes/{other.name}/drain")
    shared.wait(lambda: shared.task("web")["nodeId"] == home.name, "the move back")
    shared.wait_task("web", "running")
    shared.wait(lambda: _gone(first), "the container to be gone")


def _gone(node: NodeProcess) -> bool:
    code, _, err = orion(node, "logs", "--previous", "web")
    return code == 1 and "no run before the newest has logs any more" in err


def test_lines_of_several_tasks_are_followed_in_the_order_of_their_times(
    shared: Cluster, busybox_image: str
) -> None:
    shared.grow_to(2)
    for name, node in zip(("web", "db"), shared.nodes, strict=True):
        shared.run(name, image=images.BUSYBOX, command=COUNTS, nodeSelectors={"id": node.name})
        shared.wait_task(name, "running")
    with following(addresses(shared.nodes[0]), "web", "db", "-t") as follower:
        shared.wait(lambda: len(follower.lines) > 60, "lines of both")
        shared.wait(lambda: _of_both_in_order(follower.lines[-40:]), "lines in the order of their times")
        assert {_source_of(line) for line in list(follower.lines)} == {"web@node1", "db@node2"}


def _of_both_in_order(lines: list[str]) -> bool:
    """What there was before comes a task at a time, and a line that is late by more than a window comes late: it is
    shown all the same. Strict order is for tests of the window itself.
    """
    times = [line.split()[2] for line in lines]
    return len({_source_of(line) for line in lines}) == 2 and times == sorted(times)


def _source_of(line: str) -> str:
    return line.partition(" |")[0].strip()


def test_tasks_that_a_job_gets_later_are_followed_too(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(2)
    first = shared.nodes[0]
    body = {"image": images.BUSYBOX, "command": COUNTS, "stopGraceSeconds": 0, "update": {"monitorSeconds": 0}}
    first.ask("PUT", "/jobs/web", body)
    shared.wait_task("web/0", "running")
    with following(addresses(first), "web") as follower:
        shared.wait(lambda: follower.lines, "the first lines")
        first.ask("PUT", "/jobs/web/count", {"count": 3})
        for task in ("web@", "web/1@", "web/2@"):
            shared.wait(
                lambda task=task: any(line.startswith(task) for line in list(follower.lines)), f"lines of {task}"
            )
        first.ask("DELETE", "/jobs/web")
        assert follower.process.wait(60) == 0
