"""`orion network`."""

from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, complete_node, no_trunc, output
from orion.cli.shared.table import Column
from orion.process.config import DOCKER_HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orion.client import Client, NetworkCheckView

_COLUMNS = (Column("NETWORK"), Column("INTERNAL"), Column("NODES"), Column("ADDRESSES"), Column("CREATED"))
_NODE_COLUMNS = (Column("NODE"), Column("SUBNET"), Column("ADDRESSES"), Column("STATE", 20))
_TASK_COLUMNS = (Column("TASK"), Column("NODE"), Column("ADDRESS"), Column("READY"))


@click.group(context_settings=SETTINGS)
def network() -> None:
    """Make and show the cluster's networks, and which node has which addresses.

    On one, containers of all nodes reach each other by their own addresses; those of another they don't reach.
    """


@network.command("create", context_settings=SETTINGS)
@click.argument("name")
@click.option("--internal", is_flag=True, help="There is no way from it to elsewhere.")
@asks
def create(client: "Client", name: str, internal: bool) -> None:
    """Make a network for jobs that name it, apart from all others: orion run --networks NAME.

    A NAME has small letters, digits, and '-' between them.
    """
    click.echo(client.create_network(name, internal=internal).name)


@network.command("rm", context_settings=SETTINGS)
@click.argument("name")
@asks
def rm(client: "Client", name: str) -> None:
    """Remove a network that no job names any more."""
    client.remove_network(name)


@network.command("ls", context_settings=SETTINGS)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@output("table", "json")
@no_trunc
@asks
def ls(client: "Client", stale: bool, form: str, no_trunc: bool) -> None:
    """Show all networks, which addresses each node has for its containers, and how its part of the network is.

    `orion config put orion/network 10.200.0.0/16` gives the networks addresses, `off` takes them away.
    """
    import msgspec

    from orion.cli.shared import output

    shown, networks = client.network(), client.networks(stale=stale)
    if form == "json":
        output.print_json({**msgspec.to_builtins(shown), "networks": networks})
        return
    if not shown.range:
        click.echo("There is no network: 'orion config put orion/network 10.200.0.0/16' makes one.")
        if len(networks) == 1:
            return
    output.print_table(
        _COLUMNS,
        [
            (each.name, _yes(each.internal), str(each.nodes), str(each.addresses), each.created_at or "-")
            for each in networks
        ],
        no_trunc=no_trunc,
    )
    click.echo()
    rows = [
        (each.node_id, each.subnet or "-", str(each.addresses), each.reason or ("up" if each.up else "off"))
        for each in shown.nodes
    ]
    output.print_table(_NODE_COLUMNS, rows, no_trunc=no_trunc)


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


@network.command("inspect", context_settings=SETTINGS)
@click.argument("name")
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@output("table", "json")
@no_trunc
@asks
def inspect(client: "Client", name: str, stale: bool, form: str, no_trunc: bool) -> None:
    """Show a network: its subnets by node, the jobs that are on it, and tasks with their addresses."""
    from orion.cli.shared import output

    shown = client.network_detail(name, stale=stale)
    if form == "json":
        output.print_json(shown)
        return
    click.echo(f"{shown.name}: VNI {shown.vni}, {shown.bridge}, {shown.device}{', internal' * shown.internal}")
    click.echo(f"jobs: {', '.join(shown.jobs) or 'none'}")
    click.echo()
    output.print_table(
        _NODE_COLUMNS[:3],
        [(each.node_id, each.subnet, str(each.addresses)) for each in shown.subnets],
        no_trunc=no_trunc,
    )
    click.echo()
    output.print_table(
        _TASK_COLUMNS,
        [(each.task, each.node_id, each.address, _yes(each.ready)) for each in shown.tasks],
        no_trunc=no_trunc,
    )


@network.command("reset", context_settings=SETTINGS)
@click.option(
    "--docker-host", envvar="DOCKER_HOST", default=DOCKER_HOST, show_default=True, metavar="URL", help="The engine."
)
def reset(docker_host: str) -> int:
    """Take away what Orion's networks have left on this machine.

    Devices, routes, rules, and the networks of the Docker Engine: for a server that has left its cluster, once no
    node runs on it. Where only the network is to go, `orion config put orion/network off` takes it from all nodes.
    """
    from orion.cli.app import say
    from orion.process.network_reset import reset as take_away

    done, failure = take_away(docker_host)
    for each in done:
        click.echo(each)
    if failure is not None:
        say(failure.detail)
    return int(failure is not None)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
