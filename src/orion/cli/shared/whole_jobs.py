"""Jobs of several tasks, where a command is given a job's name in the place of a task's."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from orion.client import Client, JobView

View = TypeVar("View")


def split(client: "Client", names: Sequence[str], known: set[str] | None = None) -> tuple[list[str], list[str]]:
    """Returns names of tasks, and of jobs that have not one task. Adds those of jobs that are there to `known`."""
    from orion.model.errors import NotFound, Unavailable

    tasks: list[str] = []
    jobs: list[str] = []
    for name in names:
        try:
            many = "/" not in name and client.job(name).count != 1
            if known is not None and "/" not in name:
                known.add(name)
        except (NotFound, Unavailable):
            many = False  # it is said where it is asked for as a task, with what was changed
        (jobs if many else tasks).append(name)
    return tasks, jobs


def change(
    names: Sequence[str], ask: Callable[[str], View], *, known: Collection[str] = ()
) -> tuple[list[View], int]:
    """Changes each job or task. Returns those that could be changed, and the exit code: 1 when one was refused. The
    others are changed all the same. One of the `known` that is gone by now went with another, and is printed.
    """
    from orion.cli.app import say
    from orion.model.errors import NotFound, Refused

    changed: list[View] = []
    code = 0
    for name in names:
        try:
            changed.append(ask(name))
        except Refused as error:
            if isinstance(error, NotFound) and name in known:
                click.echo(name)
                continue
            say(error.detail)
            code = 1
    return changed, code


def until_ended(client: "Client", jobs: "Sequence[JobView]", timeout_s: float) -> int:
    """Prints each job once nothing of it runs, or it is gone. Returns the exit code."""
    from orion.cli.app import TIMED_OUT, say
    from orion.cli.shared.waiting import Deadline
    from orion.model.errors import NotFound

    deadline, code = Deadline(timeout_s), 0
    for job in jobs:
        index = 0
        while True:
            try:
                now, index = client.poll_job(job.name, index, wait_s=max(0.1, deadline.left_s))
            except NotFound:
                break
            if now.created_index != job.created_index or (not now.active and not now.removing):
                break
            if deadline.passed:
                say(f"{job.name} still has {now.active:,} tasks after {timeout_s:g} s; it goes on ending")
                code = TIMED_OUT
                break
        if code != TIMED_OUT:
            click.echo(job.name)
    return code
