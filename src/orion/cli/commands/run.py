"""`orion run`."""

from typing import TYPE_CHECKING, Any

import click

from orion.cli.shared.fields import asked_for, bad_usage, task_options
from orion.cli.shared.options import asks, command, output
from orion.cli.shared.placement_options import placement_options, with_placement
from orion.cli.shared.types import Seconds

if TYPE_CHECKING:
    from orion.client import Client, TaskView

START_TIMEOUT_S = 300.0  # a large image takes minutes to pull
_Run = tuple[str, str | None]  # its id, and when its container was started
STAYS_S = 1.0  # running this long is running: most of what can't work has crashed by then
LAST_LINES = 10

_EXAMPLES = """\b
Examples:
  orion run -p 8080:80 --wait nginx
  orion run --restart no --wait app:2 ./migrate
  orion run --rm busybox sh -c "echo hello; exit 3"

Options end at IMAGE: all that follows it is the program's, as it stands (but for a -- right behind IMAGE).
"""


# As in docker run: whatever follows IMAGE is the program's, though Orion may have an option of that name.
@command(epilog=_EXAMPLES, settings={"allow_interspersed_args": False}, options_metavar="[OPTIONS]")
@click.argument("image")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND...]")
@task_options
@placement_options
@click.option(
    "--rm",
    "foreground",
    is_flag=True,
    help="Run it in the foreground: show what it writes, end with its exit code, and forget it. Once, unless "
    "--restart says otherwise.",
)
@click.option(
    "--wait", is_flag=True, help="Wait until it has run for a second or, with --restart no, until it has ended."
)
@click.option(
    "--wait-timeout",
    type=Seconds(),
    metavar="SECONDS",
    help=f"The longest wait.  [default: {START_TIMEOUT_S:g}; with --restart no and --rm only until it runs]",
)
@output("id", "json")
@asks
def run(client: "Client", image: str, words: tuple[str, ...], form: str, **asked: Any) -> int:
    """Start a container somewhere in the cluster."""
    from orion.client import Invalid, TaskRequest

    _check_together(form, asked)
    fields = with_placement(asked_for(asked), asked)
    if asked["foreground"]:  # once, unless it is said how often
        fields = {"restart_policy": "no", **fields}
    request = TaskRequest(image=image, command=_command(words), **fields)
    try:
        if asked["foreground"]:
            from orion.cli.shared.foreground import run_in_foreground

            start_timeout_s = START_TIMEOUT_S if asked["wait_timeout"] is None else asked["wait_timeout"]
            return run_in_foreground(client, request, start_timeout_s)
        task = client.create_task(request)
    except Invalid as error:
        raise bad_usage(error) from None
    if form == "id":
        click.echo(task.id)
    code = 0
    if asked["wait"]:
        task, code = wait_until_up(client, task, asked["wait_timeout"])
    if form == "json":
        from orion.cli.shared.output import print_json

        print_json(task)
    return code


def _check_together(form: str, asked: dict[str, Any]) -> None:
    """Raises UsageError for options that do not go with --rm."""
    if not asked["foreground"]:
        return
    if form != "id":
        raise click.UsageError("--rm prints what the program writes, so there is no place for -o json")
    if asked["restart_policy"] == "always":
        raise click.UsageError("--rm waits until the program has ended, which --restart always never lets it")


def _command(words: tuple[str, ...]) -> list[str]:
    """Returns the program's words. Prints a note when the first ones look like options of Orion."""
    from orion.cli.shared.output import note

    if words[:1] == ("--",):
        return list(words[1:])
    name = words[0].partition("=")[0] if words else ""
    known = {option for param in click.get_current_context().command.params for option in param.opts}
    if name.startswith("-") and (name in known or (name[:2] in known and name[1] != "-")):
        note(
            f"{name} stands behind IMAGE, so the program gets it; options of 'orion run' stand before IMAGE"
            " (write -- before it if that is meant)"
        )
    return list(words)


def wait_until_up(client: "Client", task: "TaskView", timeout_s: float | None) -> "tuple[TaskView, int]":
    """Follows the task, on standard error, until it has stayed running for STAYS_S or has ended. One that is to run
    once (restart policy no) is followed until it has ended. Returns the task as it is then, and the exit code.

    `timeout_s` None is START_TIMEOUT_S, but no limit for a task that is to run once and runs.
    """
    import time

    from orion.cli.app import INTERRUPTED, say
    from orion.cli.shared.progress import progress
    from orion.cli.shared.waiting import ENDED, Deadline, Follower

    once = task.restart_policy == "no"
    deadline = Deadline(START_TIMEOUT_S if timeout_s is None else timeout_s)
    follower = Follower(client, task.id, task.created_index)
    run: _Run | None = None  # of its runs, the one that is looked at
    stays = float("inf")  # when that will have stayed running
    try:
        with progress() as show:
            while True:
                now = follower.look(min(deadline.left_s, stays - time.monotonic()))
                if now is None:
                    say(f"{task.id} was removed before it ran")
                    return task, 1
                task = now
                show(task)
                if task.state == "running" and once and timeout_s is None:
                    deadline = Deadline(None)
                elif task.state == "running" and not once and (begun := _run_of(task)) != run:
                    run, stays = begun, time.monotonic() + STAYS_S
                if task.state in ENDED or _crashed(task) or deadline.passed or time.monotonic() >= stays:
                    break
    except KeyboardInterrupt:
        say(f"{task.id} goes on without you: 'orion ps' shows it, 'orion stop {task.id}' stops it")
        return task, INTERRUPTED
    if task.state == "failed" or _crashed(task):
        return task, _post_mortem(client, task)
    return task, _verdict(task, deadline.seconds if deadline.passed else None)


def _run_of(task: "TaskView") -> _Run:
    """Returns another value once its container was started again: its end may have been over before it was seen."""
    return (task.allocations[-1].id, task.allocations[-1].started_at) if task.allocations else ("", None)


def _crashed(task: "TaskView") -> bool:
    """Returns True when the task ran, ended and is to be started again."""
    return task.state == "starting" and bool(task.allocations) and task.allocations[-1].exit_code is not None


def _post_mortem(client: "Client", task: "TaskView") -> int:
    from orion.cli.app import say
    from orion.cli.shared.output import note
    from orion.model.errors import OrionError

    why = task.reason or "no reason is known"
    if task.state == "failed":
        say(f"{task.id} failed: {why}")
    else:
        say(f"{task.id} does not stay up: {why}; it goes on being tried, 'orion stop {task.id}' ends that")
    try:
        text = b"".join(line.text for line in client.logs(task.id, tail=LAST_LINES)).decode(errors="replace")
    except OrionError:
        return 1  # it never came to say anything
    for line in text.splitlines():
        note(f"  {line}")
    return 1


def _verdict(task: "TaskView", timed_out_s: float | None) -> int:
    from orion.cli.app import TIMED_OUT, say
    from orion.cli.shared.output import note
    from orion.model.api.task_words import ports_text

    match task.state:
        case "running" if task.restart_policy != "no":
            note(f"{task.id} runs on {task.node_id}{', ' if ports_text(task) else ''}{ports_text(task)}")
            return 0
        case "completed":
            note(f"{task.id} has completed on {task.node_id}")
            return 0
        case "stopped":
            say(f"{task.id} stopped: {task.reason or 'no reason is known'}")
        case _:
            why = f": {task.reason}" if task.reason else ""
            say(f"{task.id} is still {task.state} after {timed_out_s or 0:g} s{why}; it goes on, see 'orion ps'")
            return TIMED_OUT
    return 1
