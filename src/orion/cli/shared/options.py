"""Options of commands that ask a node: the node, the form of the output, and completion of ids."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.types import Port

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orion.client import Client
    from orion.process.running import RunningNode

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_PORT = 8000
DEFAULT_ADDRESS = f"localhost:{DEFAULT_PORT}"
_MOST_NODES = 3  # that an error names
COMPLETION_S = 1.0  # a shell that waits longer feels stuck
LOOK_S = 1.0  # for a node of this machine to say which cluster it is of


def asks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --addr and --port, and gives the command a Client as its first argument."""

    @click.option(
        "--addr",
        envvar="ORION_ADDR",
        metavar="HOST:PORT",
        help=f"The node to ask; of several, separated by commas, the first that answers. Also ORION_ADDR.  "
        f"[default: the node that runs on this machine, else {DEFAULT_ADDRESS}]",
    )
    @click.option("--port", type=Port(), help="The node on this machine with this API port.")
    @functools.wraps(command)
    def with_client(*args: Any, addr: str | None, port: int | None, **values: Any) -> Any:
        from orion.client import Client
        from orion.model.errors import NoMajority

        del addr, port  # read from the context, which has a group's too
        context = click.get_current_context()
        if context.invoked_subcommand is not None:
            return None  # a group: its subcommand asks, or, as raft recover, needs no node at all
        with Client(_address(context)) as client:
            try:
                return command(client, *args, **values)
            except NoMajority as error:
                hint = "; reads work with --stale" if "stale" in values else ""
                raise NoMajority(f"{error.detail}{hint}") from None

    return with_client


def _address(ctx: click.Context) -> str:
    """Returns the address of the node that this command names, or its group (orion nodes --port 8001 rm node3)."""
    addr, port = ctx.params.get("addr"), ctx.params.get("port")
    if port is None and not _typed(ctx, "addr") and ctx.parent and "addr" in ctx.parent.params:
        return _address(ctx.parent)
    if port is None:
        return addr or _found_here(None) or DEFAULT_ADDRESS
    if _typed(ctx, "addr"):
        raise click.UsageError("--addr and --port both name the node to ask: give one")
    return _found_here(port) or f"localhost:{port}"


def _found_here(port: int | None) -> str:
    """Returns the address of the node that runs on this machine, with API port `port` unless that is None; "" when
    none is known. Of several nodes of one cluster it returns all, so that the first that answers is asked. Raises
    UsageError when they are of several clusters.
    """
    from orion.model.node import LOOPBACKS, address_text
    from orion.process import running

    nodes = [node for node in running.find() if port in (None, node.port)]
    if len(nodes) > 1:
        # They may be of different clusters: only the one that localhost:8000 means is taken without asking.
        usual = [node for node in nodes if node.port == (port or DEFAULT_PORT)]
        nodes = (usual if len(usual) == 1 else [node for node in usual if node.host in LOOPBACKS]) or nodes
    if len(nodes) <= 1:
        return "".join(address_text(node.host, node.port) for node in nodes)
    if port is None and (addresses := _of_one_cluster(nodes)):
        return ",".join(addresses)
    ports = [node.port for node in nodes]
    flags = [
        f"--port {node.port}" if ports.count(node.port) == 1 else f"--addr {address_text(node.host, node.port)}"
        for node in nodes
    ]
    shown = [f"{flag} ({node.node})" for flag, node in zip(flags, nodes, strict=True)]
    raise click.UsageError(
        f"{len(nodes)} nodes run on this machine: say which, as in {' or '.join(shown[:_MOST_NODES])}"
    )


def _of_one_cluster(nodes: "list[RunningNode]") -> list[str]:
    """Returns the nodes' addresses if all answer and are of one cluster, else none: a silent one may be of
    another.
    """
    from orion.client import Client, OrionError
    from orion.model.node import address_text

    addresses = [address_text(node.host, node.port) for node in nodes]
    clusters = set()
    for address in addresses:
        try:
            with Client(address, timeout_s=LOOK_S) as client:
                clusters.add(client.raft().cluster)
        except OrionError:
            return []
    return addresses if len(clusters) == 1 and "" not in clusters else []


def _typed(ctx: click.Context, name: str) -> bool:
    """Returns True when the option is on the command line itself, not in the environment."""
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def output(*forms: str) -> Callable[[F], F]:
    """Adds -o with one of `forms`, as `form`; the first is the default."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(forms),
        default=forms[0],
        help="How to print it.",
        show_choices=True,
    )


def no_trunc(command: F) -> F:
    """Adds --no-trunc, for commands that print a table."""
    text = "Shorten nothing: a row may take several lines of the terminal."
    return click.option("--no-trunc", is_flag=True, help=text)(command)


def command(
    name: str | None = None, *, settings: Mapping[str, Any] | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Returns click's decorator with the settings of all commands and these `settings`."""
    return click.command(name, context_settings={**SETTINGS, **(settings or {})}, **attributes)


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    del param
    return _complete(
        ctx, incomplete, lambda client: [(t.id, f"{t.state} {t.image}") for t in client.tasks(stale=True)]
    )


def complete_node(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    del param
    return _complete(
        ctx, incomplete, lambda client: [(n.name, f"{n.status} {n.role}") for n in client.nodes(stale=True)]
    )


def complete_config(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    del param
    return _complete(
        ctx, incomplete, lambda client: [(c.key, f"{c.size} bytes") for c in client.configs(incomplete, stale=True)]
    )


def _complete(
    ctx: click.Context, incomplete: str, ask: "Callable[[Client], list[tuple[str, str]]]"
) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    from orion.client import Client, OrionError

    try:
        with Client(_address(ctx), timeout_s=COMPLETION_S) as client:
            found = ask(client)
    except (OrionError, click.UsageError):
        return []
    return [CompletionItem(name, help=text) for name, text in found if name.startswith(incomplete)]
