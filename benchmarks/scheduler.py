"""The pure floors alone: scheduling and applying on 5,000 nodes, and what a million allocations weigh.

    script/bench scheduler [single | waiting | death | ports | floor | million ...]

No log, no network, no disk. Each part runs in a process of its own, so that its memory is its own. `floor` is a
bare loop of heap, msgspec and dicts that does the least a million placements could do, on the same machine in the
same run: the ratio of their processor time says more than the seconds, which grow when the machine is busy.

Garbage collection is on, as in a running node: frozen after start, thresholds as below. Allocations, statuses and
resources are gc=False structs and dicts of them are not tracked, so a million of them give the collector little to
walk; what it takes is inside the figures.
"""

import gc
import heapq
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.ids import JobName, NodeId, RaftId, allocation_id
from orion.model.job import Job, JobKind, PortBinding, TaskSpec
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.resources import Resources
from orion.scheduler.pools import Pools
from orion.scheduler.schedule import schedule
from orion.state.apply import apply
from orion.state.commands import decode_command, encode_command
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.cluster import InitCluster
from orion.state.tables.jobs import CreateJob
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import Placements

NODES = 5_000
JOBS = 1_000
TASKS = 1_000  # of each job
GC_THRESHOLDS = (10_000, 20, 50)
CAPACITY = Resources(64_000, 256_000_000_000, 1_000_000_000_000)
TASK = TaskSpec("app:1", resources=Resources(100, 200_000_000, 0))
WITH_PORT = TaskSpec("app:1", resources=Resources(100, 200_000_000, 0), ports=(PortBinding(80, "tcp"),))


class Timer:
    """Adds up the milliseconds of named steps."""

    def __init__(self):
        self.samples = {}

    def time(self, name, step, *args):
        before = time.perf_counter()
        result = step(*args)
        self.samples.setdefault(name, []).append((time.perf_counter() - before) * 1000)
        return result

    def table(self):
        for name, samples in self.samples.items():
            ordered = sorted(samples)
            p99 = ordered[int(len(ordered) * 0.99)]
            print(
                f"  {name:<20} median {statistics.median(ordered):8.3f}  p99 {p99:8.3f}"
                f"  worst {ordered[-1]:8.3f} ms  total {sum(ordered) / 1000:6.2f} s"
            )

    def total_s(self, *names):
        return sum(sum(self.samples[name]) for name in names) / 1000


class Cluster:
    def __init__(self):
        self.state = State()
        self.index = 0
        self.pools = Pools()
        self.apply(InitCluster(1, 0x1234567812345678))
        for n in range(NODES):
            labels = (("arch", "amd64"), ("hostname", f"host{n}"), ("id", f"node{n}"), ("os", "linux"))
            facts = (
                NodeId(f"node{n}"),
                RaftId(n + 1),
                f"10.0.{n >> 8}.{n & 255}:7000",
                f"10.0.{n >> 8}.{n & 255}:8000",
            )
            self.apply(RegisterNode(1, *facts, CAPACITY, labels, f"engine{n}", "0.1", level=LEVEL))

    def apply(self, command):
        self.index += 1
        return apply(self.state, self.index, command)

    def create(self, name, count, task=TASK):
        self.apply(
            CreateJob(1, Job(JobName(name), JobKind.SERVICE, count, task, created_at_ms=1), name, self.index)
        )

    def place(self, name, timer):
        return self.plan([JobName(name)], timer)[0]

    def plan(self, jobs, timer):
        """The plan, and its bytes."""
        plan = timer.time("schedule", schedule, self.state.view, jobs, self.pools)
        data = timer.time("encode", lambda: encode_command(plan.command(1)))
        command = timer.time("decode", decode_command, data)
        timer.time("apply", self.apply, command)
        return plan, data


def memory_mb():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return 0.0


