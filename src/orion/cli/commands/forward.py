"""`orion port-forward`."""

import sys
from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, complete_task

if TYPE_CHECKING:
    from orion.client import Client

_EXAMPLES = """\b
Examples:
  orion port-forward db 5432
  orion port-forward web/1 8080:80
"""


@command("port-forward", epilog=_EXAMPLES)
@click.argument("task", shell_complete=complete_task)
@click.argument("ports", nargs=-1, required=True, metavar="[LOCAL:]PORT...")
@click.option("--bind", default="127.0.0.1", metavar="ADDRESS", help="Listen here.", show_default=True)
@asks
def port_forward(client: "Client", task: str, ports: tuple[str, ...], bind: str) -> None:
    """Bring ports of a task's container to this machine, until Ctrl-C.

    The container need not publish them. A local port of 0 is any that is free.
    """
    from orion.cli.app import say
    from orion.cli.shared.jobs import running_of
    from orion.client.forwarding import Forwarding
    from orion.model.errors import Refused
    from orion.model.hosts import forwarded_ports

    try:
        wanted = [forwarded_ports(text) for text in ports]
    except Refused as error:
        raise click.UsageError(error.detail) from None
    running_of(client, task)  # a name that is wrong is said at once
    forwarding = Forwarding(client, task, wanted, bind, say)
    for here, port in forwarding.ports:
        click.echo(f"{bind}:{here} -> {task}:{port}")
    sys.stdout.flush()
    forwarding.serve()
