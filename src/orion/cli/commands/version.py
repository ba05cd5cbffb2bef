"""`orion version`."""

import click

from orion import __version__
from orion.cli.shared.options import command, output


@command()
@output("text", "json")
def version(form: str) -> None:
    """Print the version."""
    if form == "json":
        from orion.cli.shared.output import print_json

        print_json({"version": __version__})
    else:
        click.echo(f"orion {__version__}")
