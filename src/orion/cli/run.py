"""`orion run`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from orion.cli.asking import asks, command, output
from orion.cli.values import ConfigUse, Environment, Label, Published, Seconds, Size

if TYPE_CHECKING:
    from orion.client import Client, TaskView

POLL_S = 20.0
STAYS_S = 1.0  # running this long is running: most of what can't work has crashed by then
LAST_LINES = 10

_EXAMPLES = """\b
Examples:
  orion run -p 8080:80 --wait nginx
  orion run --restart no --wait app:2 ./migrate

Options end at IMAGE: all that follows it is the program's, as it stands (but for a -- right behind IMAGE).
"""


# As in docker run: whatever follows IMAGE is the program's, though Orion may have an option of that name.
@command(epilog=_EXAMPLES, settings={"allow_interspersed_args": False}, options_metavar="[OPTIONS]")
@click.argument("image")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND...]")
@click.option("--name", default="", help="The task's name.  [default: made from the image's]")
@click.option(
    "-p",
    "--publish",
    type=Published(),
    multiple=True,
    metavar="[[ADDRESS:]HOST:]PORT[/udp]",
    help="Make a port reachable: 8080:80, 80 for a free host port, 127.0.0.1:8080:80 on that address of its node "
    "only. Repeatable.",
)
@click.option(
    "-e",
    "--env",
    type=Environment(),
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable; NAME alone takes it from here. Repeatable.",
)
@click.option(
    "-c",
    "--config",
    type=ConfigUse(),
    multiple=True,
    metavar="KEY=NAME|/PATH[:MODE]",
    help="A config as a variable, or as a file with a mode (0644). What is put under KEY later reaches only "
    "containers made after that. Repeatable.",
)
@click.option("-m", "--memory", type=Size(), default=0, help="Memory to reserve and the most it may use: 512m.")
@click.option("--cpu", "--cpus", type=float, default=0.0, metavar="CORES", help="Cores to reserve, as in 0.25.")
@click.option(
    "--placement",
    type=click.Choice(["spread", "pack"]),
    help="Of the nodes that fit the least loaded, or the fullest.  [default: the cluster's setting, spread]",
)
@click.option("--disk", type=Size(), default=0, help="Disk to reserve, as in 10GB.")
@click.option(
    "--constraint",
    type=Label(),
    multiple=True,
    metavar="LABEL=VALUE",
    help="Only on nodes with this label. Repeatable.",
)
@click.option(
    "--restart",
    default="on-failure",
    show_default=True,
    metavar="POLICY",
    help="no, always, on-failure (as often as it fails) or on-failure:N (at most N times). A job that is to run "
    "once, such as a migration: no.",
)
@click.option(
    "--stop-grace",
    type=Seconds(),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Time to end by itself when stopped.",
)
@click.option("--wait", is_flag=True, help="Wait until it has run for a second, or has ended.")
@click.option(
    "--wait-timeout",
    type=Seconds(),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="The longest wait.",
)
@output("id", "json")
@asks
def run(client: "Client", image: str, words: tuple[str, ...], form: str, **asked: Any) -> int:
    """Start a container somewhere in the cluster."""
    from orion.client import ConfigMountRequest, PlacementRequest, TaskRequest

    request = TaskRequest(
        image=image,
        name=asked["name"],
        command=_command(words),
        env=dict(asked["env"]),
        memory=asked["memory"],
        cpu=asked["cpu"],
        disk=asked["disk"],
        node_selectors=dict(asked["constraint"]),
        port_bindings=_published(asked["publish"]),
        restart_policy=asked["restart"],
        stop_grace_seconds=asked["stop_grace"],
        configs=[ConfigMountRequest(*use) for use in asked["config"]],
        placement=PlacementRequest(asked["placement"] or ""),
    )
    task = client.create_task(request)
    if form == "id":
        click.echo(task.id)
    code = 0
    if asked["wait"]:
        task, code = _wait(client, task, asked["wait_timeout"])
    if form == "json":
        from orion.cli.show import print_json

        print_json(task)
    return code


def _published(ports: Sequence[tuple[str, str]]) -> dict[str, str]:
    bindings: dict[str, str] = {}
    for port, host in ports:
        if port in bindings:
            raise click.UsageError(f"{port} is published twice: each port of a task has one host port")
        bindings[port] = host
    return bindings


def _command(words: tuple[str, ...]) -> list[str]:
    """The program's words. Says so where they begin with what may have been meant for Orion."""
    from orion.cli.show import note

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


def _wait(client: "Client", task: "TaskView", timeout_s: float) -> "tuple[TaskView, int]":
    """Follows the task until it has stayed running for STAYS_S or has ended, on standard error. As it is then, and
    the exit code.
    """
    import time

    from orion.cli.app import say
    from orion.cli.progress import progress

    until = time.monotonic() + timeout_s
    index = 0
    stays = float("inf")  # when it will have stayed running
    try:
        with progress() as show:
            while True:
                left_s = min(POLL_S, until - time.monotonic(), stays - time.monotonic())
                task, index = client.poll_task(task.id, index, wait_s=max(0.1, left_s))
                show(task)
                now = time.monotonic()
                if task.state == "running":
                    stays = min(stays, now + STAYS_S)
                if task.state in ENDED or _crashed(task) or now >= min(stays, until):
                    break
    except KeyboardInterrupt:
        say(f"{task.id} goes on without you: 'orion ps' shows it, 'orion stop {task.id}' stops it")
        return task, 1
    if task.state == "failed" or _crashed(task):
        return task, _post_mortem(client, task)
    return task, _verdict(task, timeout_s)


ENDED = frozenset({"completed", "failed", "stopped"})


def _crashed(task: "TaskView") -> bool:
    """It ran, ended and is to be started again."""
    return task.state == "starting" and bool(task.allocations) and task.allocations[-1].exit_code is not None


def _post_mortem(client: "Client", task: "TaskView") -> int:
    from orion.cli.app import say
    from orion.cli.show import note
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


def _verdict(task: "TaskView", timeout_s: float) -> int:
    from orion.cli.app import say
    from orion.cli.show import note
    from orion.cli.tasks import ports_text

    match task.state:
        case "running":
            note(f"{task.id} runs on {task.node_id}{', ' if task.ports else ''}{ports_text(task)}")
            return 0
        case "completed":
            note(f"{task.id} has completed on {task.node_id}")
            return 0
        case "stopped":
            say(f"{task.id} stopped: {task.reason or 'no reason is known'}")
        case _:
            why = f": {task.reason}" if task.reason else ""
            say(f"{task.id} is still {task.state} after {timeout_s:g} s{why}; it goes on, see 'orion ps'")
    return 1
