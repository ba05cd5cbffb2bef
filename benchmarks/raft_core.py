"""How many proposals a second three cores carry when they are wired to each other directly: no frames, no disk.

    script/bench raft_core [--entries 200000] [--batch 64] [--bytes 200]

The work of all three is counted, so one member of a real cluster has a third of it to do.
"""

import argparse
import random
import time

from orion.raft.core import Raft
from orion.raft.interface import Campaign, Compacted, Persisted, Persistent, Propose, RaftConfig, Ready, Received
from orion.raft.messages import ConfState, HardState, SnapshotMeta

MEMBERS = (1, 2, 3)
COMPACT_EVERY_ENTRIES = 10_000
TRAILING_ENTRIES = 2_000


class Cluster:
    def __init__(self) -> None:
        start = SnapshotMeta(1, 1, ConfState(voters=MEMBERS))
        self.cores = {
            m: Raft(RaftConfig(id=m), Persistent(HardState(), start), random.Random(m), 0) for m in MEMBERS
        }
        self.applied = dict.fromkeys(MEMBERS, 1)
        self.snapshots = dict.fromkeys(MEMBERS, 1)
        self.messages = 0

    def run(self) -> None:
        """Until nobody has anything to do: one turn of each core's driver after the other."""
        busy = True
        while busy:
            busy = False
            for member, core in self.cores.items():
                if core.has_ready():
                    busy = True
                    self.carry_out(member, core.ready())

    def carry_out(self, member: int, ready: Ready) -> None:
        core = self.cores[member]
        for message in (*ready.messages, *ready.messages_after_persist):
            self.messages += 1
            self.cores[message.to].step(0, Received(message))
        if ready.must_persist:
            core.step(0, Persisted(ready.persist_seq))
        if ready.committed:
            last = ready.committed[-1]
            self.applied[member] = last.index
            if last.index - self.snapshots[member] >= COMPACT_EVERY_ENTRIES:
                self.snapshots[member] = last.index
                meta = SnapshotMeta(last.index, last.term, core.status().conf)
                core.step(0, Compacted(meta, last.index - TRAILING_ENTRIES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--bytes", type=int, default=200)
    args = parser.parse_args()

    cluster = Cluster()
    leader = cluster.cores[1]
    leader.step(0, Campaign())
    cluster.run()
    batch = Propose((b"x" * args.bytes,) * args.batch)
    batches = args.entries // args.batch
    began, began_cpu = time.perf_counter(), time.process_time()
    for _ in range(batches):
        leader.step(0, batch)
        cluster.run()
    took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    entries = batches * args.batch
    assert set(cluster.applied.values()) == {entries + 2}, cluster.applied
    print(
        f"{entries} entries of {args.bytes} bytes in batches of {args.batch}, committed and applied by 3 cores:"
        f" {entries / took:,.0f}/s ({entries / took_cpu:,.0f} per second of processor time),"
        f" {cluster.messages / batches:.1f} messages a batch"
    )


if __name__ == "__main__":
    main()
