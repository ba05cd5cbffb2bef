"""`script/sim`: one seed again, or many for a while; a failing one shrunk; bugs planted and looked for."""

import argparse
import signal
import sys
from collections.abc import Callable

from sim.events import Keep, read
from sim.hand_over import HandOver
from sim.lost import Lost
from sim.planted import bug_named
from sim.runner import DEFAULT_FIRST_SEED, report, run_seeds
from sim.scenario import Scenario, replay, run_seed
from sim.shrink import Shrinker, told
from sim.steps import Steps
from sim.stored import StoredScenario
from sim.try_planted import print_table
from sim.upgrade import Upgrade


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/sim", description="Run the deterministic simulator.")
    parser.add_argument("--seed", type=int, help="run this one seed and stop")
    parser.add_argument("--verbose", action="store_true", help="with --seed: print the whole trace")
    parser.add_argument("--digest", action="store_true", help="with --seed: print the digest of the trace only")
    parser.add_argument("--only", help="with --seed: only these events of it, as --shrink prints them")
    parser.add_argument("--safety", type=float, help="with --seed: seconds of faults, instead of the seed's own")
    parser.add_argument("--shrink", action="store_true", help="with --seed: the shortest list of events that fails")
    parser.add_argument("--limit", type=float, default=600.0, help="with --shrink: seconds at most (600)")
    parser.add_argument("--plant", metavar="BUG", help="with --seed: in a node with this bug (see --planted)")
    parser.add_argument(
        "--planted", nargs="?", const="", metavar="WORDS", help="plant bugs (with these words) and look for them"
    )
    parser.add_argument("--mixed", action="store_true", help="clusters of two builds, upgraded and rolled back")
    parser.add_argument("--steps", action="store_true", help="the leader dies at each step of deployments")
    parser.add_argument(
        "--volumes", action="store_true", help="volumes go from machine to machine, without a cluster"
    )
    parser.add_argument("--stored", action="store_true", help="clusters whose jobs have a storage system's volumes")
    parser.add_argument("--lost", action="store_true", help="machines die for good while voters change")
    parser.add_argument("--first", type=int, default=DEFAULT_FIRST_SEED, help="first of many seeds")
    parser.add_argument("--count", type=int, help="stop after so many seeds")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin new seeds for so long")
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("--jobs", type=int, default=2, help="seeds at a time")
    given = parser.parse_args()
    if given.planted is not None:
        return 0 if print_table(_say, given.jobs, given.planted) else 1
    scenario = _scenario(given)
    scenario.prepare()
    plant = _plant(given.plant)
    if given.seed is None:
        return many(given, scenario)
    if given.shrink:
        return shrink(given, plant, scenario)
    plant()
    keep = Keep(None if given.only is None else read(given.only), given.safety)
    return one(given.seed, keep, scenario, verbose=given.verbose, digest=given.digest)


def _scenario(given: argparse.Namespace) -> type[Scenario]:
    ways = {"mixed": Upgrade, "steps": Steps, "lost": Lost, "volumes": HandOver, "stored": StoredScenario}
    return next((kind for name, kind in ways.items() if getattr(given, name)), Scenario)


def _say(line: str) -> None:
    print(line, flush=True)


def _plant(name: str | None) -> Callable[[], None]:
    if name is None:
        return lambda: None
    try:
        return bug_named(name).plant
    except LookupError as error:
        sys.exit(str(error))


def many(given: argparse.Namespace, scenario: type[Scenario]) -> int:
    seconds = given.seconds + given.hours * 3600 or (60.0 if given.count is None else 1e9)
    print(f"seeds from {given.first} on, {given.jobs} at a time", flush=True)
    enough: list[int] = []  # a signal, after which the seeds under way are finished and the table is printed
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: enough.append(number))
    summary = run_seeds(
        given.first,
        seconds=seconds,
        stopped=lambda: bool(enough),
        jobs=given.jobs,
        count=given.count,
        live=lambda seed: run_seed(seed, make=scenario),
        on_failure=lambda outcome: print(report(outcome), flush=True),
    )
    print(summary.table())
    if summary.failures:
        print("failed:", *sorted(outcome.seed for outcome in summary.failures))
    silent = [] if scenario is not Scenario else summary.silent_faults()
    if silent:
        print(f"faults that never fired in {summary.seeds} seeds:", ", ".join(silent))
    return 1 if summary.failures or silent else 0


def shrink(given: argparse.Namespace, plant: Callable[[], None], scenario: type[Scenario]) -> int:
    seed = given.seed
    shrunk = Shrinker(seed, limit_s=given.limit, jobs=given.jobs, plant=plant, scenario=scenario).shrink()
    if shrunk is None:
        print(f"seed {seed}: all held, there is nothing to shrink")
        return 0
    print(told(shrunk, given.plant or ""))
    return 1


def one(seed: int, keep: Keep, scenario: type[Scenario], *, verbose: bool, digest: bool) -> int:
    outcome = replay(seed, keep, print if verbose else None, scenario=scenario)
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
