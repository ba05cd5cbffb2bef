"""What goes wrong at a node's start says what to do, and harms nobody."""

import os
import signal
import socket
from pathlib import Path

import pytest

from support import faketime
from support.nodes import Cluster, NodeProcess, Problem, free_ports

pytestmark = pytest.mark.engine


def fails(node: NodeProcess, *flags: str, code: int = 1, deadline_s: float = 40) -> str:
    """Its last words."""
    node.start(*flags)
    assert node.process is not None
    assert node.process.wait(deadline_s) == code, node.log_tail()
    return node.log_tail(1)


def another(like: NodeProcess, root: Path, name: str, *, ports: tuple[int, int, int] | None = None) -> NodeProcess:
    return NodeProcess(name, root, like._docker_host, ports or free_ports(), [])


def test_a_taken_port_is_named_with_its_flag(shared: Cluster, tmp_path: Path) -> None:
    shared.grow_to(1)
    first = shared.nodes[0]
    for position, flag in enumerate(("--port", "--gossip-port", "--raft-port")):
        ports = list(free_ports())
        ports[position] = (first.port, first.gossip_port, first.raft_port)[position]
        refused = another(first, tmp_path, f"x{position}", ports=tuple(ports))
        words = fails(refused, "--bootstrap")
        assert not refused.data_dir.exists(), "it leaves nothing behind"
        assert words.startswith("orion: ")
        assert str(ports[position]) in words
        assert flag in words


def test_a_data_directory_in_use_or_of_another_node_is_refused(shared: Cluster, tmp_path: Path) -> None:
    shared.grow_to(1)
    first = shared.nodes[0]
    second = another(first, tmp_path, "node1")
    second.data_dir = first.data_dir
    words = fails(second, "--bootstrap")
    assert str(first.data_dir) in words
    assert str(first.process.pid) in words
    first.kill()
    stranger = another(first, tmp_path, "stranger")
    stranger.data_dir = first.data_dir
    words = fails(stranger, "--bootstrap")
    assert "belongs to node node1" in words
    assert first.data_dir.exists()
    first.start()
    shared.wait(shared.leader, "node1 to lead again")


def test_a_start_with_neither_bootstrap_nor_join_is_refused_and_leaves_nothing(
    shared: Cluster, tmp_path: Path
) -> None:
    shared.grow_to(1)
    lonely = another(shared.nodes[0], tmp_path, "lonely")
    words = fails(lonely, *())
    assert not lonely.data_dir.exists()
    assert "--bootstrap" in words
    assert "--join" in words


def test_a_join_to_the_node_s_own_ports_is_refused(shared: Cluster, tmp_path: Path) -> None:
    shared.grow_to(1)
    for word, which in (("gossip", "gossip_port"), ("API", "port"), ("peer", "raft_port")):
        node = another(shared.nodes[0], tmp_path, "narcissus")
        address = f"127.0.0.1:{getattr(node, which)}"
        assert f"--join {address} is this node's own {word} port: start the first" in fails(node, "--join", address)
        assert not node.data_dir.exists()


def test_a_join_to_an_api_port_is_told(shared: Cluster, tmp_path: Path) -> None:
    shared.grow_to(1)
    api = f"127.0.0.1:{shared.nodes[0].port}"
    node = another(shared.nodes[0], tmp_path, "hopeful")
    node.start("--join", api)
    try:
        shared.wait(
            lambda: f"{api} speaks HTTP: --join wants a node's gossip port" in node.log_tail(), "it to say so"
        )
    finally:
        node.kill()


def test_bootstrap_on_a_directory_that_belongs_to_a_cluster_changes_nothing(shared: Cluster) -> None:
    shared.grow_to(1)
    node = shared.nodes[0]
    node.kill()
    node.start("--bootstrap")
    shared.wait(lambda: node.ask("GET", "/raft")["cluster"] == shared.id, "the same cluster")


def test_join_to_nobody_keeps_trying_and_says_so(shared: Cluster, tmp_path: Path) -> None:
    shared.grow_to(1)
    nobody = f"127.0.0.1:{free_ports()[1]}"
    node = another(shared.nodes[0], tmp_path, "hopeful")
    node.start("--join", nobody)
    try:
        shared.wait(lambda: f"no node answers at {nobody}" in node.log_tail(), "it to say so")
        problem = shared.wait(lambda: _problem(node), "an answer")
        assert problem.status == 503
        shared.wait(lambda: "not registered yet" in node.log_tail(), "it to have tried")
        assert node.log_tail().count("answers at") == 1
    finally:
        node.signal(signal.SIGKILL)
        assert node.process is not None
        node.process.wait()


def _problem(node: NodeProcess) -> Problem | None:
    try:
        node.ask("GET", "/tasks", headers={"Request-Timeout": "0.5"})
    except Problem as problem:
        return problem
    return None


def test_a_second_node_with_the_same_id_is_refused(shared: Cluster, tmp_path: Path) -> None:
    shared.grow_to(2)
    twin = another(shared.nodes[0], tmp_path, "node2")
    words = fails(twin, "--join", shared.nodes[0].gossip, deadline_s=300)
    assert "node2" in words
    statuses = {n["status"] for n in shared.any().ask("GET", "/nodes")}
    assert statuses <= {"alive", "suspect"}, "the first one lives on"


def test_garbage_on_the_peer_port_closes_that_connection_and_nothing_else(shared: Cluster) -> None:
    shared.grow_to(2)
    for node in shared.nodes:
        for junk in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" * 64, b"\x00\x00\x00\x05\x01"):
            with socket.create_connection(("127.0.0.1", node.raft_port), timeout=10) as raw:
                raw.sendall(junk)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(4096):
                    pass
    shared.wait(lambda: all(n.ask("GET", "/readyz") for n in shared.nodes), "both nodes to be ready")
    assert all(n.alive for n in shared.nodes)


def test_an_address_beyond_loopback_is_refused_without_insecure(shared: Cluster, tmp_path: Path) -> None:
    shared.grow_to(1)
    words = fails(
        another(shared.nodes[0], tmp_path, "open"),
        "--bootstrap",
        "--bind",
        "0.0.0.0",
        "--advertise",
        "10.9.8.7",
        code=2,
    )
    assert "--insecure" in words


def test_a_clock_an_hour_off_is_told_and_decides_nothing(shared: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody says so, and nothing decides by it."""
    shared.grow_to(2)
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", faketime.library(threads=False))
        patch.setenv("FAKETIME", "+1h")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        late = shared.add()
    shared.wait_settled(3)
    words = "node3's clock is 3600 s ahead of ours"
    try:
        shared.wait(lambda: words in shared.nodes[0].log_tail(200), "node1 to say so")
        shared.wait(lambda: late.ask("GET", "/readyz"), "node3 to be ready")
    finally:
        assert late.process is not None
        faketime.forget([late.process.pid])
