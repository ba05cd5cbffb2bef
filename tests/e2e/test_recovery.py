"""A majority of the voters is lost for good: one survivor is made to go on, and those of before do no harm."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.nodes import DEADLINE_S, NO_ENGINE, Cluster, NodeProcess, cluster


def recover(data_dir: Path, *flags: str, answer: str = "") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "orion", "raft", "recover", "--data-dir", str(data_dir), *flags]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, input=answer)
    return done.returncode, done.stdout, done.stderr


def config(node: NodeProcess, key: str) -> bool:
    return key in {config["key"] for config in node.ask("GET", "/configs")}


def test_a_survivor_of_three_goes_on_alone_with_its_log() -> None:
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        one, *others = made.nodes
        made.any().ask("PUT", "/configs/before", "kept")
        one.kill()
        made.wait(made.leader, "another leader")
        others[0].ask("PUT", "/configs/after", "lost: the survivor has not heard of it")
        code, _, err = recover(one.data_dir, "--yes")
        assert code == 1, err
        assert "node2 (127.0.0.1:" in err, "nothing is lost while others answer"
        assert "answer: where a majority of the voters lives, nothing is lost" in err
        for node in others:
            node.kill()
        _recover_the_survivor(one)
        one.start()
        made.wait(lambda: one.ask("GET", "/raft")["leader"] == "node1", "node1 to lead alone")
        assert config(one, "before")
        assert not config(one, "after")
        one.ask("PUT", "/configs/since", "new")
        assert one.ask("GET", "/raft")["cluster"] == made.id, "its containers stay its own"
        _those_of_before_do_no_harm(made)
        _wiped_they_join(made)


def _recover_the_survivor(one: NodeProcess) -> None:
    code, out, _ = recover(one.data_dir, answer="n\n")
    assert code == 1
    assert "The log of node1 ends with entry" in out
    assert "UTC" in out
    assert "Other members (node2, node3) are shut out" in out
    assert "nothing was changed" in out
    code, out, err = recover(one.data_dir, "--yes")
    assert code == 0, err
    assert "done: start this node as always" in out
    code, _, err = recover(one.data_dir, "--yes")
    assert (code, "only voter: there is nothing to recover" in err) == (1, True)


def _those_of_before_do_no_harm(made: Cluster) -> None:
    """They hold a later log than the survivor, and are a majority of the voters of before."""
    one, *others = made.nodes
    term = one.ask("GET", "/raft")["term"]
    for node in others:
        node.start(*made.joining(node))
    for node in others:
        assert node.process is not None
        assert node.process.wait(DEADLINE_S) == 1, node.log_tail()
        words = node.log_tail(1)
        assert "recovered from a lost quorum without this node: node1 has gone on" in words
        assert f"{node.data_dir} has no place there" in words
        assert "If that recovery was a mistake: stop node1" in words
    raft = one.ask("GET", "/raft")
    assert [voter["id"] for voter in raft["voters"]] == ["node1"]
    assert not raft["learners"]
    assert (raft["leader"], raft["term"]) == ("node1", term)
    assert [node["name"] for node in one.ask("GET", "/nodes")] == ["node1"]
    assert not config(one, "after")


def test_a_first_node_that_lost_its_disk_and_begins_anew_does_not_harm_its_cluster() -> None:
    """With --bootstrap, as the README says: a second cluster, that the first one does not know."""
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        one = made.nodes[0]
        made.any().ask("PUT", "/configs/before", "kept")
        one.kill()
        shutil.rmtree(one.data_dir)
        one.start("--bootstrap")
        assert one.process is not None
        assert one.process.wait(DEADLINE_S) == 1, one.log_tail()
        words = one.log_tail(1)
        assert "is of another one that knows this node: its disk was lost, it seems" in words
        assert f"Move {one.data_dir} away and start it with --join" in words
        one.start()
        made.wait(lambda: one.ask("GET", "/raft")["leader"] == "node1", "node1 to lead a cluster of its own")
        assert not config(one, "before")
        one.kill()
        shutil.rmtree(one.data_dir)
        one.start("--join", made.nodes[1].gossip)
        made.wait_settled(3, engines=False)
        assert config(one, "before")


def _wiped_they_join(made: Cluster) -> None:
    one, *others = made.nodes
    for node in others:
        shutil.rmtree(node.data_dir)
        node.start(*made.joining(node))
    made.wait_settled(3, engines=False)
    for node in others:
        assert config(node, "since")
        assert not config(node, "after")
    one.kill()
    made.wait(made.leader, "another leader")
    made.any().ask("PUT", "/configs/later", "more")


@pytest.mark.engine
def test_a_worker_joins_the_recovered_cluster_with_its_task(shared: Cluster, web_image: str) -> None:
    shared.grow_to(8)
    roles = {node["name"]: node["role"] for node in shared.any().ask("GET", "/nodes")}
    worker = shared.node(next(name for name, role in roles.items() if role == "worker"))
    survivor = shared.node(next(name for name, role in roles.items() if role == "voter"))
    shared.run("on-worker", image=web_image, nodeSelectors={"id": worker.name})
    elsewhere = next(name for name in roles if name not in (worker.name, survivor.name))
    shared.run("elsewhere", image=web_image, nodeSelectors={"id": elsewhere})
    shared.run("anywhere", image=web_image, restartPolicy="always")
    before = shared.task("on-worker/0")
    for node in shared.nodes:
        if node is not worker:
            node.kill()
    code, _, err = recover(survivor.data_dir, "--yes")
    assert code == 0, err
    survivor.start()
    shared.wait(lambda: survivor.ask("GET", "/raft")["leader"] == survivor.name, "the survivor to lead")
    shared.wait(lambda: _alive(survivor) == sorted([survivor.name, worker.name]), "the worker to have gone along")
    assert worker.alive
    for node in (survivor, worker):
        after = node.ask("GET", "/tasks/on-worker/0")
        assert (after["state"], after["allocations"]) == ("running", before["allocations"]), "it ran on untouched"
    lost = shared.wait_task("elsewhere/0", "pending")
    assert lost["allocations"][-1]["reason"] == "the cluster was recovered without its node"
    shared.wait_task("anywhere/0", "running")
    shared.wait(lambda: worker.ask("GET", "/raft")["learners"], "the worker to become a standby")


def _alive(node: NodeProcess) -> list[str]:
    return sorted(found["name"] for found in node.ask("GET", "/nodes") if found["status"] == "alive")


@pytest.mark.parametrize("kind", ["running", "no node's", "alone"])
def test_recover_refuses_where_there_is_nothing_to_recover(tmp_path: Path, kind: str) -> None:
    if kind == "no node's":
        code, _, err = recover(tmp_path, "--yes")
        assert (code, "is no node's data directory" in err) == (1, True)
        return
    with cluster(NO_ENGINE) as made:
        made.grow_to(1, engines=False)
        node = made.nodes[0]
        if kind == "alone":
            node.kill()
        code, _, err = recover(node.data_dir, "--yes")
        words = {"running": "is in use by another process", "alone": "nothing to recover"}[kind]
        assert (code, words in err) == (1, True)
