"""Follows what a change of a job has begun, until it has ended; the exit code says whether it is as asked."""

import re
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orion.client import Client, DeploymentView, JobView

ROLLED_BACK = 3
POLL_S = 10.0
PAUSE_S = 0.1
AGAIN_S = 1.0
PATIENCE_S = 60.0  # with nodes that do not answer
LAST_LINES = 10

# Reasons that are a step on the way, and pass by themselves.
_PASSING = re.compile(
    r" is ready and is watched$| has its turn | waits to be placed$| waits until | not ended yet$| and not ready$"
    r"| is (scheduled|pulling) on "
)

# Of each end the exit code, and words behind the job's name.
_ENDS = {
    "done": (0, "is as asked"),
    "rolled-back": (ROLLED_BACK, "failed and is back at version"),
    "paused": (1, "failed, and waits: 'orion promote' has it go on, 'orion rollback' takes it back"),
    "failed": (1, "failed"),
    "superseded": (1, "was overtaken: somebody asked for something else"),
}


def follow_all(
    client: "Client", jobs: "Sequence[JobView]", *, wait: bool, timeout_s: float | None, unchanged: bool = False
) -> int:
    """Follows the deployments of the jobs, one after the other. Returns the worst exit code. `unchanged`: a job
    whose deployment has ended is one that was left alone. A cron job has none, whether it was changed or not.
    """
    from orion.cli.app import INTERRUPTED, say
    from orion.model.errors import Unavailable

    code = 0
    noted: set[str] = set()  # jobs of one image have one note
    for job in jobs:
        for note in job.notes:
            if note not in noted:
                noted.add(note)
                say(f"note: {note}")
        row = job.deployment
        if row is None:
            click.echo(f"{job.name} is as asked: version {job.version}")
        elif unchanged and row.state != "running":
            click.echo(f"{job.name} is unchanged: version {job.version}")
        elif not wait:
            click.echo(f"{job.name}: deployment {row.id} has begun")
        else:
            try:
                code = max(code, follow(client, row, timeout_s))
            except KeyboardInterrupt:
                say(f"{job.name} goes on without you: 'orion jobs {job.name}' shows it")
                return INTERRUPTED
            except Unavailable as error:
                say(f"{error.detail}; {job.name} goes on by itself: 'orion jobs {job.name}' shows it")
                return 1
    return code


def follow(client: "Client", row: "DeploymentView", timeout_s: float | None) -> int:
    """Shows each step on standard error, and the end on standard output. Returns the exit code."""
    from orion.cli.app import TIMED_OUT, say

    until = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    index, show = 0, _shown()
    while row.state == "running":
        show(row)
        left_s = until - time.monotonic()
        if left_s <= 0:
            why = f": {row.reason}" if row.reason else ""
            say(f"{row.job} is not there yet after {timeout_s:g} s{why}; it goes on: 'orion jobs {row.job}'")
            return TIMED_OUT
        row, index = _look(client, row, index, min(POLL_S, left_s))
    code, words = _ENDS[row.state]
    why = f": {row.reason}" if row.reason else ""
    if row.state == "rolled-back":
        words = f"{words} {row.from_version}"
    if code == 0:
        click.echo(f"{row.job} {words}: version {row.to_version}")
        return code
    say(f"{row.job} {words}{why}")
    _last_words(client, row)
    return code


def _look(client: "Client", row: "DeploymentView", index: int, wait_s: float) -> "tuple[DeploymentView, int]":
    from orion.cli.app import say
    from orion.model.errors import Unavailable

    since, told = time.monotonic(), ""
    time.sleep(PAUSE_S)
    while True:
        try:
            return client.poll_deployment(row.id, index, wait_s=max(0.1, wait_s))
        except Unavailable as error:
            if time.monotonic() - since >= PATIENCE_S:
                raise
            if error.detail != told:
                told = error.detail
                say(f"{told}; trying again")
            time.sleep(AGAIN_S)


def _shown() -> "Callable[[DeploymentView], None]":
    from orion.cli.shared.output import note

    last = ""
    live = sys.stderr.isatty()

    def show(row: "DeploymentView") -> None:
        nonlocal last
        done = row.progress
        goal = row.from_version if row.rolling_back else row.to_version
        way = f"back to version {goal}" if row.rolling_back else f"version {goal}"
        counts = f"{done.ready} of {done.tasks} ready" if done else ""
        # Where nobody may look on, only what may last: for other jobs, a place, a check.
        told = live or row.rolling_back or not _PASSING.search(row.reason)
        text = ", ".join(filter(None, (f"{row.job}: {way}", counts, row.reason if told else "")))
        if text != last:
            last = text
            note(text)

    return show


def _last_words(client: "Client", row: "DeploymentView") -> None:
    """Shows what the task that failed has written last."""
    from orion.cli.shared.output import note
    from orion.model.errors import OrionError

    task = row.reason.partition(" on ")[0]
    if "/" not in task or " " in task:
        return
    try:
        lines = _lines_of_failed(client, row, task)
    except OrionError:
        return
    for line in b"".join(lines).decode(errors="replace").splitlines():
        note(f"  {line}")


def _lines_of_failed(client: "Client", row: "DeploymentView", task: str) -> list[bytes]:
    """Returns the last lines of the deployment's runs of the task. Not those of a version that is still there or is
    back: its run may be the newest, or the newest that has written anything.
    """
    from orion.cli.shared.waiting import RUN_OVER

    gone = row.state == "rolled-back"
    of_it = {
        run.id
        for run in client.task(task).allocations
        if (run.created_at or "") >= (row.started_at or "") and (run.state in RUN_OVER or not gone)
    }
    for previous in (False, True) if of_it else ():
        found = client.logs(task, tail=LAST_LINES, previous=previous)
        if lines := [line.text for line in found if line.run in of_it]:
            return lines
    return []
