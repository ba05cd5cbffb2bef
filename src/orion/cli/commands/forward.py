"""`orion port-forward`."""

import contextlib
import selectors
import socket
import sys
import threading
from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, complete_task

if TYPE_CHECKING:
    from orion.client import Client, ContainerSession

READ_BYTES = 64 * 1024
MOST_CONNECTIONS = 64


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
def port_forward(client: "Client", task: str, ports: tuple[str, ...], bind: str) -> int:
    """Bring ports of a task's container to this machine, until Ctrl-C.

    The container need not publish them. A local port of 0 is any that is free.
    """
    from orion.cli.shared.jobs import running_of

    wanted = [_ports(text) for text in ports]
    running_of(client, task)  # a name that is wrong is said at once
    room = threading.BoundedSemaphore(MOST_CONNECTIONS)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for local, port in wanted:
            listener = stack.enter_context(_listener(bind, local))
            selector.register(listener, selectors.EVENT_READ, port)
            click.echo(f"{bind}:{listener.getsockname()[1]} -> {task}:{port}")
        sys.stdout.flush()
        while True:
            for key, _ in selector.select():
                room.acquire()
                connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                threading.Thread(
                    target=_serve, args=(client.again(), task, key.data, connection, room), daemon=True
                ).start()


def _ports(text: str) -> tuple[int, int]:
    from orion.model.hosts import port_number

    local, colon, port = text.rpartition(":")
    number = port_number(port)
    here = (0 if local == "0" else port_number(local) or -1) if colon else number
    if not number or here < 0:
        raise click.UsageError(f"{text!r} are no ports: write LOCAL:PORT, as in 8080:80")
    return here, number


def _listener(bind: str, port: int) -> socket.socket:
    try:
        return socket.create_server((bind, port))
    except OSError as error:
        raise click.ClickException(f"can't listen on {bind}:{port}: {error.strerror or error}") from None


def _serve(
    client: "Client", task: str, port: int, connection: socket.socket, room: threading.BoundedSemaphore
) -> None:
    from orion.cli.app import say
    from orion.model.errors import OrionError

    try:
        with client, connection, client.connect(task, port) as session:
            _carry(session, connection)
    except OrionError as error:
        say(error.detail)
    except OSError as error:  # of whoever connected here
        say(f"a connection to port {port} broke: {error.strerror or error}")
    finally:
        room.release()


def _carry(session: "ContainerSession", connection: socket.socket) -> None:
    source = connection.fileno()
    while session.exit_code is None:
        ready = session.wait((source,) if source >= 0 and not session.full else ())
        if source in ready:
            if data := connection.recv(READ_BYTES):
                session.write(data)
            else:
                session.end_input()
                source = -1
        if session.fileno() in ready:
            for output in session.outputs():
                connection.sendall(output.data)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
