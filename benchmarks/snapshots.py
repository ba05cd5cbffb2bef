"""What snapshots cost the others: how long they hold the event loop, and whether they cause an election.

    script/bench snapshots [--allocations 200000] [--behind 100000] [--level N]

Three members in processes of their own, real disks and sockets. One is killed; the others go on for so many
entries that only a snapshot can bring it back; then it returns, while writes go on. The bare row: the same loop
doing nothing, in the same run, so that what the machine itself holds back is seen.

Exits with 1 when a bound is broken: no member changes its role, taking, sending and installing hold the loop for at
most 50 ms (on a machine with nothing else to do), and it was a snapshot that brought the third member back.
"""

import argparse
import asyncio
import sys
import time

from member import RESET, Members, Status
from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.ids import JobName, NodeId, RaftId
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import LEVEL
from orion.model.resources import Resources
from orion.process.config import Tuning
from orion.raft.interface import RaftConfig
from orion.scheduler.pools import Pools
from orion.scheduler.schedule import schedule
from orion.state.apply import apply
from orion.state.commands import AnyCommand, encode_command
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.cluster import InitCluster
from orion.state.tables.jobs import CreateJob
from orion.state.tables.nodes import RegisterNode

NODES = 1_000
TASKS = 1_000  # of one job
IN_FLIGHT = 256
HELD_MS = 50  # half a heartbeat's interval
CAPACITY = Resources(64_000, 512 * 10**9, 10**12)
TASK = TaskSpec("app", resources=Resources(100, 10**8, 0))


class Load:
    """A copy of the state says what to propose."""

    def __init__(self, members: Members, leader: int, level: int = LEVEL) -> None:
        self._members = members
        self._level = level  # of the cluster
        self.leader = leader
        self.state = State()
        self._pools = Pools()
        self.proposed = 0

    async def propose(self, command: AnyCommand) -> int:
        """Where it stands in the log."""
        reply = await self._members.call(self.leader, encode_command(command), timeout_s=30)
        self.proposed += 1
        return int.from_bytes(reply, "big")

    async def keep(self, command: AnyCommand) -> None:
        apply(self.state, await self.propose(command), command)

    async def fill(self, allocations: int) -> None:
        await self.keep(InitCluster(1, 0x0FEDCBA987654321))
        for n in range(NODES):
            facts = (NodeId(f"node{n}"), RaftId(n + 1), f"10.0.{n >> 8}.{n & 255}:7000", "10.0.0.1:8000")
            await self.keep(RegisterNode(1, *facts, CAPACITY, (), f"engine{n}", "0.1", level=self._level))
        for n in range(allocations // TASKS):
            name = JobName(f"job{n}")
            await self.keep(CreateJob(1, Job(name, JobKind.SERVICE, TASKS, TASK), name, 0))
            plan = schedule(self.state.view, [name], self._pools)
            await self.keep(plan.command(1))

    async def churn(self, entries: int, at_once: int = IN_FLIGHT) -> None:
        """Small writes, as agents make them."""
        running = AllocationStatus(AllocationState.RUNNING, started_at_ms=1)
        ids = list(self.state.allocations.values())[:10_000]
        left = iter(range(entries))

        async def worker() -> None:
            for n in left:
                one = ids[n % len(ids)]
                await self.propose(UpdateAllocations(1, one.node, ((one.id, running),)))

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())


class Table:
    """Of what was seen; the rows of snapshots are looked at in the end."""

    def __init__(self) -> None:
        self.rows: dict[str, Status] = {}
        print(f"{'longest turn of the loop, ms':44} {'wall':>9} {'cpu':>9} {'roles':>6}")

    def row(self, what: str, status: Status) -> None:
        print(f"{what:44} {status.held_ms:9.1f} {status.held_cpu_ms:9.1f} {status.elections:6}", flush=True)
        self.rows[what] = status


def broken(rows: dict[str, Status], back: Status, terms: set[int]) -> list[str]:
    """Which bounds, in words. The third member's own role is not counted: it is new to it who leads."""
    found = [
        f"{what}: the loop was held for {status.held_ms:.1f} ms, over {HELD_MS} ms"
        for what, status in rows.items()
        if status.held_ms > HELD_MS
    ]
    if len(terms) > 1:
        found.append(f"there was an election: terms {sorted(terms)}")
    changed = [what for what, status in rows.items() if status.elections and status is not back]
    found += [f"{what}: a change of role" for what in changed]
    if back.installs <= 1:
        found.append("the third came back by entries: what was measured is no snapshot")
    return found


async def bench(allocations: int, behind: int, level: int) -> list[str]:
    async with Members(3, Tuning()) as members:
        load = Load(members, await members.leader(), level)
        table = Table()
        for number in members.processes:
            await members.status(number, RESET)
        await asyncio.sleep(3)
        idle = await members.status(load.leader)
        table.row("bare: idle", idle)
        began = time.perf_counter()
        await load.fill(allocations)
        print(f"{allocations:,} allocations in {time.perf_counter() - began:.1f} s", flush=True)
        leader = load.leader
        away, other = (n for n in (1, 2, 3) if n != leader)
        members.kill(away)
        # As many messages as may be under way to it, small ones: else much of the rest reaches it in these.
        await load.churn(RaftConfig(id=1).max_inflight_messages, at_once=1)
        before = {n: await members.status(n, RESET) for n in (leader, other)}
        began = time.perf_counter()
        await load.churn(behind)
        print(f"{behind:,} entries in {time.perf_counter() - began:.1f} s, one member away", flush=True)
        for n, what in ((leader, "leader"), (other, "follower")):
            status = await members.status(n, RESET)
            table.row(f"{what} takes snapshots", status)
            assert status.snapshot > before[n].snapshot
        target = (await members.status(leader)).applied
        members.start(away)
        await members.status(away, RESET)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(load.churn(2_000))
            while (back := await members.status(away)).applied < target:
                await asyncio.sleep(0.02)
        print(f"the third is back after {time.perf_counter() - began:.1f} s by {back.installs - 1} snapshot(s)")
        await asyncio.sleep(2)  # until what was replaced is freed
        table.row("leader sends a snapshot", await members.status(leader))
        table.row("follower looks on", await members.status(other))
        back = await members.status(away)
        table.row("the third installs it", back)
        assert back.allocations == allocations
        rows = {what: status for what, status in table.rows.items() if status is not idle}
        return broken(rows, back, {status.term for status in table.rows.values()})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--allocations", type=int, default=200_000)
    options.add_argument("--behind", type=int, default=100_000)
    options.add_argument("--level", type=int, default=LEVEL, help="of the cluster: lower while it is upgraded")
    given = options.parse_args()
    if given.behind < Tuning().snapshot_entries:
        options.error(f"--behind below {Tuning().snapshot_entries:,} is less than calls for a snapshot")
    if found := asyncio.run(bench(given.allocations, given.behind, given.level)):
        sys.exit("BROKEN: " + "\nBROKEN: ".join(found))
    print(f"holds: no change of role, the loop held for at most {HELD_MS} ms, the third back by a snapshot")


if __name__ == "__main__":
    main()
