"""The command line as a user has it: a process of its own, asked of a real node."""

import subprocess
import sys

from support.nodes import NodeProcess


def command(node: NodeProcess | None, *args: str) -> list[str]:
    """The words of `orion args…`, asked of `node`."""
    where = ("--port", str(node.port)) if node else ()
    return [sys.executable, "-m", "orion", *args[:1], *where, *args[1:]]


def orion(node: NodeProcess | None, *args: str, timeout_s: float = 60) -> tuple[int, str, str]:
    """(exit code, output, error output) of a command, asked of `node`."""
    done = subprocess.run(command(node, *args), capture_output=True, text=True, timeout=timeout_s, check=False)
    return done.returncode, done.stdout, done.stderr
