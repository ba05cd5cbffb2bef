"""What script/demo shows, once everything is installed. Also importable: benchmarks time the same steps."""

import argparse
import contextlib
import http.client
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support import api, cleanup, images
from support.command import command
from support.engine import engine
from support.nodes import Cluster, free_ports

PAGE_DEADLINE_S = 60.0


def main() -> int:
    options = argparse.ArgumentParser(description="Three nodes, one web task, kill -9, the page served again.")
    options.add_argument("--keep", action="store_true", help="leave the cluster running for play until Ctrl-C")
    keep = options.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up then too
    with engine() as docker_host, tempfile.TemporaryDirectory(prefix="orion-demo-") as root:
        image = images.nginx(docker_host)
        cluster = Cluster(Path(root), docker_host)
        try:
            show(cluster, image, keep=keep)
            if keep:
                play(cluster, docker_host)
        finally:
            say("cleaning up: processes, containers, data")
            cluster.stop()
            if cluster.id:
                cleanup.remove_containers(docker_host, cluster.id)
    return 0


def show(cluster: Cluster, image: str, *, keep: bool) -> None:
    say("starting three nodes that share one Docker Engine")
    began = time.monotonic()
    cluster.grow_to(3)
    say(f"three voters after {time.monotonic() - began:.1f} s")
    orion(cluster, "members")

    port = free_ports()[0]
    say(f"deploying nginx on host port {port}")
    orion(cluster, "run", "--name", "web", "--memory", "100m", "-p", f"{port}:80", "--wait", image)
    server = wait_for_page(cluster, port)
    say(f"the page is served by {server}")
    orion(cluster, "ps")

    victim = cluster.node(cluster.task("web/0")["nodeId"])
    led = cluster.leader() is victim
    say(f"kill -9 of {victim.name}, which runs it" + (" and leads the cluster" if led else ""))
    killed = time.monotonic()
    victim.kill()
    server = wait_for_page(cluster, port, server)
    say(f"served again after {time.monotonic() - killed:.2f} s, by {server}")
    cluster.wait_task("web/0", "running")
    orion(cluster, "ps")
    orion(cluster, "members")
    orion(cluster, "events")
    if keep:
        say(f"starting {victim.name} again: three nodes survive one death at a time")
        victim.start(*cluster.joining(victim))
        cluster.wait_settled(3)


def wait_for_page(cluster: Cluster, port: int, not_by: str = "") -> str:
    """Who serves the page, another than `not_by`: the container if the page names it, else the node."""
    deadline = time.monotonic() + PAGE_DEADLINE_S
    while time.monotonic() < deadline:
        page = fetch(port)
        if page is not None:
            named = re.search(r"Served by (\w+)", page)
            server = f"container {named[1]}" if named else f"node {cluster.task('web/0')['nodeId']}"
            if server != not_by:
                return server
        time.sleep(0.01)
    raise SystemExit(f"nobody served port {port} within {PAGE_DEADLINE_S:.0f} s")


def fetch(port: int) -> str | None:
    """The page; None when nobody serves it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.2)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        return text if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def play(cluster: Cluster, docker_host: str) -> None:
    port = cluster.any().port
    living = [n for n in cluster.nodes if n.alive]
    say("the cluster stays until Ctrl-C. Try, in another terminal:")
    print(f"    export ORION_ADDR=http://127.0.0.1:{port} DOCKER_HOST={docker_host}")
    print("    orion ps                          orion members                 orion events -f")
    print("    orion run -p 9090:80 --wait nginx orion logs web                orion raft")
    print(f"    docker ps --filter label=dev.orion.cluster={cluster.id}")
    print("    kill -9 one of: " + ", ".join(f"{n.process.pid} ({n.name})" for n in living if n.process))
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def orion(cluster: Cluster, *words: str) -> None:
    print(f"\n$ orion {' '.join(words)}", flush=True)
    subprocess.run(command(cluster.any(), *words), check=True)


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (api.Refused, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
