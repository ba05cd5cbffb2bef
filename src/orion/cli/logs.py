"""`orion logs`."""

import sys
from typing import TYPE_CHECKING

import click

from orion.cli.asking import asks, command, complete_task

if TYPE_CHECKING:
    from orion.client import Client


@command()
@click.argument("task", shell_complete=complete_task)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last so many lines.")
@click.option("--since", default="", metavar="TIME", help="From how long ago (10m, 1h), or from a time.")
@click.option("--stream", type=click.Choice(["all", "stdout", "stderr"]), default="all", help="Which output.")
@asks
def logs(client: "Client", task: str, follow: bool, tail: int | None, since: str, stream: str) -> None:
    """Show what a task has written."""
    out = sys.stdout.buffer
    for chunk in client.logs(task, follow=follow, tail=tail, since=since, stream=stream):
        out.write(chunk)
        out.flush()
