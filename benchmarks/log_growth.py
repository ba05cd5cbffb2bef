"""How large the log's file and map get over a million entries, written as a node does: in batches, a snapshot
every 10,000 entries (or 8 MiB of them), 2,000 entries kept behind it.

    script/bench log_growth [--entries 1000000] [--bytes 200] [--batch 64] [--state-mb 8] [--dir DIR]

Prints a line for each tenth of the way: the file, the largest it has been, the map. In the end it says how that
compares with what is kept at most: the entries since the last snapshot and behind it, and two snapshots. Exits
with 1 when the file was ever more than twice that, or the map larger than such a file calls for.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from orion.adapters.lmdb_log import FIRST_MAP_BYTES, LmdbLog
from orion.ports.log import LogBatch
from orion.process.config import Tuning
from orion.raft.messages import ConfState, Entry, EntryKind, HardState, SnapshotMeta

MB = 1_000_000
CHUNK_BYTES = 256 * 1024
FILE_TIMES = 2  # what is kept: room for the transaction that takes the place of another
ENTRY_HEAD_BYTES = 21 + 4 + 16  # of a record, of its checksum, and LMDB's own


async def state(size_bytes):
    for start in range(0, size_bytes, CHUNK_BYTES):
        yield bytes(min(CHUNK_BYTES, size_bytes - start))


async def measure(place, arguments):
    tuning = Tuning()
    store = await LmdbLog.open(place)
    every = min(tuning.snapshot_entries, max(1, tuning.snapshot_bytes // arguments.bytes))
    kept = every + tuning.trailing_entries + arguments.batch
    needed = kept * (arguments.bytes + ENTRY_HEAD_BYTES) + 2 * arguments.state_mb * MB
    largest, largest_map, last, snapshot, began = 0, 0, 0, 0, time.perf_counter()
    print(f"{'entries':>10} {'file':>9} {'largest':>9} {'map':>9} {'entries/s':>10}   (kept: {needed / MB:.1f} MB)")
    step = max(1, arguments.entries // 10)
    shown = step
    while last < arguments.entries:
        batch = tuple(
            Entry(1, index, EntryKind.NORMAL, index.to_bytes(8) * (arguments.bytes // 8))
            for index in range(last + 1, last + 1 + arguments.batch)
        )
        last += arguments.batch
        await store.persist(LogBatch(HardState(1, 1, last), batch, must_sync=True))
        if last - snapshot >= every:
            snapshot = last
            meta = SnapshotMeta(last, 1, ConfState((1,)))
            first_kept = max(1, last + 1 - tuning.trailing_entries)
            chunks = state(arguments.state_mb * MB)
            await store.save_snapshot(meta, chunks, first_kept=first_kept, hard_state=None)
        size, mapped = store.bytes_on_disk(), store._env.info()["map_size"]  # noqa: SLF001
        largest, largest_map = max(largest, size), max(largest_map, mapped)
        if last >= shown:
            shown += step
            speed = last / (time.perf_counter() - began)
            sizes = " ".join(f"{value / MB:>6.1f} MB" for value in (size, largest, mapped))
            print(f"{last:>10,} {sizes} {speed:>10,.0f}", flush=True)
    await store.close()
    began = time.perf_counter()
    store = await LmdbLog.open(place)
    loaded = await store.load()
    print(f"opened and loaded again in {time.perf_counter() - began:.2f} s: {len(loaded.entries):,} entries")
    await store.close()
    print(f"the file was at most {largest / needed:.2f} times what is kept, the map {largest_map / MB:.1f} MB")
    return list(broken(largest, largest_map, needed))


def broken(largest, largest_map, needed):
    """Which bounds, in words."""
    if largest > FILE_TIMES * needed:
        yield f"the file was {largest / MB:.1f} MB, over {FILE_TIMES} times the {needed / MB:.1f} MB that are kept"
    map_bound = max(FIRST_MAP_BYTES, 2 * FILE_TIMES * needed)  # it doubles when full
    if largest_map > map_bound:
        yield f"the map was {largest_map / MB:.1f} MB, over {map_bound / MB:.1f} MB"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--state-mb", type=int, default=8)
    parser.add_argument("--dir", type=Path, help="on which disk; a temporary directory below it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orion-log-", dir=arguments.dir) as place:
        found = asyncio.run(measure(Path(place), arguments))
    if found:
        sys.exit("BROKEN: " + "\nBROKEN: ".join(found))
    print(f"holds: the file at most {FILE_TIMES} times what is kept, the map bounded")


if __name__ == "__main__":
    main()
