"""One job of very many tasks through all that may be asked of it: deployed, updated, scaled to zero.

    script/bench deployments [--tasks 10000] [--nodes 500]

The pure floors alone, each step as the leader's duties take it between two turns of its loop: a plan, a look at the
deployment, the application of one entry. No log, no network, no engines: nodes report at once that tasks run. The
worst step is what the leader's loop is held for.
"""

import argparse
import statistics
import time

from msgspec.structs import replace

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.deployment import DeploymentState
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import LEVEL
from orion.model.resources import Resources
from orion.model.update import UpdatePolicy
from orion.reconcile.deployment_look import Memory, warm
from orion.reconcile.deployments import decide
from orion.scheduler.pools import Pools
from orion.scheduler.room import has_room
from orion.scheduler.schedule import schedule
from orion.state.apply import apply
from orion.state.commands import decode_command, encode_command
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.cluster import InitCluster
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.job_changes import PutJob, SetJobCount
from orion.state.tables.nodes import RegisterNode

CAPACITY = Resources(64_000, 256_000_000_000, 1_000_000_000_000)
REPORTS = 200  # allocations in one entry of a node's statuses, at most


class Run:
    def __init__(self, nodes: int) -> None:
        self.state = State()
        self.state.level = LEVEL
        self.now_ms = 1
        self.steps: dict[str, list[float]] = {}
        self.pools = Pools()
        self.memory = Memory()
        self.do("register", InitCluster(0, 7))
        for number in range(1, nodes + 1):
            facts = ("10.0.0.1:7000", "10.0.0.1:8000", CAPACITY, (), f"engine{number}", "0.1")
            self.do("register", RegisterNode(1, f"node{number}", number, *facts, level=LEVEL))

    def do(self, name: str, command) -> None:
        data = encode_command(command)
        self.time(f"apply {name}", lambda: apply(self.state, self.state.index + 1, decode_command(data)))

    def time(self, name: str, step):
        before = time.perf_counter()
        result = step()
        self.steps.setdefault(name, []).append((time.perf_counter() - before) * 1000)
        return result

    def until_ended(self) -> int:
        """How many rounds it took."""
        rounds = 0
        while (row := self.state.of(Deployments).latest("web")) is not None and row.running:
            rounds += 1
            assert rounds < 10_000, row
            self._plan()
            self._report()
            self._lead(row)
            self.now_ms += 10
        assert row is not None
        assert row.state is DeploymentState.DONE, row
        return rounds

    def _plan(self) -> None:
        while self.state.view.jobs_to_place(64):
            plan = self.time("plan", self._schedule)
            if plan.empty:
                return
            self.do("plan", plan.command(1))

    def _schedule(self):
        view = self.state.view
        return schedule(view, view.jobs_to_place(64), self.pools)

    def _report(self) -> None:
        """Each node says what has come of its tasks."""
        news: dict[str, list] = {}
        for each in self.state.allocations.values():
            if each.terminal:
                continue
            if not each.wanted:
                news.setdefault(each.node, []).append((each.id, AllocationStatus(AllocationState.STOPPED)))
            elif each.status.state is AllocationState.SCHEDULED:
                running = AllocationStatus(AllocationState.RUNNING, started_at_ms=1)
                news.setdefault(each.node, []).append((each.id, running))
        for node, updates in news.items():
            for at in range(0, len(updates), REPORTS):
                self.do("statuses", UpdateAllocations(1, node, tuple(updates[at : at + REPORTS])))

    def _lead(self, row) -> None:
        record = self.state.view.job_record("web")
        looks = warm(record, row, record.job.update or UpdatePolicy(), self.memory, self.now_ms)
        while self.time("look, a slice", lambda: next(looks, self)) is not self:
            pass
        decision = self.time(
            "look, the decision",
            lambda: decide(
                record,
                row,
                record.job.update or UpdatePolicy(),
                self.memory,
                now_ms=self.now_ms,
                has_room=lambda: has_room(self.state.view, record, row.goal, self.pools),
                waits_for=lambda: "",
            ),
        )
        if decision.command is not None:
            self.do(type(decision.command).__name__, replace(decision.command, at_ms=1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=500)
    asked = parser.parse_args()
    run = Run(asked.nodes)
    policy = UpdatePolicy(parallelism=500, monitor_ms=0)

    def job(image: str) -> Job:
        return Job("web", JobKind.SERVICE, asked.tasks, TaskSpec(image, resources=Resources(100)), update=policy)

    changes = (
        ("deployed", PutJob(1, job("app:1"), "one", 1)),
        ("updated", PutJob(1, job("app:2"), "two", 1 << 40)),
        ("scaled to zero", SetJobCount(1, "web", 0, "three", 1 << 40)),
    )
    print(f"{asked.tasks:,} tasks on {asked.nodes:,} nodes, {policy.parallelism} at a time")
    for name, command in changes:
        run.steps.clear()
        before = time.perf_counter()
        run.do("the change", command)
        rounds = run.until_ended()
        print(f"{name} in {rounds} rounds, {time.perf_counter() - before:.2f} s of the leader's time")
        for step, samples in sorted(run.steps.items(), key=lambda item: -max(item[1])):
            worst, median = max(samples), statistics.median(samples)
            print(f"  {step:<24} {len(samples):6} times  median {median:8.3f}  worst {worst:8.3f} ms")


if __name__ == "__main__":
    main()
