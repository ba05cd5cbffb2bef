"""`orion endpoints`."""

import time
from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, complete_task, no_trunc, output
from orion.cli.shared.table import Column

if TYPE_CHECKING:
    from orion.client import Client, EndpointView

RETRY_S = 1.0
_COLUMNS = (
    Column("TASK"),
    Column("NODE"),
    Column("ADDRESS"),
    Column("PORTS", 12),
    Column("VERSION", spare=True),
    Column("READY"),
)


@command()
@click.argument("job", shell_complete=complete_task)
@click.option("-a", "--all", "everything", is_flag=True, help="Those that are not ready, too.")
@click.option("-f", "--follow", is_flag=True, help="Go on, with the whole list whenever it is another.")
@output("table", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def endpoints(
    client: "Client", job: str, everything: bool, follow: bool, form: str, no_trunc: bool, stale: bool
) -> None:
    """Show where a job's tasks can be reached: those that are ready.

    With -f for programs that pass requests on to them, as with -o json a line for each list.
    """
    if not follow:
        _show(client.endpoints(job, everything=everything, stale=stale), form, no_trunc=no_trunc)
        return
    from orion.cli.app import say
    from orion.model.errors import Unavailable

    told = ""
    while True:
        try:
            for found in client.follow_endpoints(job, everything=everything):
                told = ""
                _show(found, form, no_trunc=no_trunc, line=True)
        except Unavailable as error:
            if error.detail != told:
                told = error.detail
                say(f"{told}; trying again")
        time.sleep(RETRY_S)


def _show(found: "list[EndpointView]", form: str, *, no_trunc: bool, line: bool = False) -> None:
    from orion.cli.shared import output

    if form == "json" and line:
        import msgspec

        click.echo(msgspec.json.encode(found))
        return
    if form == "json":
        output.print_json(found)
        return
    rows = [
        (
            each.task,
            each.node_id,
            each.address,
            ", ".join(f"{port} {where}" for port, where in each.ports.items()),
            str(each.version),
            output.age_text(each.ready_since) if each.ready else "no",
        )
        for each in found
    ]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)
