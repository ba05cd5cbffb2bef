"""`orion front-door`."""

import json
from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks
from orion.cli.shared.types import Port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orion.client import Client

IMAGE = "orion/front-door"
TLS = ("internal", "acme", "off")
CA = "front-door/ca"  # the configs' keys, with .crt and .key
_STOP_GRACE_S = 40  # more than Caddy takes for requests under way (front_door/caddy.py)
_MOST_ADDRESSES = 5
_CHECK_EVERY_S = 5
_CHECK_S = 3.0

_tls = click.option(
    "--tls",
    type=click.Choice(TLS),
    default=TLS[0],
    show_default=True,
    help="Who signs certificates: a CA of Caddy's own, Let's Encrypt (or --acme-directory), nobody: plain HTTP.",
)
_email = click.option("--email", default="", metavar="ADDRESS", help="With --tls acme: who is told of trouble.")
_directory = click.option("--acme-directory", default="", metavar="URL", help="With --tls acme: another CA.")
_http_port = click.option("--http-port", type=Port(), default=80, show_default=True)
_https_port = click.option("--https-port", type=Port(), default=443, show_default=True)


@click.group(name="front-door", invoke_without_command=True, context_settings=SETTINGS)
@click.option("--image", default=IMAGE, show_default=True, help="With Caddy and orion in it; docs/front-door.md.")
@_tls
@_email
@_directory
@click.option("--ca", is_flag=True, help=f"With --tls internal: sign by the configs {CA}.crt and {CA}.key.")
@_http_port
@_https_port
@asks
def front_door(
    client: "Client",
    image: str,
    tls: str,
    email: str,
    acme_directory: str,
    ca: bool,
    http_port: int,
    https_port: int,
) -> None:
    """Print a job by which requests reach other jobs by host names, with TLS: Caddy on each node.

    `orion front-door | orion deploy -` runs it. A job's label orion.host is its host name, or several; orion.port
    the port of its containers, which is else the first that it publishes, or 80.
    """
    if ca and tls != "internal":
        raise click.UsageError("--ca is for --tls internal")
    addresses = [node.api_address for node in client.nodes() if node.api_address][:_MOST_ADDRESSES]
    options = {
        "--tls": tls,
        "--email": email,
        "--acme-directory": acme_directory,
        "--http-port": "" if http_port == 80 else str(http_port),
        "--https-port": "" if https_port == 443 else str(https_port),
    }
    words = [word for option, value in options.items() if value for word in (option, value)]
    port = http_port if tls == "off" else https_port
    for line in _job(image, words, addresses, port, ca=ca):
        click.echo(line)


def _job(image: str, words: list[str], addresses: list[str], port: int, *, ca: bool) -> "Iterator[str]":
    """Yields the lines of a job file. A text of JSON is one of TOML."""
    yield 'name = "front-door"'
    yield 'kind = "system"'
    yield f"image = {json.dumps(image)}"
    yield f"command = {json.dumps(['orion', 'front-door', 'run', *words])}"
    yield 'networkMode = "host"'
    yield 'restartPolicy = "always"'
    yield f"stopGraceSeconds = {_STOP_GRACE_S}"
    yield ""
    yield "[env]"
    yield f"ORION_ADDR = {json.dumps(','.join(addresses))}"
    yield ""
    yield "[update]"
    yield 'order = "stop-first"  # two can\'t have its ports'
    yield ""
    yield "[healthCheck]"
    yield f'exec = {{command = ["orion", "front-door", "check", "{port}"]}}'
    yield f"intervalSeconds = {_CHECK_EVERY_S}"
    for suffix in ("crt", "key") if ca else ():
        yield ""
        yield "[[configs]]"
        yield f'key = "{CA}.{suffix}"'
        yield f'path = "/etc/{CA}.{suffix}"'
        yield 'mode = "0600"'


@front_door.command("run", context_settings=SETTINGS)
@_tls
@_email
@_directory
@_http_port
@_https_port
@click.option("--caddy", default="caddy", metavar="PROGRAM", show_default=True)
@asks
def run(
    client: "Client", tls: str, email: str, acme_directory: str, http_port: int, https_port: int, caddy: str
) -> None:
    """Run Caddy, and have it follow the cluster's jobs. For the container of that job."""
    from orion.front_door.caddy_config import Tls
    from orion.front_door.run import run

    settings = {
        "tls": Tls(tls),
        "email": email,
        "directory": acme_directory,
        "http_port": http_port,
        "https_port": https_port,
    }
    run(client, settings, caddy)


@front_door.command("check", context_settings=SETTINGS)
@click.argument("port", type=Port())
def check(port: int) -> None:
    """Say whether Caddy answers at PORT of this machine: the health check of that job."""
    import socket

    from orion.model.errors import Unavailable

    try:
        socket.create_connection(("127.0.0.1", port), _CHECK_S).close()
    except OSError as error:
        raise Unavailable(f"nobody answers at port {port}: {error.strerror or error}") from None