def settle_gc():
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def single():
    """One placement, with 100,000 allocations in state."""
    cluster = Cluster()
    settle_gc()
    fill = Timer()
    for n in range(100):
        cluster.create(f"fill{n}", TASKS)
        cluster.place(f"fill{n}", fill)
    print(f"one placement, {NODES:,} nodes, {cluster.state.view.allocation_count():,} allocations in state:")
    timer = Timer()
    for n in range(2_000):
        cluster.create(f"one{n}", 1)
        assert cluster.place(f"one{n}", timer).placements
    timer.table()
    print("one task of a job of 1,000 placed again:")
    timer = Timer()
    lost = AllocationStatus(AllocationState.LOST, "lost")
    for n in range(500):
        victim = cluster.state.view.allocations_of_slot(JobName(f"fill{n % 100}"), n)[-1]
        cluster.apply(UpdateAllocations(1, victim.node, ((victim.id, lost),)))
        assert cluster.place(f"fill{n % 100}", timer).placements
    timer.table()
    print("one task that fits nowhere, refused with its reason:")
    timer = Timer()
    for n in range(100):
        cluster.create(f"big{n}", 1, TaskSpec("app:1", resources=Resources(0, 10**12, 0)))
        assert cluster.place(f"big{n}", timer).refusals
    timer.table()


def waiting():
    """The jobs of one plan, of very many that wait and that fit nowhere: `POST /tasks` makes one for each task."""
    for count in (1_000, 60_000, 200_000):
        cluster = Cluster()
        for n in range(count):
            cluster.create(f"job{n}", 1, TaskSpec("app:1", resources=Resources(0, 10**12, 0)))
        settle_gc()
        view, timer = cluster.state.view, Timer()
        for _ in range(100):
            jobs = timer.time("list 64 to place", view.jobs_to_place, 64)
            timer.time("schedule", schedule, view, jobs, cluster.pools)
        refuse = Timer()
        while jobs := view.jobs_to_place(1_000):
            data = cluster.plan(jobs, refuse)[1]
        for _ in range(100):
            assert len(timer.time("list 64 refused", view.jobs_refused, 64)) == 64
        print(f"{count:,} jobs that wait, {NODES:,} nodes:")
        timer.table()
        print(f"plans that refuse 1,000 of them each, {len(data) / 1000:.0f} bytes a job:")
        refuse.table()


def death():
    """A node dies: all on it is lost in one command and placed again by one plan."""
    cluster = Cluster()
    settle_gc()
    fill = Timer()
    for n in range(100):
        cluster.create(f"fill{n}", TASKS)
        cluster.place(f"fill{n}", fill)
    timer = Timer()
    lost = []
    for _ in range(20):
        victim = max(cluster.state.records.values(), key=lambda record: record.active).node
        lost.append(cluster.state.records[victim.id].active)
        timer.time("apply the death", cluster.apply, SetNodeStatus(1, victim.id, victim.raft_id, NodeStatus.DOWN))
        jobs = timer.time("list the jobs", cluster.state.view.jobs_to_place)
        plan = timer.time("schedule", schedule, cluster.state.view, jobs, cluster.pools)
        assert sum(len(group.nodes) for group in plan.placements) == lost[-1]
        timer.time("apply the plan", cluster.apply, plan.command(1))
    print(f"a node with {min(lost)} to {max(lost)} tasks dies, {NODES:,} nodes, 100,000 allocations:")
    timer.table()
    report = Timer()
    running = AllocationStatus(AllocationState.RUNNING, started_at_ms=1, address="172.17.0.2")
    for node in list(cluster.state.nodes)[:1_000]:
        updates = tuple((a.id, running) for a in cluster.state.view.allocations_of_node(node))
        if updates:
            report.time("apply one report", cluster.apply, UpdateAllocations(1, node, updates))
    print("nodes report that all of theirs runs:")
    report.table()


