"""`orion events`."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orion.cli.asking import asks, command, output

if TYPE_CHECKING:
    from orion.client import Client, EventView

FIRST = "0.0"
RETRY_S = 1.0


@command()
@click.option("-f", "--follow", is_flag=True, help="Go on as more happens.")
@click.option("--new", is_flag=True, help="With -f: only what happens from now on.")
@output("text", "json")
@asks
def events(client: "Client", follow: bool, new: bool, form: str) -> None:
    """Tell what has happened in the cluster."""
    from orion.cli.app import say
    from orion.model.errors import Unavailable

    after = "" if new and follow else FIRST
    told = ""
    while True:
        try:
            for event in client.events(after, follow=follow):
                told = ""
                after = event.id if event else after
                _tell(event, form)
        except Unavailable as error:
            if not follow:
                raise
            if error.detail != told:
                told = error.detail
                say(f"{told}; trying again")
        if not follow:
            return
        time.sleep(RETRY_S)


def _tell(event: "EventView | None", form: str) -> None:
    import msgspec

    if event is None:
        click.echo("orion: some events between are forgotten", err=True)
    elif form == "json":
        click.echo(msgspec.json.encode(event))
    else:
        at = datetime.fromisoformat(event.at).astimezone()
        click.echo(f"{click.style(f'{at:%Y-%m-%d %H:%M:%S}', dim=True)}  {event.text}")
