"""`orion network`."""

from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, no_trunc, output
from orion.cli.shared.table import Column

if TYPE_CHECKING:
    from orion.client import Client

_COLUMNS = (Column("NODE"), Column("SUBNET"), Column("ADDRESSES"), Column("STATE", 20))


@click.group(context_settings=SETTINGS)
def network() -> None:
    """Show the cluster's own network, and which node has which addresses.

    On it containers of all nodes reach each other by their own addresses.
    """


@network.command("ls", context_settings=SETTINGS)
@output("table", "json")
@no_trunc
@asks
def ls(client: "Client", form: str, no_trunc: bool) -> None:
    """Show which addresses each node has for its containers, and how its part of the network is.

    `orion config put orion/network 10.200.0.0/16` makes the network, `off` takes it away.
    """
    from orion.cli.shared import output

    shown = client.network()
    if form == "json":
        output.print_json(shown)
        return
    if not shown.range:
        click.echo("There is no network: 'orion config put orion/network 10.200.0.0/16' makes one.")
        return
    rows = [
        (each.node_id, each.subnet or "-", str(each.addresses), each.reason or ("up" if each.up else "off"))
        for each in shown.nodes
    ]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)
