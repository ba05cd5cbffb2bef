"""One run: make the world, let clients and faults loose, heal, judge, say."""

import functools
import threading
import time
from collections.abc import Callable
from random import Random

import msgspec

from chaos.configs import ConfigClient
from chaos.counts import Counts
from chaos.faults import KINDS
from chaos.floors import LONGEST_SILENCE_S, Gap, standstill, unjudged
from chaos.lanes import LANES, Bag, Targets, run_lane
from chaos.ledger import Told
from chaos.node import ChaosNode
from chaos.sampler import Sampler
from chaos.settle import NotYet, settle
from chaos.tasks import TaskClient
from chaos.world import World, world
from support.linearizable import Operation, check

TASK_CLIENTS = 3
CONFIG_CLIENTS = 4
KEEP_EVERY_S = 0.1
JOIN_S = 60.0


def run(seed: str, seconds: float, *, verbose: bool, keep: bool, bug: str = "") -> int:
    """0 when every check held, else 1, with the logs kept."""
    print(f"seed {seed}, {seconds:g} s of faults", flush=True)
    with world(bug) as made:
        counts = Counts(made.home / "run.log", verbose=verbose)
        try:
            made.form()
            counts.say("five voters; clients and faults begin")
            converged_s = _play(made, seed, seconds, counts)
            _report(seed, seconds, counts, converged_s)
        except Exception:
            print(f"the run of seed {seed} broke off; logs: {made.keep_logs(seed)}", flush=True)
            raise
        if counts.violations or keep:
            print(f"logs: {made.keep_logs(seed)}", flush=True)
        return 1 if counts.violations else 0


def _play(made: World, seed: str, seconds: float, counts: Counts) -> float | None:
    """Seconds to convergence, None when there was none."""
    crew, faults, keeper = Crew(), Crew(), Crew()
    writes = Gap()
    tasks = [TaskClient(f"c{i}", seed, made.addresses, counts, writes) for i in range(TASK_CLIENTS)]
    configs = [ConfigClient(f"k{i}", seed, made.addresses, counts, writes) for i in range(CONFIG_CLIENTS)]
    sampler = Sampler(seed, made.addresses, counts)
    bag, targets = Bag(Random(f"{seed} bag")), Targets(made.nodes, made.leader)
    try:
        keeper.start("keeper", functools.partial(_keep, made.nodes, counts))
        for number, work in enumerate((*(c.run for c in tasks), *(c.run for c in configs), sampler.run)):
            crew.start(f"client {number}", work)
        for lane in range(LANES):
            name = f"lane {lane + 1}"
            faults.start(name, functools.partial(run_lane, name, seed, bag, targets, made.lab, counts))
        _sleep(seconds, crew, faults)
        # Now, for what comes once all is well again is no proof that anything came before.
        operations, silence_s, blind_s = counts.operations_so_far(), writes.longest_s, sampler.reads.longest_s
        crew.stop()
        faults.join()
        for node in made.nodes:
            node.jump(0)
        healed_at = time.monotonic()
        counts.say(
            f"faults are over; at the most {silence_s:.1f} s without an acknowledged write"
            f" (allowed: {LONGEST_SILENCE_S:g}) and {blind_s:.1f} s without a read of all tasks"
        )
        crew.join()
        for missing in standstill(operations, seconds, silence_s):
            counts.violation("progress", missing)
        told = {name: word for client in tasks for name, word in client.ledger.told.items()}
        converged_s = _settle(made, told, counts, healed_at)
        for client in configs:
            client.read_all()
        _check_histories(made, [op for client in configs for op in client.history], counts)
        return converged_s
    finally:
        for each in (faults, crew, keeper):
            each.stop()
        for each in (faults, crew, keeper):
            each.join()


def _settle(made: World, told: dict[str, Told], counts: Counts, healed_at: float) -> float | None:
    try:
        settled = settle(made.nodes, told, healed_at, counts.say)
    except NotYet as missing:
        counts.violation("convergence", str(missing))
        made.describe()
        return None
    counts.check("acknowledged tasks", sum(word in (Told.CREATED, Told.DELETED) for word in told.values()))
    counts.check("nodes with one state", len(made.nodes))
    counts.say(f"converged {settled.seconds:.1f} s after the last fault")
    if settled.ghosts:
        counts.say(f"{settled.ghosts} starts are left to ports that Docker holds for nobody", loud=True)
    return settled.seconds


def _check_histories(made: World, history: list[Operation], counts: Counts) -> None:
    (made.home / "configs.jsonl").write_bytes(b"\n".join(msgspec.json.encode(op) for op in history))
    verdicts = check(history)
    for verdict in verdicts:
        counts.check("histories of configs" if verdict.explained is not None else "histories too tangled")
        if verdict.explained is False:
            counts.violation("linearizability", verdict.story)
    for missing in unjudged(verdicts):
        counts.violation("judgement of histories", missing)


def _report(seed: str, seconds: float, counts: Counts, converged_s: float | None) -> None:
    print(f"\nseed {seed}, {seconds:g} s\n{counts.table()}")
    if silent := sorted(set(KINDS) - set(counts.faults)):
        print(f"\nnever fired: {', '.join(silent)}")
    if converged_s is not None:
        print(f"\nconverged {converged_s:.1f} s after the last fault")
    print(f"{len(counts.violations)} violations" if counts.violations else "no violations", flush=True)
    for violation in counts.violations:
        print(f"  {violation[:2000]}", flush=True)


def _keep(nodes: list[ChaosNode], counts: Counts, stop: threading.Event) -> None:
    while not stop.wait(KEEP_EVERY_S):
        for node in nodes:
            ended = node.keep()
            if ended is None:
                continue
            counts.say(
                f"{ended.node} ended by itself with {ended.code} ({ended.excused or 'no excuse'}): restarted"
            )
            counts.end(ended.excused or "of a bug")
            if not ended.excused:
                counts.violation("processes that end by themselves", f"{ended.node}, {ended.code}:\n{ended.words}")


def _sleep(seconds: float, *crews: "Crew") -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not any(crew.failed for crew in crews):
        time.sleep(0.1)


class Crew:
    """Threads that end when told to. An exception of one is the run's."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failed: list[BaseException] = []

    def start(self, name: str, work: Callable[[threading.Event], None]) -> None:
        def guarded() -> None:
            try:
                work(self._stop)
            except BaseException as error:  # noqa: BLE001 - raised again by `join`
                self.failed.append(error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()

    def join(self) -> None:
        """Stops them. Raises what a thread raised."""
        self.stop()
        for thread in self._threads:
            thread.join(JOIN_S)
            if thread.is_alive():
                raise RuntimeError(f"{thread.name} does not end")
        self._threads = []
        if self.failed:
            raise self.failed.pop()
