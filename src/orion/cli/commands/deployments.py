"""`orion deployments`."""

from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, no_trunc, output
from orion.cli.shared.table import Column

if TYPE_CHECKING:
    from orion.client import Client

_COLUMNS = (
    Column("ID"),
    Column("JOB"),
    Column("KIND", spare=True),
    Column("VERSION"),
    Column("STATE"),
    Column("BEGAN"),
    Column("REASON", 10),
)


@command()
@click.argument("which", metavar="[ID|JOB]", required=False)
@output("table", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def deployments(client: "Client", which: str | None, form: str, no_trunc: bool, stale: bool) -> None:
    """List the deployments that run and the last that ended, the newest first: all, those of a job, or one."""
    from orion.cli.shared import output

    if which and which.isascii() and which.isdigit():
        views = [client.deployment(int(which), stale=stale)]
    else:
        views = [each for each in client.deployments(stale=stale) if which in (None, each.job)]
        if which and not views:
            client.job(which, stale=stale)  # raises when there is none of that name
    if form == "json":
        output.print_json(views)
        return
    rows = [
        (
            str(view.id),
            view.job,
            view.kind,
            f"{'' if view.from_version is None else view.from_version} -> {view.to_version}".strip(),
            "rolling back" if view.rolling_back and view.state == "running" else view.state,
            output.age_text(view.started_at),
            view.reason,
        )
        for view in views
    ]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)
