"""Containers come into being only where the log explains them (invariant 6 of ARCHITECTURE.md): for an allocation
that was placed on that very node, and that was still wanted when the node asked, just before. And none comes into
being while one of a former job of its name runs, or of its own job from before a stop, but for those called lost.
"""

from collections.abc import Callable

from orion.model.allocation import Allocation
from orion.model.container import Container, ContainerState, Labels
from orion.model.ids import AllocationId, NodeId
from orion.node.agent.confirm import Confirm, Confirmed
from orion.state.core.command import Command
from orion.state.tables import State
from sim.builds import Build
from sim.cluster import Cluster, Machine, Run
from sim.engine import SimEngine
from sim.loop import Process
from sim.orchestration import check_placed

Demand = Callable[[bool, str, Callable[[], str]], None]  # the words are for what does not hold


class Explained:
    def __init__(self, cluster: Cluster, demand: Demand, build: Build) -> None:
        self._ending = tuple(map(build.command, ("SetNodeStatus", "RegisterNode", "RemoveNode")))
        self.cluster = cluster
        self.world = cluster.world
        self._demand = demand
        self._placed: dict[AllocationId, NodeId] = {}
        self._wanted: dict[AllocationId, None] = {}  # in the newest committed state
        self._ceased_ns: dict[AllocationId, int] = {}
        self._era: dict[AllocationId, int] = {}  # which of the jobs, or of the runs of a job, that its name has had
        self._eras: dict[str, int] = {}
        self._halted: set[str] = set()  # names whose job is not wanted in the newest committed state
        self._active: set[AllocationId] = set()  # in the newest committed state
        self._lost: set[AllocationId] = set()
        self._engines: dict[str, SimEngine] = {}  # those too that are gone with their machines
        # What was right, by the object's id: it is frozen, and a check that has passed has passed for ever.
        self._right: dict[int, Allocation] = {}
        self._confirmed: dict[tuple[Run, AllocationId], int] = {}  # when the question was asked that got a yes

    def watch(self, machine: Machine) -> None:
        machine.engine.on_create = self._on_create
        self._engines[machine.engine.id] = machine.engine

    def after_commit(self, state: State, command: Command | None) -> None:
        self._check_ready(state)
        active = {a.id: a for a in state.allocations.values() if not a.terminal}
        wanted = {a.id: a.node for a in active.values() if a.wanted}
        for identity in self._wanted:
            if identity not in wanted:
                self._ceased_ns[identity] = self.world.loop.now_ns
        if isinstance(command, self._ending):
            self._lost.update(self._active.difference(active))
        self._active = set(active)
        self._note_eras(state)
        for identity in wanted.keys() - self._placed.keys():
            self._era[identity] = self._eras.get(active[identity].job, 0)
            check_placed(self.world, state, active[identity])
        for identity in self._placed.keys() & (wanted.keys() - self._wanted.keys()):
            self._note_return(state, active[identity], command)
        self._placed.update(wanted)
        self._wanted = dict.fromkeys(wanted)

    def _note_return(self, state: State, back: Allocation, command: Command | None) -> None:
        """What was lost with a node goes on there, once the node is back."""
        self._demand(
            back.id in self._lost and isinstance(command, self._ending) and self._placed[back.id] == back.node,
            "what is over stays so, but for what was lost",
            lambda: f"{back} is wanted again by {command}",
        )
        check_placed(self.world, state, back)
        self._lost.discard(back.id)
        self._ceased_ns.pop(back.id, None)
        self.world.count("task goes on when its node is back")

    def _check_ready(self, state: State) -> None:
        """Of what is called ready or healthy, a check of that very run has passed, while it ran and was not ill."""
        passed = [engine.passed for engine in self._engines.values()]
        right = self._right
        for allocation in state.allocations.values():
            if id(allocation) in right:
                continue
            status = allocation.status
            if status.ready_since_ms or str(status.health) == "healthy":
                self._demand(
                    any((status.container, status.started_at_ms) in runs for runs in passed),
                    "ready is what has passed a check",
                    lambda allocation=allocation: f"{allocation} is called ready",
                )
            right[id(allocation)] = allocation

    def _note_eras(self, state: State) -> None:
        for name, record in state.jobs.items():
            if not record.job.wanted:
                self._halted.add(name)
            elif name in self._halted:
                self._halted.discard(name)
                self._eras[name] = self._eras.get(name, 0) + 1
        self._halted.intersection_update(state.jobs)

    def on_start(self, run: Run) -> None:
        """Listen in on what this node's agent asks the cluster."""
        assert run.node is not None
        starter = run.node.agent._reconciler._starter
        ask = starter._confirm

        async def confirm(request: Confirm) -> Confirmed:
            asked_ns = self.world.loop.now_ns
            answer = await ask(request)
            for identity in answer.wanted:
                self._confirmed[run, identity] = asked_ns
            return answer

        starter._confirm = confirm

    def _on_create(self, process: Process, allocation: Allocation, labels: Labels) -> None:
        run = self.cluster.machines[process.name].run
        if run is None or run.process is not process:
            return
        name, identity = f"{labels.node}'s container for {labels.allocation:08x}", labels.allocation
        self._demand(
            self._placed.get(identity) == labels.node == process.name,
            "a container is explained by the log",
            lambda: f"{name} is made, but its allocation was placed on {self._placed.get(identity)}",
        )
        asked_ns = self._confirmed.pop((run, identity), None)
        self._demand(
            asked_ns is not None, "a container is confirmed first", lambda: f"{name} is made without a question"
        )
        ceased_ns = self._ceased_ns.get(identity)
        self._demand(
            ceased_ns is None or asked_ns is None or ceased_ns >= asked_ns,
            "a container is explained by the log",
            lambda: f"{name} is made, but was not wanted any more when the node asked",
        )
        for engine in self.cluster.engines.values():
            for held in engine.containers.values():
                self._check_former(name, labels, held.shown)

    def _check_former(self, name: str, labels: Labels, other: Container) -> None:
        if other.labels.job != labels.job or other.state is not ContainerState.RUNNING:
            return
        former = AllocationId(other.labels.allocation)
        self._demand(
            former in self._lost or self._era.get(former, 0) >= self._era.get(AllocationId(labels.allocation), 0),
            "a name's former containers have ended",
            lambda: (
                f"{name} of {labels.job} is made while {other.labels.node}'s {former:08x} runs, from before a stop"
            ),
        )
