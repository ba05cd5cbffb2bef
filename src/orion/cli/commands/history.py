"""`orion history`."""

from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, complete_task, no_trunc, output
from orion.cli.shared.table import Column, shorten_image

if TYPE_CHECKING:
    from orion.client import Client

_COLUMNS = (
    Column("CHANGED"),
    Column("WHAT"),
    Column("TASKS"),
    Column("IMAGE", 12, shorten_image),
    Column("INDEX", spare=True),
)


@command()
@click.argument("task", shell_complete=complete_task)
@output("table", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def history(client: "Client", task: str, form: str, no_trunc: bool, stale: bool) -> None:
    """Tell what was done to a task's job: created, stopped, started, removed.

    The last 20 changes, oldest first, also of a job that was removed not long ago.
    """
    from orion.cli.shared import output

    changes = client.history(task, stale=stale)
    if form == "json":
        output.print_json(changes)
        return
    rows = [(output.age_text(c.at), c.change, str(c.count), c.image, str(c.index)) for c in changes]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)
