"""`orion raft`."""

from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.asking import asks, complete_node, output

if TYPE_CHECKING:
    from orion.client import Client, RaftView


@click.group(invoke_without_command=True, context_settings=SETTINGS)
@output("table", "json")
@asks
@click.pass_context
def raft(ctx: click.Context, client: "Client", form: str) -> None:
    """Show who leads and who votes; hand over leadership."""
    if ctx.invoked_subcommand is not None:
        return
    from orion.cli import show

    view = client.raft()
    if form == "json":
        show.print_json(view)
    else:
        _print(view)


def _print(view: "RaftView") -> None:
    from orion.cli import show

    click.echo(f"this node is {view.state}; {view.leader or 'nobody'} leads in term {view.term}")
    click.echo(
        f"log {view.first_index} to {view.commit_index} committed, applied to {view.applied_index}, "
        f"snapshot at {view.snapshot_index or '-'}; {view.task_count} tasks"
    )
    click.echo()
    rows = [
        (
            member.id,
            "leader" if member.id == view.leader else role,
            "" if member.match is None else str(member.match),
            member.state or "",
        )
        for role, members in (("voter", view.voters), ("learner", view.learners))
        for member in members
    ]
    show.print_table(("MEMBER", "ROLE", "MATCH", "STATE"), rows, cut=False)


@raft.command("transfer", context_settings=SETTINGS)
@click.argument("node", default="", shell_complete=complete_node)
@asks
def transfer(client: "Client", node: str) -> None:
    """Hand leadership to NODE, or to the voter that is furthest."""
    view = client.transfer_leader(node)
    click.echo(f"{view.leader or 'nobody'} leads in term {view.term}")
