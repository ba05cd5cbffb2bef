"""`orion ps`, `inspect` and `stop`."""

from typing import TYPE_CHECKING

import click

from orion.cli.asking import asks, command, complete_task, output

if TYPE_CHECKING:
    from orion.client import Client, TaskView


@command()
@output("wide")
@click.option("-q", "--quiet", is_flag=True, help="Only the ids.")
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def ps(client: "Client", form: str, quiet: bool, stale: bool) -> None:
    """List tasks: what runs, where, and why not."""
    from orion.cli import show

    tasks = client.tasks(stale=stale)
    if quiet:
        for task in tasks:
            click.echo(task.id)
    elif form == "json":
        show.print_json(tasks)
    else:
        columns = ("ID", "IMAGE", "STATE", "NODE", "PORTS", "AGE", "REASON")
        show.print_table(columns, [_row(task) for task in tasks], cut=form != "wide")


def _row(task: "TaskView") -> tuple[str, ...]:
    from orion.cli import show

    age = show.age_text(task.created_at)
    return (task.id, task.image, task.state, task.node_id or "", ports_text(task), age, task.reason)


def ports_text(task: "TaskView") -> str:
    """127.0.0.1:8080->80/tcp, as docker writes it."""
    return ", ".join(f"{host}->{port}" for port, host in task.ports.items())


@command()
@click.argument("task", shell_complete=complete_task)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def inspect(client: "Client", task: str, stale: bool) -> None:
    """Show all that is known of a task, as JSON."""
    from orion.cli import show

    show.print_json(client.task(task, stale=stale))


@command()
@click.argument("task", nargs=-1, required=True, shell_complete=complete_task)
@asks
def stop(client: "Client", task: tuple[str, ...]) -> int:
    """Stop tasks and forget them."""
    from orion.cli.app import say
    from orion.model.errors import Refused

    code = 0
    for name in task:
        try:
            click.echo(client.delete_task(name).id)
        except Refused as error:  # the others can still be stopped
            say(error.detail)
            code = 1
    return code
