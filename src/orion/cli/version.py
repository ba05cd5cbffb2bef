"""`orion version`."""

import click

from orion import __version__
from orion.cli.app import SETTINGS


@click.command(context_settings=SETTINGS)
def version() -> None:
    """Print the version."""
    click.echo(f"orion {__version__}")
