"""Connections are files, and a process may have so many open: who takes all of the API's ends nothing."""

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

from support.nodes import NO_ENGINE, Cluster, NodeProcess, cluster, free_ports

FEW = 256


class Constrained(NodeProcess):
    """A node that finds a soft limit of half as many files as it may have."""

    def start(self, *flags: str) -> None:
        command = [sys.executable, "-m", "orion", "--id", self.name, "--port", str(self.port), *flags]
        command += ["--gossip-port", str(self.gossip_port), "--raft-port", str(self.raft_port)]
        command += ["--data-dir", str(self.data_dir), "--docker-host", NO_ENGINE]
        limited = f'ulimit -Sn {FEW // 2} && ulimit -Hn {FEW} && exec "$@"'
        with self.log_file.open("ab") as output:
            limited_command = ["/bin/sh", "-c", limited, "sh", *command]
            self.process = subprocess.Popen(limited_command, stdout=output, stderr=output)


def open_files(node: NodeProcess) -> int:
    assert node.process is not None
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))


def silent(node: NodeProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port), 10)


def test_more_silent_connections_than_files_leave_the_node_working(tmp_path: Path) -> None:
    with cluster(NO_ENGINE) as made, contextlib.ExitStack() as stack:
        node = constrained(made, tmp_path)
        limits = Path(f"/proc/{node.process.pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "open files" in line).split()[3] == str(FEW)
        usual = open_files(node)
        for _ in range(2 * FEW):
            stack.enter_context(silent(node))
        assert node.ask("GET", "/raft")["leader"] == "node1"
        made.wait(lambda: open_files(node) <= usual + FEW // 4, "room for the rest of the node")
        assert node.stop() == 0, node.log_tail()


def constrained(made: Cluster, root: Path) -> NodeProcess:
    node = Constrained("node1", root, NO_ENGINE, free_ports(), [])
    made.nodes.append(node)
    node.start("--bootstrap")
    made.wait(made.leader, "a leader")
    return node
