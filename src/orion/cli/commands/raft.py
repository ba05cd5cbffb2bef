"""`orion raft`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, complete_node, no_trunc, output
from orion.cli.shared.table import Column
from orion.model.counts import several
from orion.model.times import moment_text

if TYPE_CHECKING:
    from orion.client import Client, MemberView, RaftView
    from orion.process.offline import Loss


@click.group(invoke_without_command=True, context_settings=SETTINGS)
@output("table", "json")
@no_trunc
@asks
def raft(client: "Client", form: str, no_trunc: bool) -> None:
    """Show who leads and who votes; hand over leadership; recover from a lost quorum."""
    from orion.cli.shared import output

    view = client.raft()
    if form == "json":
        output.print_json(view)
    else:
        _print(view, no_trunc=no_trunc)


_MEMBERS = (
    Column("NODE", 12),
    Column("ROLE"),
    Column("STATUS"),
    Column("SINCE"),
    Column("MATCH", spare=True),
    Column("BEHIND"),
    Column("STATE"),
)


def _print(view: "RaftView", *, no_trunc: bool) -> None:
    from orion.cli.shared import output

    click.echo(f"this node is {view.state}; {view.leader or 'nobody'} leads in term {view.term}")
    click.echo(
        f"log {view.first_index} to {view.commit_index} committed, applied to {view.applied_index}, "
        f"snapshot at {view.snapshot_index or '-'}; {several(view.task_count, 'task')}; format level {view.level}"
    )
    click.echo()
    rows = [
        _row(member, "leader" if member.id == view.leader else role)
        for role, members in (("voter", view.voters), ("standby", view.learners), ("worker", view.workers))
        for member in members
    ]
    output.print_table(_MEMBERS, rows, no_trunc=no_trunc)
    for text in filter(None, (*view.next, view.level_outlook)):
        click.echo(text)
    if not view.leader:
        click.echo(
            "without a leader nothing can be changed; if a majority of the voters is lost for good, one that is"
            " left can go on alone: orion raft recover --help"
        )


def _row(member: "MemberView", role: str) -> tuple[str, ...]:
    from orion.cli.shared import output

    return (
        member.id,
        role,
        member.status,
        output.age_text(member.since),
        "" if member.match is None else str(member.match),
        "" if member.lag is None else f"{member.lag:,}",
        member.state or "",
    )


@raft.command("transfer", context_settings=SETTINGS)
@click.argument("node", default="", shell_complete=complete_node)
@asks
def transfer(client: "Client", node: str) -> None:
    """Hand leadership to NODE, or to the voter that is furthest."""
    view = client.transfer_leader(node)
    click.echo(f"{view.leader or 'nobody'} leads in term {view.term}")


@raft.command("recover", context_settings=SETTINGS)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Of the node that stays."
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--force", is_flag=True, help="Also while other members answer.")
def recover(data_dir: Path, yes: bool, force: bool) -> int:
    """Go on with one member where a majority of the voters is lost for good.

    Only then: members that are well are ended by it, and what they acknowledged without this one is lost.

    Run it where that member's data directory is, with no node running on it, after you have made sure that the
    other members are stopped. It becomes the only voter, with its log as it is; writes that it does not hold are
    lost. Of several that are left, take the one whose log goes furthest: this command says how far, and changes
    nothing until you agree. Other members come back with an empty data directory; workers go along as they are.
    """
    from orion.process.offline import recover as go_on

    def agree(loss: "Loss") -> bool:
        click.echo(_loss_text(loss))
        return yes or click.confirm(f"Make {loss.node} the only voter?", err=True)

    if not go_on(data_dir.absolute(), agree, force=force):
        click.echo("nothing was changed")
        return 1
    click.echo(
        "done: start this node as always, then the other members, each with an empty data directory and --join"
    )
    return 0


def _loss_text(loss: "Loss") -> str:
    when = f", made {moment_text(loss.last_at_ms)}" if loss.last_at_ms else ""
    unsure = loss.last_index - loss.commit
    entries = "entry" if unsure == 1 else f"{unsure:,} entries"
    kept = (
        f". The last {entries} may not have been acknowledged to anybody; they count as if they had"
        if unsure
        else ""
    )
    others = ", ".join(loss.others) or "none that it knows by name"
    return (
        f"The log of {loss.node} ends with entry {loss.last_index} of term {loss.last_term}{when}{kept}.\n"
        f"Whatever the others acknowledged after that is lost.\n"
        f"Other members ({others}) are shut out from now on: what is in their data directories has no place in the "
        f"cluster any more. While any of them still run, stop them first."
    )
