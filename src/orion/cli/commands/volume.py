"""`orion volume`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, complete_node, no_trunc, output
from orion.cli.shared.storage import (
    ACCESS,
    WAIT_S,
    Pair,
    Secret,
    Source,
    bad_usage,
    found_or_none,
    no_plugin_asked,
    nodes_behind,
    say_if_former,
    state_text,
    wait_until,
    why_not,
)
from orion.cli.shared.table import Column
from orion.cli.shared.types import Label, Seconds, Size
from orion.cli.shared.volume_words import nodes_text, unasked_size, used_text, volume_size

if TYPE_CHECKING:
    from orion.client import Client
    from orion.model.api.volumes import PrunedView, VolumeView

_COLUMNS = (
    Column("VOLUME", 16),
    Column("DRIVER"),
    Column("NODE"),
    Column("STATE"),
    Column("SIZE"),
    Column("LAST USED"),
    Column("USED BY", 20),
)
_SNAPSHOTS = (
    Column("SNAPSHOT", 16),
    Column("VOLUME", 16),
    Column("DRIVER"),
    Column("STATE"),
    Column("SIZE"),
    Column("TAKEN"),
    Column("WHY NOT", 20),
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
@click.option("--driver", default="", help="The storage plugin that makes it; local: a directory of a node.")
@click.option("--size", "size_bytes", type=Size(), default=0, help="At least so large, as in 10g.")
@click.option("--limit", "limit_bytes", type=Size(), default=0, help="At most so large, whenever it grows.")
@click.option(
    "--access", default=ACCESS[0], show_default=True, type=click.Choice(ACCESS), help="Who may use it at a time."
)
@click.option("--block", is_flag=True, help="A device, without a file system.")
@click.option("--fs-type", default="", help="Its file system.  [default: the plugin's choice]")
@click.option("--mount-flag", "mount_flags", multiple=True, metavar="FLAG", help="Of its mounts. Repeatable.")
@click.option("--parameter", "parameters", type=Pair(), multiple=True, help="The plugin's own. Repeatable.")
@click.option(
    "--secret", "secrets", type=Secret(), multiple=True, help="For the plugin, and never shown. Repeatable."
)
@click.option("--from", "source", type=Source(), default="", help="Begins with volume:NAME or snapshot:NAME.")
@click.option(
    "--id", "id_", default="", help="The plugin's own id of one that is there. It is never deleted there."
)
@click.option("-d", "--detach", is_flag=True, help="Do not wait until it is made.")
@click.option("--wait-timeout", type=Seconds(), default=WAIT_S, show_default=True, help="The longest wait.")
@asks
def create(client: "Client", name: str, detach: bool, wait_timeout: float, id_: str, **asked: Any) -> int:
    """Make a volume: on a node, or with --driver in a storage system.

    One of a node gets that with its first task; orion run -v NAME:/path makes one, too.
    """
    from orion.cli.shared.output import note
    from orion.model.api.storage import NewVolumeRequest
    from orion.model.errors import Invalid

    fields = {**asked, "mount_flags": list(asked["mount_flags"])}
    fields |= {each: dict(asked[each]) for each in ("labels", "parameters", "secrets")}
    request = NewVolumeRequest(name, id=id_, **fields)
    if fault := no_plugin_asked(request):
        raise click.UsageError(fault)
    try:
        made = client.make_volume(request)
    except Invalid as error:
        raise bad_usage(error) from None
    found: VolumeView | None = made
    code = 0
    if made.storage is not None and not detach:
        found, code = wait_until(lambda: client.volume(name), lambda now: now.state == "ready", name, wait_timeout)
    if code == 0:
        click.echo(made.name)
    if size := unasked_size(request, found):
        note(f"{name} has {size}, as its plugin gives it: --size asks for more or less")
    return code


@volume.command("expand", context_settings=SETTINGS)
@click.argument("name")
@click.argument("size_bytes", metavar="SIZE", type=Size())
@click.option("-d", "--detach", is_flag=True, help="Do not wait until it has grown.")
@click.option("--wait-timeout", type=Seconds(), default=WAIT_S, show_default=True, help="The longest wait.")
@asks
def expand(client: "Client", name: str, size_bytes: int, detach: bool, wait_timeout: float) -> int:
    """Have a volume of a storage system be at least so large, as in 20g. No volume shrinks."""
    from orion.model.errors import Conflict, Invalid

    try:
        client.expand_volume(name, size_bytes)
    except Invalid as error:
        raise bad_usage(error, sizeBytes="SIZE") from None
    if detach:
        return 0
    code = _until(client, name, lambda found: found.state != "growing", wait_timeout)
    storage = client.volume(name).storage
    if code == 0 and storage is not None and max(storage.size_bytes, storage.has_bytes) < size_bytes:
        raise Conflict(storage.why or f"volume {name} has not grown")
    if code == 0 and (behind := nodes_behind(lambda: client.volume(name), wait_timeout)):
        raise Conflict(f"volume {name} has grown in its storage system, and is not as large yet on {behind}")
    return code


@volume.command("snapshot", context_settings=SETTINGS)
@click.argument("volume_name", metavar="VOLUME")
@click.argument("name", required=False, default="")
@click.option("-d", "--detach", is_flag=True, help="Do not wait until it is taken.")
@click.option("--wait-timeout", type=Seconds(), default=WAIT_S, show_default=True, help="The longest wait.")
@asks
def snapshot(client: "Client", volume_name: str, name: str, detach: bool, wait_timeout: float) -> int:
    """Have a storage system keep what is in VOLUME now, as NAME, else as the volume's name with the time.

    orion volume create --from snapshot:NAME makes a volume of it.
    """
    name = name or f"{volume_name[:50]}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    former = found_or_none(lambda: client.volume_snapshot(name))
    taken = client.take_volume_snapshot(volume_name, name)
    say_if_former(taken, former)
    code = 0
    if not detach:
        _, code = wait_until(
            lambda: client.volume_snapshot(name), lambda found: found.state == "ready", name, wait_timeout
        )
    if code == 0:
        click.echo(taken.name)
    return code


@volume.command("snapshots", context_settings=SETTINGS)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@output("table", "json")
@no_trunc
@asks
def snapshots(client: "Client", stale: bool, form: str, no_trunc: bool) -> None:
    """Show the snapshots of volumes that storage systems keep."""
    from orion.cli.shared import output
    from orion.model.resources import size_text

    found = list(client.volume_snapshots(stale=stale))
    if form == "json":
        output.print_json(found)
        return
    rows = [
        (
            each.name,
            each.volume,
            each.driver,
            state_text(each),
            size_text(each.size_bytes) if each.size_bytes else "-",
            output.age_text(each.taken_at) or "-",
            each.why or "-",
        )
        for each in found
    ]
    output.print_table(_SNAPSHOTS, rows, no_trunc=no_trunc)


@volume.command("snapshot-rm", context_settings=SETTINGS)
@click.argument("names", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Forget it, without asking its plugin: it may be there still.")
@click.option("-d", "--detach", is_flag=True, help="Do not wait until it is gone.")
@asks
def snapshot_rm(client: "Client", names: tuple[str, ...], force: bool, detach: bool) -> int:
    """Remove snapshots of volumes."""
    worst = 0
    for name in names:
        client.remove_volume_snapshot(name, force=force)
        code = 0
        if not detach:
            _, code = wait_until(lambda one=name: client.volume_snapshot(one), lambda _: False, name)  # type: ignore[misc]
        if code == 0:
            click.echo(name)
        worst = max(worst, code)
    return worst


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
        (
            each.name,
            each.driver or "local",
            nodes_text(each),
            state_text(each),
            volume_size(each),
            used_text(each),
            ", ".join(each.used_by) or "-",
        )
        for each in found
    ]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)
    for each in found:
        if why := why_not(each) or each.size_reason:
            output.note(f"{each.name}: {why}")


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
@click.option(
    "--force", is_flag=True, help="Though its node, or its plugin, does not answer: its data stays there."
)
@click.option("-d", "--detach", is_flag=True, help="Do not wait until a storage system has deleted it.")
@asks
def rm(client: "Client", names: tuple[str, ...], force: bool, detach: bool) -> int:
    """Remove volumes that no job asks for, and their data."""
    worst = 0
    for name in names:
        done = client.remove_volume(name, force=force)
        code = 0 if detach else _until(client, name, lambda found: found.state != "removing", WAIT_S)
        if code == 0:
            _tell(done)
        worst = max(worst, code)
    return worst


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
    done = client.prune_volumes()
    for name in done.volumes:
        _until(client, name, lambda found: found.state != "removing", WAIT_S)
    _tell(done)


@volume.command("move", context_settings=SETTINGS)
@click.argument("name")
@click.argument("node", required=False, default="", shell_complete=complete_node)
@click.option("--cancel", is_flag=True, help="Call its move off: it stays where it is.")
@click.option("-d", "--detach", is_flag=True, help="Do not wait until it is there.")
@asks
def move(client: "Client", name: str, node: str, cancel: bool, detach: bool) -> int:
    """Have a volume go to NODE, else to one where its tasks fit.

    Its tasks end, its data is copied and checked, and they start there.
    """
    from orion.cli.app import INTERRUPTED, say

    begun = client.move_volume(name, node, cancel=cancel)
    if cancel:
        click.echo(f"{name} stays on {begun.node_id}")
    elif not detach:
        try:
            follow(client, begun)
        except KeyboardInterrupt:
            say(f"{name} goes on without you: 'orion volume move --cancel {name}' calls it off")
            return INTERRUPTED
    return 0


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


def follow(client: "Client", begun: "VolumeView") -> None:
    """Returns once the volume is where it goes to. Raises Conflict when it stays where it was."""
    from orion.model.errors import Conflict
    from orion.model.resources import bytes_text

    name, told = begun.name, ""
    target = begun.move.to if begun.move is not None else begun.node_id
    while (found := client.volume(name)).state == "moving":
        if found.move is not None:
            move = found.move
            words = move.reason or f"{bytes_text(move.copied_bytes)} of about {bytes_text(move.total_bytes)} copied"
            if words != told:
                click.echo(f"{name} to {move.to}: {words}", err=True)
                told = words
        time.sleep(LOOK_S)
    if found.node_id != target:
        last = list(client.events(follow=False, tail=1, subjects=(name,)))
        said = next((event.text for event in last if event is not None and event.kind == "VolumeStays"), "")
        raise Conflict(said or f"volume {name} stays on {found.node_id}: 'orion events {name}' says why")
    click.echo(f"{name} is on {found.node_id or 'no node yet'}")


def _until(client: "Client", name: str, settled: "Callable[[VolumeView], bool]", seconds: float) -> int:
    return wait_until(lambda: client.volume(name), settled, name, seconds)[1]


def _tell(done: "PrunedView") -> None:
    for name in done.volumes:
        click.echo(name)
    for name, why in done.left.items():
        click.echo(f"{name}: its data is left: {why}", err=True)
