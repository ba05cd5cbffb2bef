"""A log that nobody takes (a collector that hangs, Ctrl-S in the terminal) stops neither a start nor an end."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.nodes import DEADLINE_S, NO_ENGINE, Cluster, NodeProcess, cluster, free_ports

PIPE_BYTES = 4_096


class Unheard(NodeProcess):
    """A node whose standard error is a pipe, full before it starts; `unread` is the reader's end."""

    unread: int

    def start(self, *flags: str) -> None:
        self.unread, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.write(writer, b"\n" * PIPE_BYTES)
        command = [sys.executable, "-m", "orion", "--id", self.name, "--port", str(self.port), *flags]
        command += ["--gossip-port", str(self.gossip_port), "--raft-port", str(self.raft_port)]
        command += ["--data-dir", str(self.data_dir), "--docker-host", NO_ENGINE]
        self.process = subprocess.Popen(command, stderr=writer, stdin=subprocess.DEVNULL)
        os.close(writer)

    def heard(self) -> list[str]:
        """All that it wrote, once it has ended."""
        with os.fdopen(self.unread, "rb") as pipe:
            return pipe.read().decode().split("\n")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Cluster, Unheard]]:
    with cluster(NO_ENGINE) as made:
        node = Unheard("node1", tmp_path, NO_ENGINE, free_ports(), [])
        made.nodes.append(node)
        yield made, node


def test_a_node_whose_stderr_nobody_reads_works_and_stops(made: tuple[Cluster, Unheard]) -> None:
    whole, node = made
    node.start("--bootstrap")
    whole.wait(whole.leader, "a leader")
    whole.wait(lambda: node.ask("GET", "/readyz"), "it to be ready")
    assert node.stop() == 0
    os.close(node.unread)


def test_a_refused_start_whose_stderr_nobody_reads_ends(made: tuple[Cluster, Unheard]) -> None:
    _, node = made
    node.start()
    assert node.process is not None
    assert node.process.wait(DEADLINE_S) == 1
    os.close(node.unread)


def test_lines_that_waited_are_written_once_somebody_reads(made: tuple[Cluster, Unheard]) -> None:
    whole, node = made
    node.start("--bootstrap")
    whole.wait(whole.leader, "a leader")
    assert os.read(node.unread, PIPE_BYTES) == b"\n" * PIPE_BYTES
    assert node.stop() == 0
    told = node.heard()
    assert told[0].endswith("started a new cluster with node1 as its only voter")
    assert told[-2].endswith("stopped; node1 runs no task")


def test_the_last_words_of_a_refused_start_are_written(tmp_path: Path) -> None:
    node = NodeProcess("node1", tmp_path, NO_ENGINE, free_ports(), [])
    node.start()
    assert node.process is not None
    assert node.process.wait(DEADLINE_S) == 1
    assert node.log_tail(1).startswith("orion: ")
    assert "--bootstrap" in node.log_tail(1)
    assert node.log_file.read_bytes().endswith(b"\n")
