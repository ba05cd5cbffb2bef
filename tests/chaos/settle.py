"""After the faults: one leader, all nodes ready, every task explained, every container explained, one state."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from chaos.asking import NotSent, Unknown, ask
from chaos.ledger import Told, lost, undead
from chaos.node import CPUS, MEMORY_BYTES, ChaosNode
from chaos.placements import ACTIVE, active, wrong_placements
from support import api
from support.cleanup import containers

DEADLINE_S = 120.0  # a run tells how long it took
LOOK_EVERY_S = 0.25


class Settled(NamedTuple):
    seconds: float
    ghosts: int  # starts that Docker refuses for a port that nobody has


class NotYet(Exception):
    """What is still missing, in a sentence."""


def settle(nodes: list[ChaosNode], told: dict[str, Told], healed_at: float, say: Callable[[str], None]) -> float:
    """Seconds from `healed_at` (monotonic) until all of it held. Raises NotYet when it does not in time.

    `say` is told what is missing whenever that changes.
    """
    said = ""
    while True:
        try:
            ghosts = _look(nodes, told)
        except (NotYet, NotSent, Unknown, OSError, http.client.HTTPException, api.Refused) as error:
            if time.monotonic() - healed_at > DEADLINE_S:
                raise NotYet(f"{DEADLINE_S:g} s after the last fault: {error}") from error
            if str(error) != said:
                said = str(error)
                say(f"not yet: {said[:300]}")
            time.sleep(LOOK_EVERY_S)
        else:
            return Settled(time.monotonic() - healed_at, ghosts)


def _look(nodes: list[ChaosNode], told: dict[str, Told]) -> int:
    """How many starts are left to Docker's ghosts."""
    cluster = _one_leader(nodes)
    _ready(nodes)
    tasks = _read(nodes[0], "/tasks")[1]
    ghosts = {allocation for node in nodes for allocation in _ghosts(node, tasks)}
    _tasks(tasks, told, ghosts)
    for node in nodes:
        _containers(node, cluster, tasks, ghosts)
    _one_state(nodes)
    return len(ghosts)


def _one_leader(nodes: list[ChaosNode]) -> str:
    """The cluster's id."""
    views = {node.name: _read(node, "/raft")[1] for node in nodes}
    if len({(view["leader"], view["term"]) for view in views.values()}) != 1:
        raise NotYet(f"no one leader: { ({n: (v['leader'], v['term']) for n, v in views.items()}) }")
    leading = [name for name, view in views.items() if view["state"] == "leader"]
    if len(leading) != 1:
        raise NotYet(f"{leading or 'nobody'} lead")
    voters = [sorted(member["id"] for member in view["voters"]) for view in views.values()]
    if any(found != sorted(views) for found in voters):
        raise NotYet(f"the voters are not all five: {voters}")
    return str(views[leading[0]]["cluster"])


def _ready(nodes: list[ChaosNode]) -> None:
    for view in _read(nodes[0], "/nodes")[1]:
        if view["status"] != "alive" or view["reason"]:
            raise NotYet(f"{view['name']} is {view['status']} {view['reason']}")


def _ghosts(node: ChaosNode, tasks: list[dict[str, Any]]) -> list[str]:
    """Allocations that Docker refuses to start because their port is taken, by nothing but itself: a dockerd that
    was killed while containers came or went (20.10 for one) may bring up the proxy of a container that is no more,
    and hold its port until it is killed again. No container has the port, and yet it takes connections.
    """
    published = {
        port.get("PublicPort")
        for container in api.ask_json(node.engine.host, "GET", "/containers/json?all=1")
        for port in container["Ports"]
    }
    return [
        allocation["id"]
        for task in tasks
        for allocation in active(task)
        if allocation["nodeId"] == node.name and "port is already allocated" in allocation["reason"]
        for port in task["portBindings"].values()
        if port and int(port) not in published and _listens(node.address, int(port))
    ]


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _tasks(tasks: list[dict[str, Any]], told: dict[str, Told], ghosts: set[str]) -> None:
    names = [task["name"] for task in tasks]
    if gone := lost(told, names):
        raise NotYet(f"acknowledged and lost: {', '.join(gone)}")
    if there := undead(told, names):
        raise NotYet(f"deleted and still there: {', '.join(there)}")
    if wrong := wrong_placements(tasks, MEMORY_BYTES, CPUS):
        raise NotYet("; ".join(wrong))
    for task in tasks:
        if task["state"] == "running" and len(active(task)) != 1:
            raise NotYet(f"{task['id']} has {len(active(task))} runs")
        pending = task["state"] == "pending" and task["reason"]
        refused = any(allocation["id"] in ghosts for allocation in active(task))
        if task["state"] != "running" and not pending and not refused:
            raise NotYet(f"{task['id']} is {task['state']} {task['reason']}")


def _containers(node: ChaosNode, cluster: str, tasks: list[dict[str, Any]], ghosts: set[str]) -> None:
    """Every container's allocation is one that this node has or had; those that run are those that should."""
    own = {a["id"]: a["state"] for task in tasks for a in task["allocations"] if a["nodeId"] == node.name}
    found = containers(node.engine.host, f"dev.orion.cluster={cluster}")
    running = []
    for container in found:
        allocation = container["Labels"]["dev.orion.allocation"]
        if allocation not in own:
            raise NotYet(f"{container['Names'][0]} on {node.name} is nobody's")
        if container["State"] == "running":
            running.append(allocation)
    wanted = sorted(allocation for allocation, state in own.items() if state in ACTIVE and allocation not in ghosts)
    if sorted(running) != wanted:
        raise NotYet(f"on {node.name} run {sorted(running)}, and should {wanted}")


def _one_state(nodes: list[ChaosNode]) -> None:
    """All nodes, asked for their own state, show the same at the same index."""
    seen: dict[str, tuple[int, str]] = {}
    for node in nodes:
        before, tasks = _read(node, "/tasks?stale=1")
        configs = _read(node, "/configs?stale=1")[1]
        index, views = _read(node, "/nodes?stale=1")
        if before != index:
            raise NotYet(f"{node.name} is still applying")
        kept = [{key: view[key] for key in ("name", "ip", "apiAddress", "labels", "tasks")} for view in views]
        given = [[view["memory"]["given"], view["cpu"]["given"], view["disk"]["given"]] for view in views]
        seen[node.name] = (index, json.dumps([tasks, configs, kept, given], sort_keys=True))
    if len({index for index, _ in seen.values()}) != 1:
        raise NotYet(f"indexes differ: { ({name: index for name, (index, _) in seen.items()}) }")
    if len({text for _, text in seen.values()}) != 1:
        raise NotYet(f"states differ at one index: {seen}")


def _read(node: ChaosNode, path: str) -> tuple[int, Any]:
    answer = ask(node.address, "GET", path, patience_s=5.0)
    if answer.status != 200:
        raise NotYet(f"{node.name} answers {path} with {answer.status}: {answer.body[:200]!r}")
    return answer.index, answer.json()
