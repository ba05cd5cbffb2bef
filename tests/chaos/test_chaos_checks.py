"""The checks of script/chaos see what they are there for."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chaos.configs import ConfigClient
from chaos.counts import Counts
from chaos.faults import KINDS
from chaos.floors import LONGEST_SILENCE_S, Gap, standstill, unjudged
from chaos.lanes import Bag
from chaos.ledger import Told, lost, undead
from chaos.placements import wrong_placements
from chaos.tasks import TaskClient
from support.linearizable import Verdict

GIB = 1 << 30
AS_EVER = {  # what a run of two minutes has shown
    ("put config", "done"): 600,
    ("compare and set config", "done"): 400,
    ("delete config", "done"): 200,
    ("get config", "done"): 900,
    ("create task", "done"): 50,
    ("create task, static port", "done"): 50,
    ("delete task", "done"): 100,
    ("read task", "done"): 150,
    ("read all tasks", "done"): 170,
}


def task(name: str, *allocations: tuple[str, str], port: str = "", memory: int = 0, cpu: float = 0.0) -> dict:
    return {
        "id": f"{name}/0",
        "name": name,
        "memory": memory,
        "cpu": cpu,
        "portBindings": {"80/tcp": port},
        "allocations": [{"id": f"{name}{i}", "nodeId": n, "state": s} for i, (n, s) in enumerate(allocations)],
    }


def test_what_was_acknowledged_must_be_there():
    told = {"a": Told.CREATED, "b": Told.MAYBE, "c": Told.DELETED, "d": Told.MAYBE_DELETED, "e": Told.REFUSED}
    assert lost(told, ["a"]) == []
    assert lost(told, ["b", "d"]) == ["a"]


def test_what_was_deleted_or_refused_or_never_asked_for_must_not_be_there():
    told = {"a": Told.CREATED, "b": Told.MAYBE, "c": Told.DELETED, "d": Told.MAYBE_DELETED, "e": Told.REFUSED}
    assert undead(told, ["a", "b", "d"]) == []
    assert undead(told, ["a", "c", "e", "f"]) == ["c", "e", "f"]


def test_a_host_port_is_given_once_on_a_node():
    tasks = [task("a", ("n1", "lost"), ("n2", "running"), port="80"), task("b", ("n1", "starting"), port="80")]
    assert wrong_placements(tasks, GIB, 1) == []
    tasks.append(task("c", ("n1", "scheduled"), port="80"))
    assert wrong_placements(tasks, GIB, 1) == ["host port 80/tcp of n1 is given to b/0 (b0) and c/0 (c0)"]


def test_a_free_port_is_no_claim():
    assert wrong_placements([task("a", ("n1", "running")), task("b", ("n1", "running"))], GIB, 1) == []


def test_a_node_gives_no_more_than_it_has():
    half = task("a", ("n1", "running"), memory=GIB // 2, cpu=0.5)
    assert wrong_placements([half, half], GIB, 1) == []
    assert wrong_placements([half, half, half], GIB, 1) == [
        f"n1 has {GIB} bytes and gave {GIB // 2 * 3}",
        "n1 has 1 cores and gave 1.5",
    ]


def test_every_kind_of_fault_comes_before_any_comes_twice():
    bag = Bag(random.Random("seed"))
    for _ in range(3):
        assert sorted(bag.draw() for _ in KINDS) == sorted(KINDS)


def test_a_run_that_goes_on_as_ever_lacks_nothing():
    assert standstill(AS_EVER, 120, 12.4) == []


def refused(*words: str) -> dict[tuple[str, str], int]:
    """As ever, but that every operation whose kind has one of the words was answered 503."""
    return {
        (kind, "failed" if any(word in kind for word in words) else outcome): times
        for (kind, outcome), times in AS_EVER.items()
    }


def test_reads_that_go_on_do_not_make_up_for_writes_that_do_not():
    assert standstill(refused("put", "set", "delete config"), 120, 0.5) == [
        "at least 103 writes of /configs done in 120 s of faults were expected; 0 were, 1200 failed, 0 are unknown"
    ]
    assert standstill(refused("create", "delete task"), 120, 0.5) == [
        "at least 16 writes of /tasks done in 120 s of faults were expected; 0 were, 200 failed, 0 are unknown"
    ]


def test_writes_that_go_on_do_not_make_up_for_reads_that_do_not():
    assert standstill(refused("get"), 120, 0.5) == [
        "at least 70 reads of /configs done in 120 s of faults were expected; 0 were, 900 failed, 0 are unknown"
    ]
    assert standstill(refused("read"), 120, 0.5) == [
        "at least 25 reads of /tasks done in 120 s of faults were expected; 0 were, 320 failed, 0 are unknown"
    ]


def test_what_was_never_answered_is_not_done():
    operations = {(kind, "unknown"): 1000 for kind, _ in AS_EVER}
    assert [words.rpartition("; ")[2] for words in standstill(operations, 120, 0.5)] == [
        "0 were, 0 failed, 3000 are unknown",
        "0 were, 0 failed, 1000 are unknown",
        "0 were, 0 failed, 3000 are unknown",
        "0 were, 0 failed, 2000 are unknown",
    ]


def test_a_tenth_of_the_usual_pace_is_enough():
    """For a slow machine: the demands are no measurement."""
    assert standstill({kind: times // 10 for kind, times in AS_EVER.items()}, 120, 0.5) == []
    assert len(standstill({kind: times // 20 for kind, times in AS_EVER.items()}, 120, 0.5)) == 4


def test_however_short_a_run_is_it_shows_one_of_each():
    assert standstill(dict.fromkeys(AS_EVER, 1), 1, 0.5) == []
    assert len(standstill({}, 1, 0.5)) == 4


def test_a_majority_may_be_away_as_long_as_a_fault_lasts_and_a_little_more():
    assert standstill(AS_EVER, 120, LONGEST_SILENCE_S) == []
    assert standstill(AS_EVER, 120, 26.5) == [
        "an acknowledged write was expected at least every 26 s; there was none anywhere in the cluster for 26.5 s"
    ]


def test_the_longest_gap_is_also_the_one_at_the_start_or_at_the_end():
    now = [100.0]
    gap = Gap(lambda: now[0])

    def after(seconds: float) -> None:
        now[0] += seconds

    after(3)
    assert gap.longest_s == 3
    gap.came()
    after(1)
    gap.came()
    assert gap.longest_s == 3
    after(5)
    assert gap.longest_s == 5
    gap.came()
    after(4)
    assert gap.longest_s == 5


def test_a_history_that_is_given_up_is_no_history_that_is_right():
    judged, wrong, tangled = Verdict("a", True, 1), Verdict("b", False, 1, "story"), Verdict("c", None, 9, "story")
    assert unjudged([judged, wrong]) == []  # what is wrong was judged, and is a violation by its own name
    assert unjudged([judged, tangled]) == [
        "every history was expected to be judged; 1 of 2 were too tangled: c",
    ]
    assert unjudged([tangled]) == [
        "every history was expected to be judged; 1 of 1 were too tangled: c",
        "at least one judged history was expected; there was none, of 1",
    ]
    assert unjudged([]) == ["at least one judged history was expected; there was none, of 0"]


class CountedGap(Gap):
    times = 0

    def came(self) -> None:
        self.times += 1


class Answering(ThreadingHTTPServer):
    """One node that answers every write alike. `enough` is set once it has answered some."""

    def __init__(self, write_status: int | None) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.write_status = write_status  # None: as a node that is well
        self.writes = 0
        self.enough = threading.Event()


class Answers(BaseHTTPRequestHandler):
    server: Answering

    def _write(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        well = 200 if self.path.startswith("/configs") else {"POST": 201, "DELETE": 202}[self.command]
        self.server.writes += 1
        self._answer(self.server.write_status or well)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        if self.server.writes >= 6:
            self.server.enough.set()

    def do_GET(self) -> None:
        self._answer(200)

    def do_PUT(self) -> None:
        self._write()

    def do_POST(self) -> None:
        self._write()

    def do_DELETE(self) -> None:
        self._write()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(write_status: int | None) -> Iterator[Answering]:
    with Answering(write_status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


Client = Callable[[str, str, list[str], Counts, Gap], ConfigClient | TaskClient]


@pytest.mark.parametrize("client", [ConfigClient, TaskClient])
@pytest.mark.parametrize("status", [None, 409, 503])
def test_only_acknowledged_writes_end_a_silence(
    client: Client, status: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("chaos.configs.PAUSE_S", (0, 0))
    monkeypatch.setattr("chaos.tasks.PAUSE_S", (0, 0))
    writes = CountedGap()
    with answering(status) as server:
        monkeypatch.setattr("chaos.asking.PORT", server.server_port)
        counts = Counts(tmp_path / "run.log", verbose=False)
        client("c0", "seed", ["127.0.0.1"], counts, writes).run(server.enough)
    assert server.writes >= 6
    assert writes.times == (server.writes if status is None else 0)
