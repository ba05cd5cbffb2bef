"""`orion plan`: what a deploy of files would change."""

from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, output

if TYPE_CHECKING:
    from orion.client import Client


@command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@output("text", "json")
@asks
def plan(client: "Client", files: tuple[str, ...], form: str) -> int:
    """Show what a deploy of files would change, and change nothing.

    Fields old -> new, tasks that start and stop, in which order, and what would wait for room, if nothing else
    changes meanwhile and all that starts works. `orion deploy --plan TOKEN` does that and nothing else. The exit
    code is 1 or 2 when something is refused.
    """
    from orion.cli.shared.jobfiles import load_files
    from orion.cli.shared.output import print_json
    from orion.cli.shared.plans import ask_all, show, token_of

    plans, code = ask_all(client, load_files(files))
    if form == "json":
        print_json(plans)
        return code
    show(plans)
    if code == 0 and any(each.kind != "unchanged" for each in plans):
        click.echo(f"\norion deploy --plan {token_of(plans)} {click.format_filename(' '.join(files))}")
    return code
