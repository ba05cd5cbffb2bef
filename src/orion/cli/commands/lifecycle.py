"""`orion stop`, `start`, `rm` and `wait`."""

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from orion.cli.app import TIMED_OUT
from orion.cli.shared.options import asks, command, complete_task
from orion.cli.shared.types import Seconds

if TYPE_CHECKING:
    from orion.client import Client, JobView, TaskView

_TASKS = click.argument("task", nargs=-1, required=True, shell_complete=complete_task)


def _timeout(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--wait-timeout", type=Seconds(), default=300, show_default=True, metavar="SECONDS", help=text
    )


@command()
@_TASKS
@click.option("--wait", is_flag=True, help="Wait until they have ended.")
@_timeout("The longest wait.")
@asks
def stop(client: "Client", task: tuple[str, ...], wait: bool, wait_timeout: float) -> int:
    """Stop tasks, or whole jobs, and keep them, to be started again."""
    from orion.cli.shared import whole_jobs

    tasks, names = whole_jobs.split(client, task)
    jobs, refused = whole_jobs.change(names, client.stop_job)
    stopped, code = whole_jobs.change(tasks, client.stop_task)
    code = max(code, refused)
    if not wait:
        _print(stopped, jobs)
        return code
    code = max(code, whole_jobs.until_ended(client, jobs, wait_timeout))
    return max(code, _until(client, stopped, _has_stopped, wait_timeout))


@command()
@_TASKS
@asks
def start(client: "Client", task: tuple[str, ...]) -> int:
    """Start tasks, or whole jobs, that were stopped, or have ended."""
    from orion.cli.shared import whole_jobs

    tasks, names = whole_jobs.split(client, task)
    jobs, refused = whole_jobs.change(names, client.start_job)
    started, code = whole_jobs.change(tasks, client.start_task)
    _print(started, jobs)
    return max(code, refused)


@command()
@_TASKS
@click.option("--timeout", type=Seconds(), metavar="SECONDS", help="The longest wait.  [default: none]")
@asks
def wait(client: "Client", task: tuple[str, ...], timeout: float | None) -> int:
    """Wait until tasks have ended; the exit code is the program's.

    Prints the exit code of each. Of several tasks the first that is not 0 counts.
    """
    from orion.cli.app import say
    from orion.cli.shared import whole_jobs
    from orion.cli.shared.foreground import verdict
    from orion.cli.shared.waiting import ENDED, Deadline, Follower

    known, code = whole_jobs.change(task, lambda name: _that_may_end(client, name))
    deadline = Deadline(timeout)
    for one in known:
        follower = Follower(client, one.id, one.created_index)
        while (now := follower.look(deadline.left_s)) is not None and now.state not in ENDED:
            if deadline.passed:
                say(f"{one.id} is still {now.state} after {timeout:g} s")
                return TIMED_OUT
        if now is None:
            say(f"{one.id} was removed")
        found = 1 if now is None else verdict(now)
        click.echo(str(found))
        code = code or found
    return code


@command()
@_TASKS
@_timeout("The longest wait; what has not ended by then still is removed when it does.")
@asks
def rm(client: "Client", task: tuple[str, ...], wait_timeout: float) -> int:
    """Stop tasks, or whole jobs, and forget them, and wait until they have ended."""
    from orion.cli.shared import whole_jobs

    known: set[str] = set()  # a cron job takes its runs with it, and they may be named, too
    tasks, names = whole_jobs.split(client, task, known)
    jobs, refused = whole_jobs.change(names, client.delete_job, known=known)
    removed, code = whole_jobs.change(tasks, client.delete_task, known=known)
    code = max(code, refused, whole_jobs.until_ended(client, jobs, wait_timeout))
    return max(code, _until(client, removed, lambda view: view is None, wait_timeout))


def _that_may_end(client: "Client", name: str) -> "TaskView":
    """Raises Refused for a cron job, which runs nothing by itself."""
    from orion.model.errors import NotFound, Refused

    view = client.task(name)
    if view.allocations:
        return view
    job = view.id.partition("/")[0]
    with contextlib.suppress(NotFound):  # it was removed meanwhile, which is said where it is followed
        if client.job(job).kind == "cron":
            raise Refused(f"{job} is a cron job, which goes on for ever: wait for one of 'orion cron runs {job}'")
    return view


def _print(tasks: "Sequence[TaskView]", jobs: "Sequence[JobView]") -> None:
    for task in tasks:
        click.echo(task.id)
    for job in jobs:
        click.echo(job.name)


def _has_stopped(task: "TaskView | None") -> bool:
    from orion.cli.shared.waiting import RUN_OVER

    return task is None or (task.state in RUN_OVER and all(run.state in RUN_OVER for run in task.allocations))


def _until(
    client: "Client", tasks: "Sequence[TaskView]", over: "Callable[[TaskView | None], bool]", timeout_s: float
) -> int:
    """Prints each task once it is `over`. Returns the exit code."""
    from orion.cli.app import say
    from orion.cli.shared.waiting import Deadline, Follower

    deadline, code = Deadline(timeout_s), 0
    for task in tasks:
        follower = Follower(client, task.id, task.created_index)
        while not over(now := follower.look(deadline.left_s)) and not deadline.passed:
            if now is not None and task.stopped and not now.stopped:
                say(f"{task.id} was started again")
                code = max(code, 1)
                break
        else:
            if over(now):
                click.echo(task.id)
            elif now is not None:
                why = f": {now.reason}" if now.reason else ""
                say(f"{task.id} is still {now.state} after {timeout_s:g} s{why}; it goes on ending, see 'orion ps'")
                code = TIMED_OUT
    return code
