"""`orion top`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command

if TYPE_CHECKING:
    from orion.client import Client

MISSING = "orion top needs Textual, which is not installed: pip install 'orion-cluster[top]'"


@command()
@click.argument("view", default="")
@click.option("--read-only", is_flag=True, help="Nothing in the cluster can be changed from here.")
@click.option(
    "--refresh",
    type=click.FloatRange(0.04, 60.0),
    default=0.04,
    metavar="SECONDS",
    help="Time between two drawings of what changes, at least: more for slow lines.  [default: 0.04]",
)
@click.option(
    "--settings",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file with columns, colours, keys and aliases.  [default: ~/.config/orion/top.toml]",
)
@click.option("--once", is_flag=True, help="Print the health of the cluster as it is now, for scripts, and end.")
@asks
def top(client: "Client", view: str, read_only: bool, refresh: float, settings: Path | None, once: bool) -> None:
    """Show the cluster in this terminal, as it changes.

    VIEW is what is shown first, such as nodes, tasks or jobs. Press ? for help there, : to go elsewhere, Ctrl-C to
    leave.
    """
    if once:
        from orion.tui.once import once as pulses

        click.echo(pulses(client), nl=False)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.ClickException(
            "orion top needs a terminal; --once prints the health of the cluster for scripts"
        )
    try:
        import textual
    except ImportError:
        raise click.ClickException(MISSING) from None
    del textual
    from orion.tui.start import start

    start(client.addresses, view=view, read_only=read_only, pause_s=refresh, settings=settings)