def million():
    cluster = Cluster()
    settle_gc()
    before = memory_mb()
    timer, cpu = Timer(), time.process_time()
    for n in range(JOBS):
        cluster.create(f"job{n}", TASKS)
        assert len(cluster.place(f"job{n}", timer).placements[0].indexes) == TASKS
    cpu = time.process_time() - cpu
    print(f"{cluster.state.view.allocation_count():,} placements as {JOBS:,} jobs of {TASKS:,}, {NODES:,} nodes:")
    timer.table()
    total = timer.total_s("schedule", "encode", "decode", "apply")
    after = memory_mb()
    print(f"  in all {total:.2f} s, {cpu:.2f} s of processor; memory {before:.0f} MB before, {after:.0f} MB after")
    before_gc = time.perf_counter()
    gc.collect()
    print(f"  one full garbage collection then: {(time.perf_counter() - before_gc) * 1000:.1f} ms")
    snapshot(cluster.state)
    print(f"RESULT {cpu:.3f} {after:.1f}")


def snapshot(state):
    timer = Timer()
    captured = timer.time("capture", capture, state)
    chunks = []
    stream = encode(captured)
    while (chunk := timer.time("encode a chunk", next, stream, None)) is not None:
        chunks.append(chunk)
    restorer = Restorer()
    for chunk in chunks:
        timer.time("restore a chunk", restorer.feed, chunk)
    restored = restorer.finish()
    assert len(restored.allocations) == len(state.allocations)
    print(f"its snapshot, {sum(map(len, chunks)) / 1e6:.1f} MB in {len(chunks)} chunks:")
    timer.table()


def ports():
    """As `million`, a tenth of it, each task with one host port to be chosen."""
    cluster = Cluster()
    settle_gc()
    timer = Timer()
    for n in range(100):
        cluster.create(f"job{n}", TASKS, WITH_PORT)
        assert len(cluster.place(f"job{n}", timer).placements[0].indexes) == TASKS
    print(f"100,000 placements with a host port each, as 100 jobs of {TASKS:,}:")
    timer.table()


def floor():
    """What no scheduler can do without: take the best node from a heap, encode, decode, keep in dicts."""
    settle_gc()
    before = memory_mb()
    started, cpu = time.perf_counter(), time.process_time()
    names = [NodeId(f"node{n}") for n in range(NODES)]
    free = [(CAPACITY.memory_bytes, n) for n in range(NODES)]
    need = TASK.resources.memory_bytes
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Placements)
    allocations, by_node = {}, {name: {} for name in names}
    counter = 0
    heapq.heapify(free)
    for n in range(JOBS):
        name = JobName(f"job{n}")
        chosen = []
        for _ in range(TASKS):
            left, number = free[0]
            heapq.heapreplace(free, (left - need, number))
            chosen.append(number)
        group = decoder.decode(encoder.encode(Placements(name, n, 0, list(range(TASKS)), chosen)))
        for index, number in zip(group.indexes, group.nodes, strict=True):
            node = names[number]
            identity = allocation_id(counter, 0)
            counter += 1
            allocations[identity] = Allocation(identity, name, 0, index, node)
            by_node[node][identity] = None
    total, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"the bare loop of heap, msgspec and dicts, {len(allocations):,} placements:")
    after = memory_mb()
    print(f"  in all {total:.2f} s, {cpu:.2f} s of processor; memory {before:.0f} MB before, {after:.0f} MB after")
    print(f"RESULT {cpu:.3f} {after:.1f}")


PARTS = {"single": single, "waiting": waiting, "death": death, "ports": ports, "floor": floor, "million": million}


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--part":
        PARTS[sys.argv[2]]()
        return
    print(f"python {sys.version.split()[0]}, gc frozen after start, thresholds {GC_THRESHOLDS}")
    results = {}
    for part in sys.argv[1:] or PARTS:
        run = subprocess.run(
            [sys.executable, __file__, "--part", part], check=False, capture_output=True, text=True
        )
        lines = (run.stdout + run.stderr).splitlines()
        for line in lines:
            if line.startswith("RESULT"):
                results[part] = tuple(map(float, line.split()[1:]))
        print("\n".join(line for line in lines if not line.startswith("RESULT")), flush=True)
    if {"floor", "million"} <= results.keys():
        (floor_s, floor_mb), (million_s, million_mb) = results["floor"], results["million"]
        print(f"to the bare loop: processor time x {million_s / floor_s:.1f}, memory x {million_mb / floor_mb:.1f}")


if __name__ == "__main__":
    main()
