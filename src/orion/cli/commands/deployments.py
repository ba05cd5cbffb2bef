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
@click.argument("deployment", type=click.IntRange(1), required=False)
@output("table", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def deployments(client: "Client", deployment: int | None, form: str, no_trunc: bool, stale: bool) -> None:
    """List the deployments that run and the last that ended, the newest first."""
    from orion.cli.shared import output

    views = [client.deployment(deployment, stale=stale)] if deployment else client.deployments(stale=stale)
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
