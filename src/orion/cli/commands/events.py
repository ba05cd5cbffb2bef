"""`orion events`."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, complete_task, output
from orion.cli.shared.types import Since

if TYPE_CHECKING:
    from orion.client import Client, EventView

FIRST = "0.0"
RETRY_S = 1.0


@command()
@click.argument("name", nargs=-1, shell_complete=complete_task)
@click.option("-f", "--follow", is_flag=True, help="Go on as more happens.")
@click.option("--new", is_flag=True, help="With -f: only what happens from now on.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="EVENTS", help="Only the last so many.")
@click.option("--since", type=Since(), default="", metavar="TIME", help="From how long ago (10m), or from a time.")
@click.option(
    "-t", "--timestamps", is_flag=True, help="Times to the millisecond, in UTC, as 'orion logs -t' has them."
)
@output("text", "json")
@asks
def events(
    client: "Client",
    name: tuple[str, ...],
    follow: bool,
    new: bool,
    tail: int | None,
    since: str,
    timestamps: bool,
    form: str,
) -> None:
    """Tell what has happened in the cluster.

    With NAMEs of nodes, tasks, jobs or volumes: only what happened to those.
    """
    from orion.cli.app import say
    from orion.model.errors import Unavailable

    if new and tail is not None:
        raise click.UsageError("--new and --tail exclude each other: give one")
    after, told = "" if new and follow else FIRST, ""
    while True:
        try:
            after = after or _newest(client)
            # Where some were told, it goes on behind those.
            last = tail if after == FIRST else None
            for event in client.events(after, follow=follow, since=since, tail=last, subjects=name):
                told = ""
                after = event.id if event else after
                _tell(event, form, timestamps=timestamps)
        except Unavailable as error:
            if not follow:
                raise
            if error.detail != told:
                told = error.detail
                say(f"{told}; trying again")
        if not follow:
            return
        time.sleep(RETRY_S)


def _newest(client: "Client") -> str:
    """Returns the id of the newest event. Events after it are new, whichever node is asked later."""
    last = [event.id for event in client.events(FIRST, follow=False, tail=1) if event]
    return last[-1] if last else FIRST


def _tell(event: "EventView | None", form: str, *, timestamps: bool) -> None:
    import msgspec

    if event is None:
        click.echo("orion: some events between are forgotten", err=True)
    elif form == "json":
        click.echo(msgspec.json.encode(event))
    elif timestamps:
        click.echo(f"{event.at} {event.text}")
    else:
        at = datetime.fromisoformat(event.at).astimezone()
        click.echo(f"{click.style(f'{at:%Y-%m-%d %H:%M:%S}', dim=True)}  {event.text}")
