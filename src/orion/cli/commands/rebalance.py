"""`orion rebalance`."""

from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, no_trunc, output
from orion.cli.shared.table import Column

if TYPE_CHECKING:
    from orion.client import Client

_MOVES = (Column("TASK", 16), Column("FROM", 12), Column("TO", 12))


@command()
@click.option("--dry-run", is_flag=True, help="Show which tasks would move, and move none.")
@click.option(
    "--max-moves",
    type=click.IntRange(1, 64),
    default=64,
    metavar="N",
    help="The most tasks that move.  [default: 64]",
)
@output("table", "json")
@no_trunc
@asks
def rebalance(client: "Client", dry_run: bool, max_moves: int, form: str, no_trunc: bool) -> None:
    """Move tasks from full nodes to empty ones, as after a node has joined.

    A task that moves is started on its new node while it ends on the old one, as by 'orion drain'. Of each job one
    task moves at a time. Rules for a task's node hold for the new one too.
    """
    from orion.cli.shared.output import note, print_json, print_table

    view = client.rebalance(dry_run=dry_run, max_moves=max_moves)
    if form == "json":
        print_json(view)
        return
    if not view.moves:
        note("no move would even out the nodes" + (" now; ask again once all tasks run" if view.more else ""))
        return
    print_table(_MOVES, [(move.task, move.source, move.target) for move in view.moves], no_trunc=no_trunc)
    if view.more:
        note("further tasks want to move; ask again once these run")
