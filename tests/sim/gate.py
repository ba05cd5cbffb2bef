"""Client operations as events that a replay may leave out: each is numbered by its client, and one that is left out
finds nobody who listens.
"""

import asyncio
from collections import Counter

from sim.cluster import Cluster, Machine
from sim.events import Keep, operation_key
from sim.workload import Workload

CLIENT = "client-"  # how the workload names its runners


class OperationGate:
    def __init__(self, cluster: Cluster, workload: Workload, keep: Keep) -> None:
        self._world = cluster.world
        self._workload = workload
        self._keep = keep
        self._asked: Counter[str] = Counter()
        cluster.may_ask = self._may_ask

    def _may_ask(self, machine: Machine) -> bool:
        runner = asyncio.current_task()
        client = runner.get_name() if runner is not None else ""
        if not client.startswith(CLIENT):
            return True
        key = operation_key(client, self._asked[client])
        self._asked[client] += 1
        if not self._keep.takes(key):
            return False
        self._world.happened(key, f"{self._what(client)} at {machine.name}")
        return True

    def _what(self, client: str) -> str:
        """Its operation was noted just before it asks; one whose answer nobody judges was not."""
        history, number = self._workload.history, int(client.removeprefix(CLIENT))
        last = history[-1] if history else None
        if last is None or last.client != number or last.begin_ns != self._world.loop.now_ns:
            return "ask"
        return f"{last.kind} {last.key}".strip()
