"""`orion config`: values under keys."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.asking import asks, complete_config, output

if TYPE_CHECKING:
    from orion.client import Client

_if_version = click.option(
    "--if-version",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only if it is at this version; 0: only if it does not exist.",
)


@click.group(context_settings=SETTINGS)
def config() -> None:
    """Keep small values for tasks to read: settings, certificates, locks.

    A task gets one as a variable or as a file, as in orion run -c KEY=NAME or -c KEY=/PATH.
    """


@config.command("put", context_settings=SETTINGS)
@click.argument("key", shell_complete=complete_config)
@click.argument("value", required=False)
@_if_version
@asks
def put(client: "Client", key: str, value: str | None, if_version: int | None) -> None:
    """Set KEY to VALUE; @FILE takes a file's bytes, - or nothing what comes on standard input.

    Prints the new version.
    """
    view = client.put_config(key, _bytes(value), if_version=if_version)
    click.echo(view.version)


def _bytes(value: str | None) -> bytes:
    if value is None and sys.stdin.isatty():
        raise click.UsageError("give a value, @FILE, or - for standard input")
    if value is None or value == "-":
        return sys.stdin.buffer.read()
    if not value.startswith("@"):
        return value.encode("utf-8", "surrogateescape")
    try:
        return Path(value[1:]).read_bytes()
    except OSError as error:
        raise click.ClickException(f"{value[1:]} can't be read: {error.strerror}") from None


@config.command("get", context_settings=SETTINGS)
@click.argument("key", shell_complete=complete_config)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def get(client: "Client", key: str, stale: bool) -> None:
    """Write the value of KEY to standard output, byte for byte."""
    value = client.config(key, stale=stale).value
    sys.stdout.buffer.write(value)
    sys.stdout.buffer.flush()


@config.command("ls", context_settings=SETTINGS)
@click.argument("prefix", default="", shell_complete=complete_config)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@output("table", "json")
@asks
def ls(client: "Client", prefix: str, stale: bool, form: str) -> None:
    """List keys, all or those that begin with PREFIX."""
    from orion.cli import show
    from orion.model.resources import bytes_text

    found = client.configs(prefix, stale=stale)
    if form == "json":
        show.print_json(found)
        return
    rows = [(c.key, str(c.version), bytes_text(c.size), show.age_text(c.changed_at)) for c in found]
    show.print_table(("KEY", "VERSION", "SIZE", "CHANGED"), rows, cut=False)


@config.command("rm", context_settings=SETTINGS)
@click.argument("key", nargs=-1, required=True, shell_complete=complete_config)
@_if_version
@asks
def rm(client: "Client", key: tuple[str, ...], if_version: int | None) -> None:
    """Delete keys."""
    if if_version is not None and len(key) > 1:
        raise click.UsageError("--if-version is for one key")
    for name in key:
        client.delete_config(name, if_version=if_version)
        click.echo(name)
