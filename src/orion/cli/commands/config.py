"""`orion config`: values under keys."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from orion.cli.app import SETTINGS, say
from orion.cli.shared.options import asks, complete_config, no_trunc, output
from orion.cli.shared.table import Column, keep_end

if TYPE_CHECKING:
    from orion.client import Client, ConfigView

_MOST_NAMES = 5  # of those that a warning names
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
@click.option("--folder", is_flag=True, help="The value is a tar of a folder, as of tar c.")
@asks
def put(client: "Client", key: str, value: str | None, if_version: int | None, folder: bool) -> None:
    """Set KEY to VALUE; @FILE takes a file's bytes, - what comes on standard input.

    @FOLDER, or ./FOLDER/ with its dot and slashes, takes a folder with all that is in it, of up to 1 MiB: a task
    gets it below a path.

    A KEY is at most 512 letters, digits, '.', '_' and '-', in parts with one '/' between them; a VALUE has at most
    1 MiB. Containers keep what they have: a change reaches only those that are made afterwards.

    Prints the new version.
    """
    place = _folder(value)
    if place is None:
        view = client.put_config(key, _bytes(value), if_version=if_version, folder=folder)
    else:
        from orion.cli.shared.folders import packed

        view = client.put_config(key, packed(place), if_version=if_version, folder=True)
    click.echo(view.version)


def _folder(value: str | None) -> Path | None:
    """Returns the folder that is meant; None for any other value."""
    text = value or ""
    if text.startswith(("./", "../")) and text.endswith("/"):
        if not Path(text).is_dir():
            raise click.ClickException(f"there is no folder {text}; as a value, give it by - on standard input")
        return Path(text)
    return Path(text[1:]) if text.startswith("@") and text[1:] and Path(text[1:]).is_dir() else None


def _note_a_file(value: str) -> None:
    from orion.cli.shared.output import note

    with contextlib.suppress(OSError, ValueError):  # most values are no path at all
        if Path(value).is_file():
            note(f"the value is the text {value!r}: '@{value}' takes what is in that file")


def _bytes(value: str | None) -> bytes:
    if value is None:  # not what happens to be there: under cron or ssh -n that is nothing
        raise click.UsageError("give a value, @FILE, or - for standard input")
    if value == "-":
        return _at_most_one_value(sys.stdin.buffer, "standard input")
    if not value.startswith("@"):
        _note_a_file(value)
        return value.encode("utf-8", "surrogateescape")
    try:
        with Path(value[1:]).open("rb") as file:
            return _at_most_one_value(file, value[1:])
    except OSError as error:
        raise click.ClickException(f"{value[1:]} can't be read: {error.strerror}") from None


def _at_most_one_value(file: IO[bytes], name: str) -> bytes:
    """Reads at most one byte more than a value may have, because a file may have no end."""
    from orion.model.configs import MAX_VALUE_BYTES

    data = file.read(MAX_VALUE_BYTES + 1)
    if len(data) > MAX_VALUE_BYTES:
        raise click.ClickException(f"{name} holds more than {MAX_VALUE_BYTES:,} bytes, the most that a config has")
    return data


@config.command("get", context_settings=SETTINGS)
@click.argument("key", shell_complete=complete_config)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="Write a folder here: new, or empty.")
@output("bytes", "json")
@asks
def get(client: "Client", key: str, stale: bool, to: Path | None, form: str) -> None:
    """Write the value of KEY to standard output, byte for byte; a folder as a tar.

    -o json writes it with its version and times, as text, or in base64 where it is not UTF-8: "encoding" says so.
    """
    if form == "json":
        from orion.cli.shared import output

        value, view = client.config_and_view(key, stale=stale)
        output.print_json(_with_value(view, value))
        return
    found = client.config(key, stale=stale)
    if to is not None:
        from orion.cli.shared.folders import unpack

        if not found.folder:
            raise click.ClickException(f"{key} is no folder: write it with orion config get {key} > FILE")
        unpack(found.value, to)
        return
    sys.stdout.buffer.write(found.value)
    sys.stdout.buffer.flush()


def _with_value(view: "ConfigView", value: bytes) -> dict[str, Any]:
    import base64

    import msgspec

    try:
        encoding, text = "utf-8", value.decode()
    except UnicodeDecodeError:
        encoding, text = "base64", base64.b64encode(value).decode()
    return {**msgspec.to_builtins(view), "encoding": encoding, "value": text}


_COLUMNS = (Column("KEY", 16, keep_end), Column("VERSION"), Column("SIZE"), Column("CHANGED", spare=True))


@config.command("ls", context_settings=SETTINGS)
@click.argument("prefix", default="", shell_complete=complete_config)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@output("table", "json")
@no_trunc
@asks
def ls(client: "Client", prefix: str, stale: bool, form: str, no_trunc: bool) -> None:
    """List keys, all or those that begin with PREFIX."""
    from orion.cli.shared import output
    from orion.model.resources import bytes_text

    found = client.configs(prefix, stale=stale)
    if form == "json":
        output.print_json(found)
        return
    rows = [(c.key, str(c.version), bytes_text(c.size), output.age_text(c.changed_at)) for c in found]
    output.print_table(_COLUMNS, rows, no_trunc=no_trunc)


@config.command("rm", context_settings=SETTINGS)
@click.argument("key", nargs=-1, required=True, shell_complete=complete_config)
@_if_version
@click.option("--force", is_flag=True, help="Also what tasks still use, without asking.")
@asks
def rm(client: "Client", key: tuple[str, ...], if_version: int | None, force: bool) -> int:
    """Delete keys. Asks first where tasks still use one."""
    from orion.model.errors import Refused

    if if_version is not None and len(key) > 1:
        raise click.UsageError("--if-version is for one key")
    if not force and not _agreed(client, key):
        say("nothing was deleted; --force deletes what is in use, too")
        return 1
    code = 0
    for name in key:
        try:
            client.delete_config(name, if_version=if_version)
        except Refused as error:  # the others can still be deleted
            say(error.detail)
            code = 1
        else:
            click.echo(name)
    return code


def _agreed(client: "Client", keys: Sequence[str]) -> bool:
    """Returns True when all `keys` may be deleted: no task uses them, or the person at the terminal agrees."""
    from orion.cli.shared.waiting import ENDED

    tasks = [task for task in client.tasks() if task.stopped or task.state not in ENDED]
    in_use = False
    for key in dict.fromkeys(keys):
        users = sorted({task.name for task in tasks if key in {use.key for use in task.configs}})
        if users:
            in_use = True
            whose = "its" if len(users) == 1 else "their"
            say(f"{key} is still used by {_names(users)}: {whose} tasks can't start again without it")
    return not in_use or (sys.stdin.isatty() and click.confirm("Delete all the same?", err=True))


def _names(users: Sequence[str]) -> str:
    more = f" and {len(users) - _MOST_NAMES} more" if len(users) > _MOST_NAMES else ""
    return f"{', '.join(users[:_MOST_NAMES])}{more}"
