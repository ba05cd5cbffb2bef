"""Seeds by the clock: each in a process of its own, at most a few at a time, with the table of what happened."""

import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from sim.coverage import FAULTS, RARE
from sim.scenario import Outcome, run_seed

Live = Callable[[int], Outcome]
DEFAULT_FIRST_SEED = 20_000
HANG_CPU_S = 300  # of a seed's own processor time; it takes a few
HANG_S = 3_600.0  # of real time, for one that waits for ever: beside other work a seed may take many minutes
ENOUGH_SEEDS = 60  # so many have shown every kind of fault
ENOUGH_FOR_RARE = 1_000


class Summary:
    """What all seeds so far have shown."""

    def __init__(self) -> None:
        self.seeds = 0
        self.virtual_s = 0.0
        self.cpu_s = 0.0
        self.events = 0
        self.checks = 0
        self.counts: Counter[str] = Counter()
        self.failures: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.virtual_s += outcome.virtual_s
        self.cpu_s += outcome.cpu_s
        self.events += outcome.events
        self.checks += outcome.checks
        self.counts.update(outcome.counts)
        if outcome.failure:
            self.failures.append(outcome)

    def table(self) -> str:
        lines = [
            f"{self.seeds} seeds: {self.virtual_s:,.0f} s of virtual time, {self.cpu_s:,.0f} s of processor time",
            f"{self.events:,} events, {self.checks:,} checks, {len(self.failures)} failures",
            *(f"{count:>10,}  {what}" for what, count in sorted(self.counts.items())),
        ]
        if never := [what for what in (*FAULTS, *RARE) if not self.counts[what]]:
            lines.append("never seen: " + ", ".join(never))
        return "\n".join(lines)

    def silent_faults(self) -> list[str]:
        """What should have come up in so many seeds and never did."""
        due = (*(FAULTS if self.seeds >= ENOUGH_SEEDS else ()), *(RARE if self.seeds >= ENOUGH_FOR_RARE else ()))
        return [what for what in due if not self.counts[what]]


def report(outcome: Outcome, lines: int = 60) -> str:
    """A failure with all that is needed to see it again."""
    recent = "\n".join(f"    {line}" for line in outcome.recent[-lines:])
    again = f"script/sim{outcome.flags} --seed {outcome.seed}"
    return (
        f"seed {outcome.seed} at commit {commit()} failed after {outcome.virtual_s:.3f} s:\n"
        f"  {outcome.failure}\n  plan: {outcome.plan}\n  the last of its trace:\n{recent}\n"
        f"  again: {again} --verbose; shorter: {again} --shrink"
    )


def commit() -> str:
    root = Path(__file__).parent
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


class _Child:
    def __init__(self, seed: int, live: Live) -> None:
        self.seed = seed
        self.began = time.monotonic()
        self.data = bytearray()
        self.read_fd, write_fd = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live(seed, write_fd, live)
        os.close(write_fd)

    def read(self) -> bool:
        """Take what is there; True once the child is done."""
        chunk = os.read(self.read_fd, 1 << 16)
        self.data += chunk
        return not chunk

    def outcome(self) -> Outcome:
        os.close(self.read_fd)
        _, status = os.waitpid(self.pid, 0)
        if self.data:
            return msgspec.json.decode(bytes(self.data), type=Outcome)
        words = f"the simulator's process ended with status {status} and said nothing"
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            words = f"it hung: no end after {HANG_CPU_S:g} s of processor time"
        return _nothing(self.seed, words, time.monotonic() - self.began)

    def give_up(self) -> Outcome:
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.read_fd)
        os.waitpid(self.pid, 0)
        return _nothing(self.seed, f"it hung: no end after {HANG_S:g} s of real time", HANG_S)


def _nothing(seed: int, failure: str, cpu_s: float) -> Outcome:
    return Outcome(seed, failure, "", 0.0, cpu_s, 0, 0, {}, [], "")


def _live(seed: int, write_fd: int, live: Live) -> None:
    """The child's whole life. It leaves without cleaning up: what a killed process left half done must not run."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the parent, which waits for this seed
        signal.signal(number, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (HANG_CPU_S, most))  # then SIGXCPU ends it
    status = 1
    try:
        data = msgspec.json.encode(live(seed))
        with open(write_fd, "wb") as pipe:
            pipe.write(data)
        status = 0
    finally:
        os._exit(status)


def run_seeds(
    first: int,
    *,
    seconds: float,
    on_failure: Callable[[Outcome], None],
    jobs: int = 2,
    count: int | None = None,
    live: Live = run_seed,
    until: Callable[[Outcome], bool] = lambda _: False,
    stopped: Callable[[], bool] = lambda: False,
) -> Summary:
    """Seeds from `first` on, `jobs` at a time, until the time is over, `count` of them are done, one is what was
    looked for (`until`), or somebody has had enough (`stopped`). `live` is what each seed's process does.
    """
    summary = Summary()
    children: dict[int, _Child] = {}
    seed, end = first, time.monotonic() + seconds
    while True:
        while len(children) < jobs and time.monotonic() < end and (count is None or seed < first + count):
            child = _Child(seed, live)
            children[child.read_fd] = child
            seed += 1
        if not children:
            return summary
        ready, _, _ = select.select(list(children), [], [], 1.0)
        done = [children[fd] for fd in ready if children[fd].read()]
        late = [c for c in children.values() if c not in done and time.monotonic() - c.began > HANG_S]
        for child in (*done, *late):
            del children[child.read_fd]
            outcome = child.give_up() if child in late else child.outcome()
            summary.add(outcome)
            if outcome.failure:
                on_failure(outcome)
            if until(outcome):
                end = 0.0
        if stopped():
            end = 0.0
