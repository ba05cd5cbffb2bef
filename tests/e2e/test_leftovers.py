"""What a former cluster left behind on a host, and a node that lost its disk and is started as always."""

import shutil
from pathlib import Path

import pytest

from support import api, cleanup
from support.nodes import DEADLINE_S, NO_ENGINE, Cluster, NodeProcess, cluster, free_ports


def words_at_the_end(node: NodeProcess) -> str:
    assert node.process is not None
    try:
        assert node.process.wait(DEADLINE_S) == 1, node.log_tail()
    finally:
        node.kill()
    return node.log_tail(1)


def container_of(host: str, task: str) -> str:
    (found,) = api.ask_json(host, "GET", f'/containers/json?filters={{"label":["dev.orion.job={task}"]}}')
    name: str = found["Names"][0].removeprefix("/")
    return name


@pytest.mark.engine
def test_a_new_cluster_does_not_begin_beside_what_its_node_left_running(
    shared: Cluster, docker_host: str, web_image: str, tmp_path: Path
) -> None:
    shared.grow_to(1)
    node, port = shared.nodes[0], free_ports()[0]
    shared.run("leftover", image=web_image, portBindings={"80/tcp": str(port)})
    name = container_of(docker_host, "leftover")
    node.kill()
    shutil.rmtree(node.data_dir)
    node.start("--bootstrap")
    words = words_at_the_end(node)
    assert f"containers that node1 started for another one ({shared.id}) still run here: {name}, holding" in words
    assert f"holding host port {port}." in words
    assert f"ps -aq --filter label=dev.orion.cluster={shared.id})" in words
    _another_node_begins_one_and_says_so(node, tmp_path, name, shared)
    cleanup.remove_containers(docker_host, shared.id)
    node.start("--bootstrap")
    shared.wait(lambda: node.ask("GET", "/readyz"), "it to begin a cluster of its own")
    shared.id = node.ask("GET", "/raft")["cluster"]
    shared.run("later", image=web_image, portBindings={"80/tcp": str(port)})


def _another_node_begins_one_and_says_so(like: NodeProcess, root: Path, name: str, former: Cluster) -> None:
    """Another name is no proof that the former cluster is gone."""
    renamed = NodeProcess("renamed", root, like._docker_host, free_ports(), [])
    renamed.start("--bootstrap")
    try:
        words = f"containers of another cluster ({former.id}) run on this node's engine: {name}, holding host port"
        former.wait(lambda: words in renamed.log_tail(1_000), "it to say what runs there")
        assert renamed.ask("GET", "/readyz")
        assert renamed.log_tail(1_000).count("of another cluster") == 1
    finally:
        renamed.kill()


def test_a_new_cluster_does_not_begin_beside_the_node_s_former_directory() -> None:
    with cluster(NO_ENGINE) as made:
        made.grow_to(1, engines=False)
        node = made.nodes[0]
        node.ask("PUT", "/configs/kept", "here")
        node.kill()
        former = node.data_dir.rename(node.data_dir.with_name("node1.old"))
        node.start("--bootstrap")
        words = words_at_the_end(node)
        assert f"node1 is a node of cluster {made.id} by {former}" in words
        assert f"--data-dir {former}" in words
        assert "--join and the gossip address of a node of it" in words
        assert not node.data_dir.exists(), "it leaves nothing behind"
        here, node.data_dir = node.data_dir, former
        node.start("--bootstrap")
        made.wait(lambda: node.ask("GET", "/configs/kept"), "the former cluster")
        node.kill()
        shutil.move(former, former.parent / "elsewhere" / former.name)
        node.data_dir = here
        node.start("--bootstrap")
        made.wait(lambda: node.ask("GET", "/raft")["cluster"] not in ("", made.id), "a new cluster")


def test_a_first_node_that_lost_its_disk_and_its_vote_is_greeted_by_its_cluster() -> None:
    """It was away for so long that another votes in its place, and none of Raft's messages goes to it any more."""
    with cluster(NO_ENGINE) as made:
        made.grow_to(4, engines=False)
        one = made.nodes[0]
        one.kill()

        def replaced() -> bool:
            raft = made.any().ask("GET", "/raft")
            members = {m["id"] for m in (*raft["voters"], *raft["learners"])}
            return "node1" not in members and not raft["next"]

        made.wait(replaced, "its vote to be another's", deadline_s=300)
        shutil.rmtree(one.data_dir)
        one.start("--bootstrap")
        words = words_at_the_end(one)
        assert "is of another one that knows this node: its disk was lost, it seems" in words
        shutil.rmtree(one.data_dir)
        one.start("--join", made.nodes[1].gossip)
        made.wait(lambda: one.ask("GET", "/raft")["cluster"] == made.id, "it to come back")
