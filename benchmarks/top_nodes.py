"""`orion top` in front of three real nodes: how soon it is there, what nodes' deaths do to it, and a slow line.

    script/bench top_nodes [--runs 10]

The bare row of a start is a process that imports Textual alone. The slow line is between it and the node: 100 ms
each way and 50 kB/s, with 1,000 tasks that wait for room, which no engine has.
"""

import argparse
import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from support import images
from support.engine import engine
from support.nodes import Cluster, cluster
from terminal import DOWN, Terminal

WAITING = 1_000
DELAY_S = 0.1  # each way
BYTES_PER_S = 50_000
PIECE_BYTES = 1_000
KEYS = 20


class SlowLine:
    """In front of a port, for whoever comes to `port`."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        """Each piece arrives so long after it was sent, and not before the line has carried those before it."""
        free = 0.0
        pieces: list[tuple[float, bytes]] = []
        some = threading.Condition()

        def deliver() -> None:
            while True:
                with some:
                    while not pieces:
                        some.wait()
                    due, data = pieces.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                with contextlib.suppress(OSError):
                    other.sendall(data) if data else other.shutdown(socket.SHUT_WR)
                if not data:
                    return

        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                data = one.recv(PIECE_BYTES)
            except OSError:
                data = b""
            free = max(free, time.monotonic()) + len(data) / BYTES_PER_S
            with some:
                pieces.append((free + DELAY_S, data))
                some.notify()
            if not data:
                return

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def top(address: str, *words: str) -> Iterator[Terminal]:
    terminal = Terminal(address, *words)
    try:
        yield terminal
    finally:
        terminal.close()


async def start_s(address: str, word: str, *words: str) -> float:
    with top(address, *words) as terminal:
        terminal.look_for(word)
        return await terminal.seen_s(word) - terminal.began


def imports_s() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import textual.app, textual.widgets"], check=True)
    return time.monotonic() - began


async def after_s(terminal: Terminal, happens: Callable[[], object], word: str) -> float:
    terminal.look_for(word)
    began = time.monotonic()
    await asyncio.to_thread(happens)
    return await terminal.seen_s(word) - began


def address_of(found: Cluster, number: int) -> str:
    return f"127.0.0.1:{found.nodes[number].port}"


def others(found: Cluster) -> None:
    for node in found.nodes[1:]:
        node.kill()


async def deaths(found: Cluster) -> dict[str, float]:
    """Of the node that is asked, of the leader, of two of three."""
    took = {}
    asked, leader = found.nodes[0], lambda: found.node(found.any().ask("GET", "/raft")["leader"])
    with top(address_of(found, 0), "nodes") as terminal:
        terminal.look_for("node3")
        await terminal.seen_s("node3")
        took["the node that is asked: another one is"] = await after_s(
            terminal, asked.kill, "another node is asked"
        )
        asked.start(*found.joining(asked))
        found.wait(lambda: len(found.any().ask("GET", "/raft")["voters"]) == 3, "all to be there")
        found.wait(lambda: all(n["status"] == "alive" for n in found.any().ask("GET", "/nodes")), "all to live")
        victim = leader()
        took["the leader: it is shown as dead"] = await after_s(terminal, victim.kill, "dead")
        victim.start(*found.joining(victim))
        found.wait(lambda: all(n["status"] == "alive" for n in found.any().ask("GET", "/nodes")), "all to live")
        took["two of three: how old the state is"] = await after_s(terminal, lambda: others(found), "as of ")
    return took


async def slow(found: Cluster) -> tuple[float, list[float]]:
    line = SlowLine(found.nodes[0].port)
    try:
        with top(f"127.0.0.1:{line.port}", "tasks") as terminal:
            terminal.look_for("queue/0")
            first = await terminal.seen_s("queue/0") - terminal.began
            await asyncio.sleep(3)
            keys = []
            for row in range(1, KEYS + 1):
                terminal.look_for(f"queue/{row}")
                began = time.monotonic()
                terminal.press(DOWN)
                keys.append(await terminal.seen_s(f"queue/{row}") - began)
                await asyncio.sleep(0.2)
    finally:
        line.close()
    return first, keys


def row(name: str, found: list[float]) -> None:
    print(f"{name:52}{statistics.median(found):10.3f}{max(found):10.3f}", flush=True)


async def bench(runs: int) -> int:
    with engine() as running:
        images.busybox(running)
        with cluster(running) as found:
            for _ in range(3):
                found.add()
            found.wait(lambda: len(found.any().ask("GET", "/raft")["voters"]) == 3, "three voters")
            web = {"image": images.BUSYBOX, "command": ["sleep", "100000"], "count": 9}
            found.any().ask("PUT", "/jobs/web", web)
            found.wait_task("web/8", "running")
            print(f"{'':52}{'median s':>10}{'worst s':>10}")
            row("import of Textual alone (bare)", [imports_s() for _ in range(runs)])
            row("exec to the nodes", [await start_s(address_of(found, 0), "node3", "nodes") for _ in range(runs)])
            row("exec to the tasks", [await start_s(address_of(found, 0), "web/8", "tasks") for _ in range(runs)])
            queue = {**web, "count": WAITING, "memory": 1 << 50}
            found.any().ask("PUT", "/jobs/queue", queue)
            found.wait(lambda: len(found.any().ask("GET", "/tasks")) == WAITING + 9, "tasks that wait")
            first, keys = await slow(found)
            row(f"over the slow line: exec to the first of {WAITING:,} tasks", [first])
            row("over the slow line: a key", keys)
            for what, took in (await deaths(found)).items():
                row(f"kill -9 of {what}", [took])
    return 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=10)
    return asyncio.run(bench(options.parse_args().runs))


if __name__ == "__main__":
    sys.exit(main())
