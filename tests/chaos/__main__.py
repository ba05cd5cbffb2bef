"""`script/chaos`: five real nodes, faults from a seed, clients, and the checks of what they were told."""

import argparse
import os
import secrets
import signal
import sys

from chaos.run import run
from sim.planted import bug_named
from support.dockerd import EngineProblem
from support.lab import LabProblem


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/chaos",
        description="Five real nodes in five network namespaces with an engine each; faults; clients; checks.",
    )
    parser.add_argument("--seed", default="", help="which faults, in which order (default: one of its own)")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long faults go on (default 120)")
    parser.add_argument("--quiet", action="store_true", help="no line for each fault")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run that found nothing, too")
    parser.add_argument("--plant", default="", metavar="BUG", help="in nodes with this bug (script/sim --planted)")
    given = parser.parse_args()
    try:
        if given.plant:
            bug_named(given.plant)
    except LookupError as error:
        parser.error(str(error))
    if os.geteuid() != 0:
        print("script/chaos makes network namespaces, mounts and engines: run it as root", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        seed = given.seed or secrets.token_hex(3)
        return run(seed, given.seconds, verbose=not given.quiet, keep=given.keep, bug=given.plant)
    except (EngineProblem, LabProblem) as problem:
        print(problem, file=sys.stderr)
        return 2


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
