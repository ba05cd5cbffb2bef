"""`orion top` before it begins: where it can't."""

import subprocess
import sys

from orion.cli.app import run

MISSING = """
import os, pty, sys
sys.modules["textual"] = None
sys.stdin = sys.stdout = os.fdopen(pty.openpty()[1], "r+b", buffering=0)
from orion.cli.app import run
sys.exit(run(["top", "--addr", "127.0.0.1:1"]))
"""


def test_without_textual_it_says_how_to_get_it():
    done = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "pip install 'orion-cluster[top]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_terminal_it_says_what_scripts_take(capsys):
    assert run(["top", "--addr", "127.0.0.1:1"]) == 1
    assert "--once prints the health of the cluster for scripts" in capsys.readouterr().err


def test_once_says_that_nobody_answers(capsys):
    assert run(["top", "--once", "--addr", "127.0.0.1:1"]) == 1
    assert "no Orion node answers at 127.0.0.1:1" in capsys.readouterr().err
