"""`orion jobs`."""

from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, no_trunc, output
from orion.cli.shared.table import Column, shorten_image

if TYPE_CHECKING:
    from orion.client import Client, JobView

_COLUMNS = (
    Column("NAME"),
    Column("KIND", spare=True),
    Column("READY"),
    Column("VERSION"),
    Column("IMAGE", 12, shorten_image),
    Column("STATE", 10),
)


@command()
@click.argument("job", nargs=-1)
@output("table", "json")
@no_trunc
@click.option("-q", "--quiet", is_flag=True, help="Names alone, one a line.")
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def jobs(client: "Client", job: tuple[str, ...], form: str, no_trunc: bool, quiet: bool, stale: bool) -> None:
    """List jobs: what is asked for, and how much of it is ready."""
    from orion.cli.shared import output

    views = [client.job(name, stale=stale) for name in job] if job else client.jobs(stale=stale)
    if quiet:
        for view in views:
            click.echo(view.name)
        return
    if form == "json":
        output.print_json(views)
        return
    rows = [(v.name, v.kind, f"{v.ready}/{v.count}", str(v.version), v.image, _state(v)) for v in views]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)


def _state(view: "JobView") -> str:
    if view.removing:
        return "is being removed"
    if view.stopped:
        return "stopped"
    row = view.deployment
    if row is not None and row.state == "running":
        way = "goes back" if row.rolling_back else row.kind
        return f"{way}: {row.reason}" if row.reason else way
    if row is not None and row.state in ("failed", "paused", "rolled-back"):
        return f"{row.state}: {row.reason}" if row.reason else row.state
    return view.reason or ("ready" if view.ready >= view.count else "")
