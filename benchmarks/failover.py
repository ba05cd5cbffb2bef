"""From kill -9 of a node to its task's replacement answering HTTP: real processes, a real engine, real containers.

    script/bench failover [--runs 10] [--scenario worker|leader|two-nodes]

Each run kills the node that holds the task (`worker`: one that does not lead, `leader`: the one that does,
`two-nodes`: node 2 of 2), waits until another container answers on the same host port, then starts the node again
and waits until the cluster has settled. The bare baseline in the same run: `docker run -d` of the same image to its
first answer. Nodes share one engine and one port, so a survivor has to stop the dead node's container first.
"""

import argparse
import http.client
import re
import statistics
import subprocess
import time

from support import api, cleanup, images
from support.engine import engine
from support.nodes import Cluster, NodeProcess, cluster, free_ports

POLL_S = 0.002
# A connection that the engine's proxy accepted for a container that is going would hang; ask anew soon instead.
ANSWER_TIMEOUT_S = 0.1


def served_by(port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        found = re.search(r"Served by (\w+)", connection.getresponse().read().decode())
        return found[1] if found else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def until_served(port: int, not_by: str | None, deadline_s: float = 60) -> str:
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        server = served_by(port)
        if server is not None and server != not_by:
            return server
        time.sleep(POLL_S)
    raise SystemExit(f"port {port} was not served within {deadline_s:g} s")


def bare_start_s(docker_host: str, image: str) -> float:
    """docker run -d to the first answer."""
    port = free_ports()[0]
    began = time.monotonic()
    command = ["docker", "-H", docker_host, "run", "-d", "-p", f"{port}:80", image]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    until_served(port, None)
    took = time.monotonic() - began
    api.ask(docker_host, "DELETE", f"/containers/{made}?force=1")
    return took


def lead(made: Cluster, name: str) -> None:
    """Make this node the leader."""
    if (leader := made.leader()) is None or leader.name != name:
        made.any().ask("POST", "/raft/transfer", {"to": name})
        made.wait(lambda: (found := made.leader()) and found.name == name, f"{name} to lead")


def hold(made: Cluster, name: str, port: int) -> None:
    """Move the task to this node."""
    if made.task("web/0")["nodeId"] == name:
        return
    others = [n.name for n in made.nodes if n.name != name]
    for other in others:
        made.any().ask("POST", f"/nodes/{other}/drain")
    made.wait(lambda: (t := made.task("web/0"))["nodeId"] == name and t["state"] == "running", f"web/0 on {name}")
    for other in others:
        made.any().ask("POST", f"/nodes/{other}/ready")
    until_served(port, None)


def prepare(made: Cluster, scenario: str, port: int) -> NodeProcess:
    """Who is to die, with everything as the scenario wants it."""
    if scenario == "two-nodes":
        hold(made, "node2", port)
        return made.node("node2")
    victim = made.node(made.task("web/0")["nodeId"])
    if scenario == "leader":
        lead(made, victim.name)
    elif (leader := made.leader()) is None or leader is victim:
        lead(made, next(n.name for n in made.nodes if n is not victim and n.alive))
    return victim


def measure(docker_host: str, image: str, scenario: str, runs: int) -> tuple[list[float], list[float]]:
    took, bare = [], []
    with cluster(docker_host) as made:
        size = 2 if scenario == "two-nodes" else 3
        made.grow_to(size)
        port = free_ports()[0]
        made.run("web", image=image, memory=50_000_000, portBindings={"80/tcp": str(port)})
        for run in range(runs):
            victim = prepare(made, scenario, port)
            before = until_served(port, None)
            began = time.monotonic()
            victim.kill()
            until_served(port, before)
            took.append(time.monotonic() - began)
            print(f"  {scenario} run {run + 1}: {took[-1]:.2f} s", flush=True)
            victim.start(*made.joining(victim))
            made.wait_settled(size)
            made.wait_task("web/0", "running")
            bare.append(bare_start_s(docker_host, image))
        cleanup.remove_containers(docker_host, made.id)
    return took, bare


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--scenario", choices=["worker", "leader", "two-nodes"], action="append")
    given = options.parse_args()
    rows = []
    with engine() as docker_host:
        image = images.web(docker_host)
        for scenario in given.scenario or ["worker", "leader", "two-nodes"]:
            took, bare = measure(docker_host, image, scenario, given.runs)
            base = statistics.median(bare)
            rows.append((scenario, statistics.median(took), max(took), base, statistics.median(took) / base))
    print(
        f"\n{given.runs} runs each\n{'killed':10} {'median s':>9} {'worst s':>9} {'bare start s':>13} {'ratio':>6}"
    )
    for name, median, worst, base, ratio in rows:
        print(f"{name:10} {median:9.2f} {worst:9.2f} {base:13.2f} {ratio:6.1f}")


if __name__ == "__main__":
    main()
