"""`script/sim`: one seed again, or many for a while."""

import argparse
import sys

from sim.runner import DEFAULT_FIRST_SEED, report, run_seeds
from sim.scenario import run_seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/sim", description="Run the deterministic simulator.")
    parser.add_argument("--seed", type=int, help="run this one seed and stop")
    parser.add_argument("--verbose", action="store_true", help="with --seed: print the whole trace")
    parser.add_argument("--digest", action="store_true", help="with --seed: print the digest of the trace only")
    parser.add_argument("--first", type=int, default=DEFAULT_FIRST_SEED, help="first of many seeds")
    parser.add_argument("--count", type=int, help="stop after so many seeds")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin new seeds for so long")
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("--jobs", type=int, default=2, help="seeds at a time")
    given = parser.parse_args()
    if given.seed is not None:
        return one(given.seed, verbose=given.verbose, digest=given.digest)
    seconds = given.seconds + given.hours * 3600 or (60.0 if given.count is None else 1e9)
    print(f"seeds from {given.first} on, {given.jobs} at a time", flush=True)
    summary = run_seeds(
        given.first,
        seconds=seconds,
        jobs=given.jobs,
        count=given.count,
        on_failure=lambda outcome: print(report(outcome), flush=True),
    )
    print(summary.table())
    if summary.failures:
        print("failed:", *sorted(outcome.seed for outcome in summary.failures))
    return 1 if summary.failures else 0


def one(seed: int, *, verbose: bool, digest: bool) -> int:
    outcome = run_seed(seed, print if verbose else None)
    if digest:
        print(outcome.digest, outcome.events, f"{outcome.virtual_s:.6f}", outcome.failure.partition("\n")[0])
        return 0
    for what, count in outcome.counts.items():
        print(f"{count:>10,}  {what}")
    print(
        f"seed {seed}: {outcome.virtual_s:.3f} s of virtual time in {outcome.cpu_s:.1f} s,"
        f" {outcome.events:,} events, {outcome.checks:,} checks, trace {outcome.digest}"
    )
    print(report(outcome) if outcome.failure else "all held")
    return 1 if outcome.failure else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Not by the usual way: what simulated kills left half done must not run now.
    import os

    os._exit(status)
