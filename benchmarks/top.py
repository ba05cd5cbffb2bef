"""`orion top` in front of a large cluster: how soon it shows what happens, how soon it heeds a key, what it costs.

    script/bench top [--nodes 500] [--tasks 10000] [--changes 100] [--seconds 60]

One real member with the real API, log and state; its nodes and their tasks exist in the state alone. `orion top`
runs in a terminal of 200 x 50 that this program reads. Changes are statuses of random tasks; twice a second one of
a task on the screen, with a word that is looked for in what the terminal is sent. Keys move the cursor. The bare
row of the member's time is the same minute of changes without anybody who follows.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from pathlib import Path

from msgspec.structs import replace

import served_member
from member import Members
from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.ids import JobName, NodeId, RaftId
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import LEVEL
from orion.model.resources import Resources
from orion.process.config import Tuning
from orion.scheduler.pools import Pools
from orion.scheduler.schedule import schedule
from orion.state.apply import apply
from orion.state.commands import AnyCommand, encode_command
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.cluster import InitCluster
from orion.state.tables.jobs import CreateJob
from orion.state.tables.nodes import RegisterNode
from support.nodes import free_ports
from terminal import DOWN, ROWS, Terminal

TASKS = 100  # of a job
CAPACITY = Resources(64_000, 512 * 10**9, 10**12)
TASK = TaskSpec("app", resources=Resources(100, 10**8, 0))
KEYS_S = 0.25
MARKS_S = 0.5


class Cluster:
    """The member, and a copy of its state that says what to propose."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self.state = State()

    @property
    def pid(self) -> int:
        return self._members.processes[1].pid

    async def keep(self, command: AnyCommand) -> None:
        reply = await self._members.call(1, encode_command(command), timeout_s=30)
        apply(self.state, int.from_bytes(reply, "big"), command)

    async def fill(self, nodes: int, tasks: int) -> None:
        pools = Pools()
        await self.keep(InitCluster(1, 0x0FEDCBA987654321))
        for n in range(1, nodes + 1):
            facts = (NodeId(f"node{n:04}"), RaftId(n), f"10.0.{n >> 8}.{n & 255}:7000", "127.0.0.1:1")
            await self.keep(RegisterNode(1, *facts, CAPACITY, (), f"engine{n}", "0.1", level=LEVEL))
        for n in range(tasks // TASKS):
            name = JobName(f"job{n:03}")
            await self.keep(CreateJob(1, Job(name, JobKind.SERVICE, TASKS, TASK), name, 0))
            await self.keep(schedule(self.state.view, [name], pools).command(1))
        running = AllocationStatus(AllocationState.RUNNING, started_at_ms=1_700_000_000_000)
        for node in list(self.state.nodes):
            held = self.state.view.allocations_of_node(node)
            await self.keep(UpdateAllocations(1, node, tuple((each.id, running) for each in held)))

    async def change(self, allocation: Allocation, reason: str) -> None:
        now = self.state.view.allocation(allocation.id)
        assert now is not None
        status = replace(now.status, restarts=now.status.restarts + 1, reason=reason)
        await self.keep(UpdateAllocations(1, now.node, ((now.id, status),)))

    async def churn(self, each_s: int, seconds: float) -> None:
        """So many changes a second of tasks anywhere."""
        tasks = list(self.state.view.allocations.values())
        rng = random.Random(1)
        began = time.monotonic()
        for number in range(int(each_s * seconds)):
            await asyncio.sleep(max(0.0, began + number / each_s - time.monotonic()))
            await self.change(rng.choice(tasks[TASKS:]), "")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


async def marks(cluster: Cluster, terminal: Terminal, seconds: float) -> list[float]:
    """From a change of a task on the screen being asked for to its word in the terminal."""
    first = next(
        each for each in cluster.state.view.allocations.values() if (each.job, each.index) == ("job000", 1)
    )
    found, began, number = [], time.monotonic(), 0
    while time.monotonic() - began < seconds:
        number += 1
        word = f"mark{number:05}"
        terminal.look_for(word)
        asked = time.monotonic()
        await cluster.change(first, word)
        found.append(await terminal.seen_s(word) - asked)
        await asyncio.sleep(MARKS_S)
    return found


async def keys(terminal: Terminal, seconds: float) -> list[float]:
    """From a key to the row of the cursor being drawn anew."""
    found, began, row = [], time.monotonic(), 0
    while time.monotonic() - began < seconds:
        row += 1
        word = f"job000/{row}"
        terminal.look_for(word)
        asked = time.monotonic()
        terminal.press(DOWN)
        found.append(await terminal.seen_s(word) - asked)
        await asyncio.sleep(KEYS_S)
        if row == ROWS // 2:
            terminal.press(b"g")  # back to the first row
            await asyncio.sleep(KEYS_S)
            row = 0
    return found


async def bench(nodes: int, tasks: int, changes: int, seconds: float) -> int:
    port = free_ports()[0]
    os.environ[served_member.API_PORT] = str(port)
    async with Members(1, Tuning(), served_member.__file__) as members:
        await members.leader()
        cluster = Cluster(members)
        await cluster.fill(nodes, tasks)
        before = cpu_s(cluster.pid)
        await cluster.churn(changes, seconds)
        bare = cpu_s(cluster.pid) - before
        terminal = Terminal(f"127.0.0.1:{port}", "tasks")
        try:
            terminal.look_for("job000/1")
            start = await terminal.seen_s("job000/1") - terminal.began
            await asyncio.sleep(5)
            at_first = memory_mb(terminal.process.pid)
            before, own = cpu_s(cluster.pid), cpu_s(terminal.process.pid)
            async with asyncio.TaskGroup() as group:
                group.create_task(cluster.churn(changes, seconds))
                shown = group.create_task(marks(cluster, terminal, seconds))
                heeded = group.create_task(keys(terminal, seconds))
            followed = cpu_s(cluster.pid) - before
            own = cpu_s(terminal.process.pid) - own
            in_the_end = memory_mb(terminal.process.pid)
        finally:
            terminal.close()
    print(f"{tasks:,} tasks on {nodes} nodes, {changes} changes a second for {seconds:g} s")
    print(f"{'':44}{'median':>10}{'95 %':>10}{'worst':>10}")
    for name, found in (("change to screen, ms", shown.result()), ("key to screen, ms", heeded.result())):
        most = sorted(found)[int(len(found) * 0.95)]
        print(f"{name:44}{statistics.median(found) * 1000:10.1f}{most * 1000:10.1f}{max(found) * 1000:10.1f}")
    print(f"exec to the first task on the screen, s     {start:10.2f}")
    print(f"memory of orion top, MB, first and last     {at_first:10.1f}{in_the_end:10.1f}")
    print(f"the member's share of a core, bare, followed {bare / seconds:10.3f}{followed / seconds:10.3f}")
    print(f"orion top's own share of a core             {own / seconds:10.3f}")
    return 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--nodes", type=int, default=500)
    options.add_argument("--tasks", type=int, default=10_000)
    options.add_argument("--changes", type=int, default=100)
    options.add_argument("--seconds", type=float, default=60.0)
    asked = options.parse_args()
    return asyncio.run(bench(asked.nodes, asked.tasks, asked.changes, asked.seconds))


if __name__ == "__main__":
    sys.exit(main())
