"""`orion snapshot`: backups of the whole state.

`inspect` and `restore` need no node: they act on files, through offline, imported late.
"""

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.commands.node import default_data_dir
from orion.cli.shared.options import asks, output
from orion.cli.shared.types import NodeName
from orion.model.errors import Refused
from orion.model.ids import NodeId
from orion.model.resources import bytes_text
from orion.model.times import moment_text

if TYPE_CHECKING:
    from orion.client import Client
    from orion.process.offline import BackupSummary

_FILE = click.Path(dir_okay=False, path_type=Path)
_NAME_CHARACTERS = 40  # of a FILE's name in that of the file beside it: enough to know it by, and never too long


@click.group(context_settings=SETTINGS)
def snapshot() -> None:
    """Save the whole state to a file; begin a new cluster from one."""


@snapshot.command("save", context_settings=SETTINGS)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--stale", is_flag=True, help="What the node knows, without asking the others: where no majority lives."
)
@asks
def save(client: "Client", file: str, stale: bool) -> None:
    """Save the cluster's state at this moment to FILE: jobs, allocations, nodes, configs with their values.

    It is checked before it takes the place of a FILE that is there. - writes it to standard output as it comes:
    whether it is whole, the exit code says at the end.
    """
    if file == "-":
        summary = _to_output(client.backup(stale=stale))
    else:
        summary = _to_file(Path(file), client.backup(stale=stale))
    click.echo(
        f"{'standard output' if file == '-' else file}: {_contents(summary)} at index {summary.index}, "
        f"{bytes_text(summary.size)}, checksum good",
        err=file == "-",
    )


def _to_output(parts: Iterable[bytes]) -> "BackupSummary":
    """Writes the backup to standard output, and checks a copy of it in memory: it needs no room for files."""
    from orion.process.offline import inspect

    with os.fdopen(os.memfd_create("backup"), "wb") as copy:
        for part in parts:
            sys.stdout.buffer.write(part)
            copy.write(part)
        sys.stdout.buffer.flush()
        copy.flush()
        return inspect(Path(f"/proc/self/fd/{copy.fileno()}"))


def _to_file(file: Path, parts: Iterable[bytes]) -> "BackupSummary":
    """Writes the backup to the file that `file` leads to. A symlink stays one."""
    try:
        target = file.resolve()
        special = file.exists() and not file.is_file()
    except (OSError, RuntimeError) as error:  # RuntimeError: a symlink that leads to itself
        raise Refused(f"{file} can't be written: {getattr(error, 'strerror', error)}") from None
    if special:  # a pipe or a device: from what took its place nothing would come out
        raise Refused(f"{file} is no regular file: name one, or - for standard output")
    try:
        return _put(target, parts)
    except OSError as error:
        raise Refused(f"{target} can't be written: {error.strerror or error}") from None


def _put(target: Path, parts: Iterable[bytes]) -> "BackupSummary":
    """Writes the backup and reads it again; it is on disk on return. Until then it has a name of its own, because
    others may save to the same FILE. Only its owner may read it: it holds the environments of tasks.
    """
    import tempfile

    from orion.process.durable import sync_directory
    from orion.process.offline import inspect

    descriptor, name = tempfile.mkstemp(".partial", f".{target.name[:_NAME_CHARACTERS]}.", target.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.writelines(parts)
            out.flush()
            os.fsync(out.fileno())
        summary = inspect(partial)
        partial.replace(target)
        sync_directory(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    return summary


@snapshot.command("inspect", context_settings=SETTINGS)
@click.argument("file", type=_FILE)
@output("table", "json")
def inspect(file: Path, form: str) -> None:
    """Say what is in a saved FILE, and whether it is whole."""
    from orion.cli.shared import output
    from orion.process.offline import inspect as look

    summary = look(file)
    if form == "json":
        output.print_json(summary)
        return
    for name, value in _lines(summary):
        click.echo(f"{name:<12}{value}")
    click.echo("checksum good")


def _lines(summary: "BackupSummary") -> tuple[tuple[str, str], ...]:
    return (
        ("cluster", summary.cluster),
        ("index", f"{summary.index} of term {summary.term}"),
        ("saved", f"{moment_text(summary.at_ms)} by {summary.node}, orion {summary.version}"),
        ("nodes", str(summary.nodes)),
        ("jobs", str(summary.jobs)),
        ("tasks", str(summary.tasks)),
        ("configs", str(summary.configs)),
        ("size", bytes_text(summary.size)),
    )


def _contents(summary: "BackupSummary") -> str:
    counts = ((summary.jobs, "job"), (summary.tasks, "task"), (summary.nodes, "node"), (summary.configs, "config"))
    return ", ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in counts)


@snapshot.command("restore", context_settings=SETTINGS)
@click.argument("file", type=_FILE)
@click.option(
    "--id", "name", type=NodeName(), help="The name of the new cluster's first node.  [default: the host's name]"
)
@click.option("--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="[default: as of 'orion --id ID']")
def restore(file: Path, name: str | None, data_dir: Path | None) -> None:
    """Begin a new cluster with what was saved in FILE, in a data directory that is empty. No node may run on it.

    Jobs and configs are there; its nodes join anew, and every task is placed again.
    """
    from orion.process.offline import restore as put

    name = name or os.uname().nodename
    data_dir = (data_dir or Path(default_data_dir(name))).absolute()
    summary = put(file, data_dir, NodeId(name))
    click.echo(f"{data_dir}: {_contents(summary)}, as of {moment_text(summary.at_ms)}; checksum good")
    click.echo(f"start it:  orion --id {name} --data-dir {data_dir}")
    click.echo("then the others with --join, each with an empty data directory.")
    click.echo(
        "Containers of the former cluster are not this one's. Where they still run:  "
        f"docker rm -f $(docker ps -aq --filter label=dev.orion.cluster={summary.cluster})"
    )
