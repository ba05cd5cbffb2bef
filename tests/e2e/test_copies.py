"""A data directory that was copied, and a name that is taken, while the original lives: the second one ends, and
nothing happens to the first.
"""

import shutil
from pathlib import Path

import pytest

from support.nodes import DEADLINE_S, NO_ENGINE, Cluster, NodeProcess, cluster, free_ports


def copy_of(node: NodeProcess, root: Path) -> NodeProcess:
    """Its data directory while it is stopped, under other ports."""
    copy = NodeProcess(node.name, root, node._docker_host, free_ports(), [])
    shutil.copytree(node.data_dir, copy.data_dir)
    return copy


def words_at_the_end(node: NodeProcess) -> str:
    assert node.process is not None
    try:
        assert node.process.wait(DEADLINE_S) == 1, node.log_tail()
    finally:
        node.kill()
    return node.log_tail(1)


def restarted(made: Cluster, node: NodeProcess) -> None:
    node.start(*made.joining(node))
    made.wait(lambda: f"{node.name} came back" in events(made), "it to be back")
    made.wait_settled(len(made.nodes), engines=False)


def untouched(made: Cluster, before: str) -> None:
    """The cluster's own nodes, and nothing that happened to them."""
    assert all(node.alive for node in made.nodes), made.report()
    made.wait_settled(len(made.nodes), engines=False)
    assert events(made) == before


def events(made: Cluster) -> str:
    text: str = made.any().ask("GET", "/events?after=0.0&follow=0")
    return text


@pytest.mark.engine
@pytest.mark.parametrize("role", ["leader", "follower"])
def test_a_copy_beside_its_original_ends_and_no_task_is_lost(
    shared: Cluster, web_image: str, tmp_path: Path, role: str
) -> None:
    shared.grow_to(3)
    leader = shared.wait(shared.leader, "a leader")
    node = leader if role == "leader" else next(n for n in shared.nodes if n is not leader)
    shared.run("web", image=web_image, nodeSelectors={"id": node.name})
    node.stop()
    copy = copy_of(node, tmp_path)
    restarted(shared, node)
    shared.wait_task("web/0", "running")
    before, known = shared.task("web/0"), events(shared)
    copy.start(*shared.joining(node))
    words = words_at_the_end(copy)
    assert f"{node.name} runs already and answers at 127.0.0.1:{node.raft_port}" in words
    assert f"the same data directory as {copy.data_dir}: one of the two is a copy" in words
    untouched(shared, known)
    assert shared.task("web/0") == before


@pytest.mark.engine
def test_a_copy_that_does_not_know_where_its_original_is_now_is_let_in_nowhere(
    shared: Cluster, web_image: str, tmp_path: Path
) -> None:
    """Its original has moved since, so it finds nobody at the address in its directory. The others let it in at
    none of their doors.
    """
    shared.grow_to(3)
    node = shared.nodes[1]
    shared.run("web", image=web_image, nodeSelectors={"id": node.name})
    node.stop()
    copy = copy_of(node, tmp_path)
    node.port, _, node.raft_port = free_ports()
    restarted(shared, node)
    shared.wait_task("web/0", "running")
    before, known = shared.task("web/0"), events(shared)
    copy.start(*shared.joining(node))
    words = words_at_the_end(copy)
    assert f"{node.name} runs already and answers at 127.0.0.1:{node.raft_port}" in words
    untouched(shared, known)
    assert shared.task("web/0") == before


def test_the_original_ends_where_its_copy_took_its_place_meanwhile(tmp_path: Path) -> None:
    """A directory may move to another host; what is left behind is the copy then."""
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        node = made.nodes[2]
        node.stop()
        moved = copy_of(node, tmp_path)
        moved.gossip_port, node.gossip_port = node.gossip_port, moved.gossip_port  # gossip takes 30 s for another
        made.nodes[2] = moved
        restarted(made, moved)
        before = events(made)
        node.start(*made.joining(moved))
        assert f"answers at 127.0.0.1:{moved.raft_port}" in words_at_the_end(node)
        untouched(made, before)


@pytest.mark.parametrize("count", [1, 3])
def test_a_second_node_with_a_name_that_is_taken_ends(tmp_path: Path, count: int) -> None:
    """Also where it knows nobody but its namesake, as two hosts do that were both left with the name "debian"."""
    with cluster(NO_ENGINE) as made:
        made.grow_to(count, engines=False)
        before = events(made)
        for joined in made.nodes:
            twin = NodeProcess(made.nodes[0].name, tmp_path / joined.name, NO_ENGINE, free_ports(), [])
            twin.data_dir.parent.mkdir()
            twin.start("--join", joined.gossip)
            words = words_at_the_end(twin)
            assert "the name node1 is taken: a node of that name answers at 127.0.0.1:" in words
            assert "Start this one with another --id" in words
            assert twin.log_tail(1_000).count("not alone any more") < 2
        untouched(made, before)
