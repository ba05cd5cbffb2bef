"""From the moment a host vanishes to its task being served elsewhere: its link is cut, there is no reset to see.

    script/bench vanish [--runs 20]

Five nodes in network namespaces of their own, each with an engine of its own (the laboratory of script/chaos). Half
of the runs cut off a node that leads. The bare row: the same task asked for, until it answers, with nothing wrong.
"""

import argparse
import http.client
import json
import statistics
import time

from chaos.asking import NotSent, Unknown, ask
from chaos.node import ChaosNode
from chaos.world import World, wait, world
from support import images

PORT = 8080
POLL_S = 0.005
ANSWER_TIMEOUT_S = 0.1


def serves(node: ChaosNode) -> bool:
    connection = http.client.HTTPConnection(node.address, PORT, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def until_served(nodes: list[ChaosNode], began: float) -> float:
    """Seconds since `began`."""
    while not any(map(serves, nodes)):
        if time.monotonic() > began + 60:
            raise SystemExit("not served within 60 s")
        time.sleep(POLL_S)
    return time.monotonic() - began


def told(made: World, path: str) -> object:
    for node in made.nodes:
        try:
            answer = ask(node.address, "GET", path, patience_s=2)
        except (NotSent, Unknown):
            continue
        if answer.status == 200:
            return answer.json()
    return None


def holder(made: World) -> ChaosNode | None:
    task = told(made, "/tasks/web%2F0")
    if not isinstance(task, dict) or task["state"] != "running":
        return None
    return next(node for node in made.nodes if node.name == task["nodeId"])


def settled(made: World, image: str) -> bool:
    nodes = told(made, "/nodes")
    ready = isinstance(nodes, list) and all(n["status"] == "alive" and not n["reason"] for n in nodes)
    found = holder(made)
    return ready and found is not None and [node for node in made.nodes if serves(node)] == [found] and bool(image)


def cut_off(made: World, victim: ChaosNode) -> dict[int, list[str]]:
    rules = {n.index: [f"ip saddr {victim.address} drop"] for n in made.nodes if n is not victim}
    rules[victim.index] = ["ip saddr 10.77.0.0/24 drop"]
    for host, each in rules.items():
        made.lab.add_rules(host, each)
    return rules


def lead(made: World, node: ChaosNode, *, leads: bool) -> None:
    leader = made.leader()
    if (leader == node.name) == leads:
        return
    to = node.name if leads else next(n.name for n in made.nodes if n is not node)
    ask(made.nodes[0].address, "POST", "/raft/transfer", json.dumps({"to": to}).encode())
    wait(lambda: (made.leader() == node.name) == leads, f"{to} to lead")


def run(runs: int) -> None:
    bare, took = [], {"worker": [], "leader": []}
    with world() as made:
        for engine in made.engines:
            image = images.web(engine.host)
        made.form()
        body = json.dumps({"name": "web", "image": image, "portBindings": {"80/tcp": str(PORT)}}).encode()
        began = time.monotonic()
        ask(made.nodes[0].address, "POST", "/tasks", body)
        bare.append(until_served(made.nodes, began))
        for number in range(runs):
            wait(lambda: settled(made, image), "the cluster to settle", 90)
            victim = holder(made)
            assert victim is not None
            kind = "leader" if number % 2 else "worker"
            lead(made, victim, leads=kind == "leader")
            others = [node for node in made.nodes if node is not victim]
            began = time.monotonic()
            rules = cut_off(made, victim)
            took[kind].append(until_served(others, began))
            print(f"  {kind} run {number + 1}: {took[kind][-1]:.2f} s", flush=True)
            for host, each in rules.items():
                made.lab.remove_rules(host, each)
    print(f"\n{'':28} {'runs':>5} {'median s':>9} {'worst s':>9}")
    for name, each in (("bare: run to first answer", bare), *((f"{k} vanishes", v) for k, v in took.items() if v)):
        print(f"{name:28} {len(each):5} {statistics.median(each):9.2f} {max(each):9.2f}")
    every = took["worker"] + took["leader"]
    print(f"{'all':28} {len(every):5} {statistics.median(every):9.2f} {max(every):9.2f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=20)
    run(options.parse_args().runs)


if __name__ == "__main__":
    main()
