"""`orion network`."""

from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, complete_node, no_trunc, output
from orion.cli.shared.table import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orion.client import Client, NetworkCheckView

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


@network.command("check", context_settings=SETTINGS)
@click.argument("node", required=False, default="", shell_complete=complete_node)
@output("text", "json")
@click.pass_context
@asks
def check(client: "Client", ctx: click.Context, node: str, form: str) -> None:
    """Have each node try to reach each other one by the network, and say which hop fails and why.

    With NODE only from and to that one. The exit code is 1 where a way fails, or a node can't be asked.
    """
    from orion.cli.shared import output

    found = client.network_check(node)
    if form == "json":
        output.print_json(found)
    elif not found.range:
        click.echo("There is no network: 'orion config put orion/network 10.200.0.0/16' makes one.")
    else:
        for line in _checked(found):
            click.echo(line)
    if found.failed or any(each.reason for each in found.nodes):
        ctx.exit(1)


def _checked(found: "NetworkCheckView") -> "Iterator[str]":
    """Yields a line for each hop that fails, and one about all."""
    hops: dict[tuple[str, str, str, str], int] = {}
    for each in found.failures:
        hop = each.sender, each.receiver, each.cause, each.reason
        hops[hop] = hops.get(hop, 0) + 1
    for (sender, receiver, cause, reason), ways in hops.items():
        yield f"{sender} -> {receiver}  {cause}: {reason}" + (f" ({ways} ways fail by it)" if ways > 1 else "")
    for silent in found.nodes:
        if silent.reason:
            yield f"{silent.node_id}  was not asked: {silent.reason}"
    yield _summary(found)


def _summary(found: "NetworkCheckView") -> str:
    whole = f"{found.pairs} ways between {len(found.nodes)} nodes, {found.failed} fail"
    if not found.worst:
        return f"{whole}."
    median, worst = (f"{us / 1000:.2f} ms" for us in (found.median_us, found.worst_us))
    return f"{whole}. Round trip: median {median}, worst {worst} ({found.worst[0]} to {found.worst[1]})."
