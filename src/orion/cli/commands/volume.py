"""`orion volume`."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, complete_node, no_trunc, output
from orion.cli.shared.table import Column
from orion.cli.shared.types import Label

if TYPE_CHECKING:
    from orion.client import Client
    from orion.model.api.volumes import PrunedView, VolumeView

_COLUMNS = (
    Column("VOLUME", 16),
    Column("NODE"),
    Column("STATE"),
    Column("SIZE"),
    Column("LAST USED"),
    Column("USED BY", 20),
)
STREAM = "-"
PIECE_BYTES = 256 * 1024
LOOK_S = 0.3  # between two looks at a move


@click.group(context_settings=SETTINGS)
def volume() -> None:
    """Make, show, move and remove volumes: data that outlives tasks."""


@volume.command("create", context_settings=SETTINGS)
@click.argument("name")
@click.option("--label", "labels", type=Label(), multiple=True, help="A label of your own. Repeatable.")
@asks
def create(client: "Client", name: str, labels: tuple[tuple[str, str], ...]) -> None:
    """Make a volume. It gets its node with its first task; orion run -v NAME:/path makes one, too."""
    click.echo(client.create_volume(name, dict(labels)).name)


@volume.command("ls", context_settings=SETTINGS)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@click.option("--sizes/--no-sizes", default=True, help="Ask their nodes for the disk that they take.")
@output("table", "json")
@no_trunc
@asks
def ls(client: "Client", stale: bool, sizes: bool, form: str, no_trunc: bool) -> None:
    """Show all volumes: where each is, how much disk it takes, when a task that has it was placed last."""
    from orion.cli.shared import output

    found = list(client.volumes(sizes=sizes, stale=stale))
    if form == "json":
        output.print_json(found)
        return
    rows = [
        (each.name, each.node_id or "-", each.state, _size(each), _used(each), ", ".join(each.used_by) or "-")
        for each in found
    ]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)


@volume.command("inspect", context_settings=SETTINGS)
@click.argument("name")
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def inspect(client: "Client", name: str, stale: bool) -> None:
    """Show all about a volume, in JSON."""
    from orion.cli.shared import output

    output.print_json(client.volume(name, stale=stale))


@volume.command("rm", context_settings=SETTINGS)
@click.argument("names", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Though its node does not answer: its data stays there.")
@asks
def rm(client: "Client", names: tuple[str, ...], force: bool) -> None:
    """Remove volumes that no job asks for, and their data."""
    for name in names:
        _tell(client.remove_volume(name, force=force))


@volume.command("prune", context_settings=SETTINGS)
@click.option("-y", "--yes", is_flag=True, help="Without asking.")
@asks
def prune(client: "Client", yes: bool) -> None:
    """Remove all volumes that no job asks for, and their data."""
    if not yes:
        unused = [each.name for each in client.volumes() if not each.used_by and each.state != "moving"]
        if not unused:
            return
        click.confirm(f"Remove {', '.join(unused)}, and all data in them?", abort=True, err=True)
    _tell(client.prune_volumes())


@volume.command("move", context_settings=SETTINGS)
@click.argument("name")
@click.argument("node", required=False, default="", shell_complete=complete_node)
@click.option("--cancel", is_flag=True, help="Call its move off: it stays where it is.")
@click.option("-d", "--detach", is_flag=True, help="Do not wait until it is there.")
@asks
def move(client: "Client", name: str, node: str, cancel: bool, detach: bool) -> None:
    """Have a volume go to NODE, else to one where its tasks fit.

    Its tasks end, its data is copied and checked, and they start there.
    """
    begun = client.move_volume(name, node, cancel=cancel)
    if cancel:
        click.echo(f"{name} stays on {begun.node_id}")
        return
    if not detach:
        follow(client, name)


@volume.command("backup", context_settings=SETTINGS)
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--live", is_flag=True, help="Though tasks use it: what they write meanwhile is there or not.")
@asks
def backup(client: "Client", name: str, file: str, live: bool) -> None:
    """Save all that is in a volume to FILE, a tar with a digest at its end. - is standard output.

    Stop who uses it first, so that all of it is of one moment.
    """
    pieces = client.backup_volume(name, live=live)
    if file == STREAM:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    target = Path(file)
    unfinished = target.with_name(f".{target.name[:40]}.unfinished")
    try:
        with unfinished.open("wb") as out:
            for piece in pieces:
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"{name} is in {file}")


@volume.command("restore", context_settings=SETTINGS)
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, exists=True))
@click.option(
    "--node", default="", help="The node that is to have it, in the place of its own.", shell_complete=complete_node
)
@asks
def restore(client: "Client", name: str, file: str, node: str) -> None:
    """Have a volume hold what `orion volume backup` has saved in FILE, and nothing else.

    It is checked before it takes the place of what is there. Stop who uses the volume first; one that is not there
    is made. - is standard input.
    """
    if file == STREAM:
        client.restore_volume(name, iter(lambda: sys.stdin.buffer.read(PIECE_BYTES), b""), node)
    else:
        with Path(file).open("rb") as saved:
            client.restore_volume(name, iter(lambda: saved.read(PIECE_BYTES), b""), node)
    click.echo(f"{name} is restored")


def follow(client: "Client", name: str) -> None:
    """Returns once the volume is where it goes to. Raises Conflict when it stays where it was."""
    from orion.model.errors import Conflict
    from orion.model.resources import bytes_text

    told, target = "", ""
    while (found := client.volume(name)).state == "moving":
        if found.move is not None:
            move = found.move
            target = move.to
            words = move.reason or f"{bytes_text(move.copied_bytes)} of about {bytes_text(move.total_bytes)} copied"
            if words != told:
                click.echo(f"{name} to {move.to}: {words}", err=True)
                told = words
        time.sleep(LOOK_S)
    if target and found.node_id != target:
        raise Conflict(f"volume {name} stays on {found.node_id}: 'orion events --name {name}' says why")
    click.echo(f"{name} is on {found.node_id or 'no node yet'}")


def _tell(done: "PrunedView") -> None:
    for name in done.volumes:
        click.echo(name)
    for name, why in done.left.items():
        click.echo(f"{name}: its data is left: {why}", err=True)


def _size(volume: "VolumeView") -> str:
    from orion.model.resources import bytes_text

    if volume.size is None:
        return "?" if volume.size_reason else "-"
    return f"{'' if volume.size.complete else '>'}{bytes_text(volume.size.bytes)}"


def _used(volume: "VolumeView") -> str:
    from orion.cli.shared import output

    if volume.in_use:
        return "now"
    return output.age_text(volume.used_at) or "-"
