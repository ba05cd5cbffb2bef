"""A busy machine is not a dead one."""

import multiprocessing
import os
import time

import pytest

from support.nodes import Cluster
from support.stalls import unless_stalled

pytestmark = pytest.mark.engine

BUSY_S = float(os.environ.get("ORION_BUSY_SECONDS", "25"))


def _spin(until: float) -> None:
    while time.monotonic() < until:
        pass


def test_nothing_moves_while_others_keep_all_cores_busy(shared: Cluster, web_image: str) -> None:
    shared.grow_to(3)
    task = shared.run("web", image=web_image)
    unless_stalled(lambda: _election_while_busy(shared))
    assert {n["status"] for n in shared.any().ask("GET", "/nodes")} <= {"alive", "suspect"}
    assert all("went down" not in n.log_tail(10_000) for n in shared.nodes), "nobody was called dead"
    now = shared.task("web/0")
    assert [a["id"] for a in now["allocations"]] == [a["id"] for a in task["allocations"]], "nothing moved"


def _election_while_busy(shared: Cluster) -> str:
    """In words, "" when there was none."""
    shared.wait(shared.leader, "a leader")
    before = shared.any().ask("GET", "/raft")
    until = time.monotonic() + BUSY_S
    # Four busy processes a core, so that each of ours gets a fifth of what it asks for at the most.
    spinners = [
        multiprocessing.get_context("spawn").Process(target=_spin, args=(until,))
        for _ in range(4 * (os.cpu_count() or 1))
    ]
    for spinner in spinners:
        spinner.start()
    for spinner in spinners:
        spinner.join()
    after = shared.any().ask("GET", "/raft")
    stays = (after["term"], after["leader"]) == (before["term"], before["leader"])
    return "" if stays else f"an election: {after['leader']} leads in term {after['term']}, before {before}"
