"""From kill -9 of the leader to the next acknowledged write: real processes, real disks.

    script/bench elections [--runs 30] [--nodes 3]

The write is asked of a survivor in the instant of the kill, as a client would that knows of nothing. The bare row:
the same write with a living leader, just before.
"""

import argparse
import statistics
import time

from support.nodes import NO_ENGINE, NodeProcess, cluster


def write_s(node: NodeProcess, name: str) -> float:
    began = time.monotonic()
    node.ask("POST", "/tasks", {"name": name, "image": "nginx"})
    return time.monotonic() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=30)
    options.add_argument("--nodes", type=int, default=3)
    given = options.parse_args()
    bare, took = [], []
    with cluster(NO_ENGINE) as made:
        made.grow_to(given.nodes, engines=False)
        for run in range(given.runs):
            leader = made.wait(made.leader, "a leader")
            survivors = [n for n in made.nodes if n is not leader]
            survivor = survivors[run % len(survivors)]
            bare.append(write_s(survivor, f"bare-{run}"))
            began = time.monotonic()
            leader.kill()
            write_s(survivor, f"write-{run}")
            took.append(time.monotonic() - began)
            print(f"  run {run + 1}: {took[-1]:.2f} s", flush=True)
            leader.start(*made.joining(leader))
            made.wait_settled(given.nodes, engines=False)
    print(f"\n{'':34} {'median s':>9} {'worst s':>9}")
    for name, each in (("write with a leader", bare), ("write after its kill -9", took)):
        print(f"{name:34} {statistics.median(each):9.3f} {max(each):9.3f}")


if __name__ == "__main__":
    main()
