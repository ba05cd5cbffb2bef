"""Containers come into being only where the log explains them (invariant 6 of ARCHITECTURE.md): for an allocation
that was placed on that very node, and that was still wanted when the node asked, just before.
"""

from collections.abc import Callable

from orion.model.allocation import Allocation
from orion.model.container import Labels
from orion.model.ids import AllocationId, NodeId
from orion.node.requests import Confirm, Confirmed
from orion.state.tables import State
from sim.cluster import Cluster, Machine, Run
from sim.loop import Process

Demand = Callable[[bool, str, str], None]


class Explained:
    def __init__(self, cluster: Cluster, demand: Demand) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self._demand = demand
        self._placed: dict[AllocationId, NodeId] = {}
        self._wanted: dict[AllocationId, None] = {}  # in the newest committed state
        self._ceased_ns: dict[AllocationId, int] = {}
        self._confirmed: dict[tuple[Run, AllocationId], int] = {}  # when the question was asked that got a yes

    def watch(self, machine: Machine) -> None:
        machine.engine.on_create = self._on_create

    def after_commit(self, state: State) -> None:
        wanted = {a.id: a.node for a in state.allocations.values() if a.wanted and not a.terminal}
        for identity in self._wanted:
            if identity not in wanted:
                self._ceased_ns[identity] = self.world.loop.now_ns
        self._placed.update(wanted)
        self._wanted = dict.fromkeys(wanted)

    def on_start(self, run: Run) -> None:
        """Listen in on what this node's agent asks the cluster."""
        assert run.node is not None
        agent = run.node.agent
        ask = agent._confirm

        async def confirm(request: Confirm) -> Confirmed:
            asked_ns = self.world.loop.now_ns
            answer = await ask(request)
            for identity in answer.wanted:
                self._confirmed[run, identity] = asked_ns
            return answer

        agent._confirm = confirm

    def _on_create(self, process: Process, allocation: Allocation, labels: Labels) -> None:
        run = self.cluster.machines[process.name].run
        if run is None or run.process is not process:
            return
        name, identity = f"{labels.node}'s container for {labels.allocation:08x}", labels.allocation
        self._demand(
            self._placed.get(identity) == labels.node == process.name,
            "a container is explained by the log",
            f"{name} is made, but its allocation was placed on {self._placed.get(identity)}",
        )
        asked_ns = self._confirmed.pop((run, identity), None)
        self._demand(asked_ns is not None, "a container is confirmed first", f"{name} is made without a question")
        ceased_ns = self._ceased_ns.get(identity)
        self._demand(
            ceased_ns is None or asked_ns is None or ceased_ns >= asked_ns,
            "a container is explained by the log",
            f"{name} is made, but was not wanted any more when the node asked",
        )
