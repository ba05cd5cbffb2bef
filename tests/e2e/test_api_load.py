"""What one client asks of the API does not take the leader from the cluster."""

import contextlib
import http.client
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.nodes import NO_ENGINE, Cluster, NodeProcess, cluster
from support.stalls import unless_stalled

pytestmark = pytest.mark.engine


def test_bodies_full_of_faults_depose_no_leader(shared: Cluster) -> None:
    """Each error in words would be 30 to 64 MB, and seconds in which the leader sends no heartbeat."""
    shared.grow_to(3)
    bodies = (
        {f"k{n:x}": 1 for n in range(90_000)},
        {"image": "nginx", "command": [1] * 500_000},
        {"image": "nginx", "env": {f"{n:x}": 1 for n in range(90_000)}},
    )
    texts = [json.dumps(body, separators=(",", ":")) for body in bodies]

    def deposed() -> str:
        leader = shared.wait(shared.leader, "a leader")
        term = leader.ask("GET", "/raft")["term"]
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", leader.port, timeout=60)) as connection:
            for text in texts * 2:
                connection.request("POST", "/tasks", text)
                answer = connection.getresponse()
                told = answer.read()
                assert answer.status == 422
                assert len(json.loads(told)["errors"]) <= 20
                assert len(told) < 16_384
        return _unless_it_leads(leader, term)

    unless_stalled(deposed)


def _unless_it_leads(leader: NodeProcess, term: int) -> str:
    """In words, "" while it leads since before."""
    now = leader.ask("GET", "/raft")
    return "" if (now["state"], now["term"]) == ("leader", term) else f"{leader.name} was deposed in term {term}"


def test_many_long_polls_on_many_tasks_depose_no_leader_and_take_little() -> None:
    """Each with a list of its own they would be a gigabyte, and seconds without a heartbeat."""
    with cluster(NO_ENGINE) as made:
        made.grow_to(3, engines=False)
        for number in range(TASKS // OF_A_JOB):
            made.any().ask("PUT", f"/jobs/job-{number}", TASK | {"count": OF_A_JOB})
        names = (f"news-{number}" for number in itertools.count())

        def deposed() -> str:
            leader = made.wait(made.leader, "a leader")
            whole = leader.ask("GET", "/tasks")
            assert len(whole) >= TASKS
            raft = leader.ask("GET", "/raft")
            before_kb = _resident_kb(leader)
            with contextlib.ExitStack() as stack:
                polls = [stack.enter_context(_poll(leader, raft["appliedIndex"])) for _ in range(POLLERS)]
                _create(leader, next(names))
                answers = [poll.getresponse() for poll in polls]
                for answer in answers:
                    assert answer.status == 200
                    assert answer.read().count(b'"nodeId":null') >= len(whole)
            assert _resident_kb(leader) - before_kb < 150_000
            return _unless_it_leads(leader, raft["term"])

        unless_stalled(deposed)


TASKS = 3_000
OF_A_JOB = 500
POLLERS = 300
TASK = {"image": "nginx", "memory": 10**15, "env": {"A": "x" * 1_000}}


def _create(node: NodeProcess, name: str) -> None:
    node.ask("POST", "/tasks", {"name": name, **TASK})


@contextlib.contextmanager
def _poll(node: NodeProcess, index: int) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)) as connection:
        connection.request("GET", f"/tasks?index={index}&wait=60")
        yield connection


def _resident_kb(node: NodeProcess) -> int:
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
