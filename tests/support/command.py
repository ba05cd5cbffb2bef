"""The command line as a user has it: a process of its own, asked of a real node."""

import subprocess
import sys

from support.nodes import NodeProcess

_GROUPS = (("config",), ("snapshot",), ("volume",), ("plugin",))  # whose options stand behind a second word


def command(node: NodeProcess | None, *args: str) -> list[str]:
    """The words of `orion args…`, asked of `node`."""
    where = ("--port", str(node.port)) if node else ()
    words = 2 if args[:1] in _GROUPS else 1
    return [sys.executable, "-m", "orion", *args[:words], *where, *args[words:]]


def orion(node: NodeProcess | None, *args: str, timeout_s: float = 300) -> tuple[int, str, str]:
    """(exit code, output, error output) of a command, asked of `node`."""
    done = subprocess.run(command(node, *args), capture_output=True, text=True, timeout=timeout_s, check=False)
    return done.returncode, done.stdout, done.stderr
