"""Commands that are given several nodes, of which the first stands still: its kernel takes their connections."""

import os
import signal
import subprocess
import sys

from support.nodes import NO_ENGINE, NodeProcess, cluster


def asked_of(nodes: list[NodeProcess], *words: str) -> tuple[int, str, str]:
    environment = {**os.environ, "ORION_ADDR": ",".join(f"127.0.0.1:{each.port}" for each in nodes)}
    command = [sys.executable, "-m", "orion", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_next_node_is_asked_for_what_is_there_and_for_a_change() -> None:
    with cluster([NO_ENGINE] * 3) as made:
        made.grow_to(3, engines=False)
        still = next(each for each in made.nodes if each is not made.leader())
        nodes = [still, *(each for each in made.nodes if each is not still)]
        still.signal(signal.SIGSTOP)
        try:
            code, out, err = asked_of(nodes, "nodes", "-o", "json")
            assert (code, err) == (0, "")
            assert still.name in out
            code, _, err = asked_of(nodes, "config", "put", "app/key", "value")
            assert (code, err) == (0, "")
        finally:
            still.signal(signal.SIGCONT)
        code, out, _ = asked_of(nodes, "config", "get", "app/key")
        assert (code, out.strip()) == (0, "value")
