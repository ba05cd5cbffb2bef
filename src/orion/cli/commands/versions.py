"""`orion versions`."""

from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, no_trunc, output
from orion.cli.shared.table import Column, shorten_image

if TYPE_CHECKING:
    from orion.client import Client, VersionView

_COLUMNS = (Column("VERSION"), Column("IMAGE", 12, shorten_image), Column("RUNNING"), Column("STATE"))


@command()
@click.argument("job")
@output("table", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def versions(client: "Client", job: str, form: str, no_trunc: bool, stale: bool) -> None:
    """List the versions of a job that are kept: what 'orion rollback --to' takes."""
    from orion.cli.shared import output

    views = client.job_versions(job, stale=stale)
    if form == "json":
        output.print_json(views)
        return
    rows = [
        (
            str(view.version),
            view.task.image,
            str(view.running),
            ", ".join(word for word, holds in _states(view) if holds),
        )
        for view in views
    ]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)


def _states(view: "VersionView") -> tuple[tuple[str, bool], ...]:
    return ("current", view.current), ("healthy", view.healthy), ("failed", view.failed)
