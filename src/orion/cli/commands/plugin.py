"""`orion plugin`."""

from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, no_trunc, output
from orion.cli.shared.table import Column

if TYPE_CHECKING:
    from orion.client import Client
    from orion.model.api.plugins import PluginPartView

_COLUMNS = (Column("PLUGIN", 16), Column("NODE"), Column("VERSION"), Column("PARTS"), Column("STATE", 20))


@click.group(context_settings=SETTINGS)
def plugin() -> None:
    """Show storage plugins (CSI). Nodes find them by orion node --csi-socket."""


@plugin.command("ls", context_settings=SETTINGS)
@output("table", "json")
@no_trunc
@asks
def ls(client: "Client", form: str, no_trunc: bool) -> None:
    """Show all storage plugins: on which nodes they are, and whether they work."""
    from orion.cli.shared import output

    found = client.plugins()
    if form == "json":
        output.print_json(found)
        return
    rows = [
        (each.name or "-", part.node_id, part.version or "-", _parts(part), part.why or "works")
        for each in found
        for part in each.parts
    ]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)
    for why in found[0].unasked if found else ():
        click.echo(why, err=True)


@plugin.command("inspect", context_settings=SETTINGS)
@click.argument("name")
@asks
def inspect(client: "Client", name: str) -> None:
    """Show all about a storage plugin, in JSON: what it can, and what it calls each node."""
    from orion.cli.shared import output

    output.print_json(client.plugin(name))


def _parts(part: "PluginPartView") -> str:
    names = ("controller", part.controller), ("node", part.node)
    return ", ".join(name for name, can in names if can is not None) or "-"
