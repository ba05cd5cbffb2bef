"""Whether one answer of `GET /tasks` is a possible state of the cluster. Pure."""

from collections import defaultdict
from typing import Any

ACTIVE = frozenset({"scheduled", "pulling", "starting", "running"})


def active(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [a for a in task["allocations"] if a["state"] in ACTIVE]


def wrong_placements(tasks: list[dict[str, Any]], memory_bytes: int, cpus: float) -> list[str]:
    """Static ports given twice on a node, nodes with more than they have, tasks with two runs. Sentences."""
    claims: dict[tuple[str, str], list[str]] = defaultdict(list)
    memory: dict[str, int] = defaultdict(int)
    cpu: dict[str, float] = defaultdict(float)
    for task in tasks:
        for allocation in active(task):
            node = allocation["nodeId"]
            memory[node] += task["memory"]
            cpu[node] += task["cpu"]
            for key, port in task["portBindings"].items():
                if port:
                    claims[node, f"{port}/{key.partition('/')[2]}"].append(f"{task['id']} ({allocation['id']})")
    wrong = [
        f"host port {port} of {node} is given to {' and '.join(holders)}"
        for (node, port), holders in sorted(claims.items())
        if len(holders) > 1
    ]
    wrong += [
        f"{n} has {memory_bytes} bytes and gave {given}"
        for n, given in sorted(memory.items())
        if given > memory_bytes
    ]
    wrong += [f"{n} has {cpus} cores and gave {given:g}" for n, given in sorted(cpu.items()) if given > cpus + 1e-9]
    return wrong
