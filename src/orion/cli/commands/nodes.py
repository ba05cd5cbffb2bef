"""`orion nodes`, `members`, `drain` and `ready`."""

from typing import TYPE_CHECKING

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import asks, command, complete_node, no_trunc, output
from orion.cli.shared.table import Column
from orion.cli.shared.types import LabelChange
from orion.model.counts import several

if TYPE_CHECKING:
    from orion.client import Client, NodeView
    from orion.model.api.volumes import VolumeView


_MEMBERS = (
    Column("NAME", 12),
    Column("ROLE"),
    Column("STATUS"),
    Column("ADDRESS", 21),
    Column("VERSION", spare=True),
)


@command()
@output("table", "json")
@no_trunc
@asks
def members(client: "Client", form: str, no_trunc: bool) -> None:
    """Show who is in the cluster and who is alive, as this node sees it."""
    from orion.cli.shared import output

    found = client.nodes(stale=True)  # to be had without a quorum, when it is wanted most
    if form == "json":
        keys = ("name", "role", "status", "api_address", "version")
        output.print_json([{_camel(key): getattr(node, key) for key in keys} for node in found])
    else:
        rows = [(node.name, node.role, node.status, node.api_address, node.version) for node in found]
        output.print_table(_MEMBERS, rows, no_trunc=no_trunc)


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.title() for word in rest)


@click.group(invoke_without_command=True, context_settings=SETTINGS)
@output("table", "wide", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def nodes(client: "Client", form: str, no_trunc: bool, stale: bool) -> None:
    """List nodes and what they have to give; label or forget one."""
    from orion.cli.shared import output

    found = client.nodes(stale=stale)
    if form == "json":
        output.print_json(found)
        return
    output.print_table(_NODES, map(_row, found), wide=form == "wide", no_trunc=no_trunc)


_NODES = (
    Column("NAME", 16),
    Column("STATUS"),
    Column("ROLE"),
    Column("CPU"),
    Column("MEMORY"),
    Column("DISK", spare=True),
    Column("TASKS"),
    Column("LABELS", 16, wide=True),
    Column("REASON", 24, blank=""),
)


def _row(node: "NodeView") -> tuple[str, ...]:
    from orion.model.resources import amount_text

    return (
        node.name,
        node.status,
        node.role,
        f"{node.cpu.given:g} of {node.cpu.total:g}",
        amount_text(node.memory.given, node.memory.total, binary=True),
        amount_text(node.disk.given, node.disk.total, binary=True),
        str(node.tasks),
        " ".join(f"{key}={value}" for key, value in node.labels.items()),
        node.reason,
    )


@nodes.command("inspect", context_settings=SETTINGS)
@click.argument("node", shell_complete=complete_node)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@output("json")
@asks
def inspect(client: "Client", node: str, stale: bool, form: str) -> None:
    """Show all that is known of a node, as JSON."""
    from orion.cli.shared import output

    del form  # there is but one; whoever writes -o json everywhere may do so here
    output.print_json(client.node(node, stale=stale))


@nodes.command("label", context_settings=SETTINGS)
@click.argument("node", shell_complete=complete_node)
@click.argument("label", nargs=-1, required=True, type=LabelChange(), metavar="NAME=VALUE|NAME-...")
@asks
def label(client: "Client", node: str, label: tuple[tuple[str, str | None], ...]) -> None:
    """Set labels of a node (disk=ssd) or take them away (disk-), while it runs.

    Tasks are placed by them from now on; what runs stays where it is. What is said here stands over the node's own
    --label, over its restarts too, until it is said otherwise.
    """
    changes = dict(label)
    if len(changes) < len(label):
        raise click.UsageError("a label is given twice")
    view = client.label_node(node, changes)
    click.echo(f"{view.name} has {' '.join(f'{key}={value}' for key, value in view.labels.items())}")


@nodes.command("rm", context_settings=SETTINGS)
@click.argument("node", nargs=-1, required=True, shell_complete=complete_node)
@asks
def remove(client: "Client", node: tuple[str, ...]) -> None:
    """Forget nodes that are dead, stopped, or drained. One that still runs ends then."""
    for name in node:
        client.remove_node(name)
        click.echo(name)


@command()
@click.argument("node", shell_complete=complete_node)
@click.option("--undo", is_flag=True, help="Give it work again: the same as 'orion ready'.")
@click.option("--wait", is_flag=True, help="Wait until none of its tasks is left.")
@click.option("--move-volumes", is_flag=True, help="Have its volumes go to other nodes, with their tasks.")
@click.option("--stop", is_flag=True, help="Then stop the node: what a reboot wants. Its program ends, well.")
@asks
def drain(client: "Client", node: str, undo: bool, wait: bool, move_volumes: bool, stop: bool) -> int:
    """Move a node's tasks elsewhere, before work on it.

    Those with volumes there end, and wait for the node, or go with their volumes.
    """
    if undo and (stop or wait or move_volumes):
        raise click.UsageError("--undo takes back a drain; it goes with no other option")
    if undo:
        _make_ready(client, node)
        return 0
    from orion.cli.app import INTERRUPTED, say

    view = client.drain(node)
    try:
        stays = move_volumes and _move_volumes(client, node, wait=stop or wait)
        lost = _wait_until_empty(client, node) if stop or wait else ""
    except KeyboardInterrupt:
        left = ", and is not stopped" if stop else ""
        say(f"{node} goes on without you{left}: 'orion nodes' shows how far it is, 'orion ready {node}' ends it")
        return INTERRUPTED
    if lost:
        say(f"{lost}{'; it is not stopped' if stop else ''}")
        return 1
    if stop or wait:
        code = _tell_homeless(client, node) or int(stays)
        if stop and stays:
            say(f"{node} is not stopped: it has volumes that were to move")
            return 1
        return _stop(client, node) or code if stop else code
    if view.tasks:
        click.echo(
            f"{view.name} gets no more work; {several(view.tasks, 'task')} to move,"
            " 'orion nodes' shows how far it is"
        )
    else:
        click.echo(f"{view.name} gets no more work; it has none left")
    return int(stays)


def _move_volumes(client: "Client", node: str, *, wait: bool) -> bool:
    """Has all of them go that can. Returns whether one stays, which has been said then."""
    from orion.cli.app import say
    from orion.cli.commands.volume import follow
    from orion.model.errors import Refused

    stays = False
    begun: list[VolumeView] = []
    for each in client.volumes():
        if each.node_id == node and each.kind == "host":
            try:
                begun.append(client.move_volume(each.name))
            except Refused as error:
                say(error.detail)
                stays = True
    for view in begun if wait else ():
        try:
            follow(client, view)
        except Refused as error:
            say(error.detail)
            stays = True
    return stays


STOP_S = 30.0  # handing over leadership, and what is under way
LOOK_S = 0.2


def _stop(client: "Client", node: str) -> int:
    """Stops a drained node and waits until the others show it as left."""
    import time

    from orion.cli.app import say
    from orion.model.errors import Unavailable

    view = client.stop_node(node)
    deadline = time.monotonic() + STOP_S
    try:
        while view.status in _RUNS:
            if time.monotonic() >= deadline:
                say(f"{node} has not stopped within {STOP_S:g} s, or was started again at once, by systemd perhaps")
                return 1
            time.sleep(LOOK_S)
            view = client.node(node, stale=True)  # without it there may be no majority
    except Unavailable:
        pass  # who was asked is the one that stops, and nobody else was named
    click.echo(f"{node} has stopped. Once it is started again, 'orion ready {node}' gives it work")
    return 0


_RUNS = frozenset({"alive", "suspect", "draining", "drained"})


def _wait_until_empty(client: "Client", node: str) -> str:
    """Returns "" once none of its tasks is left, else why they will not leave it by this drain."""
    from orion.cli.shared.output import note

    index, told, why = 0, 0, ""
    while True:
        view, index = client.poll_node(node, index)
        if why_not := _why_no_drain(view):
            return why_not
        if view.tasks and view.reason != why:
            why = view.reason
            note(f"{view.name}: {why}")
        if not view.tasks:
            click.echo(f"{view.name} gets no more work; it has none left")
            return ""
        if view.tasks != told:
            told = view.tasks
            note(f"{several(told, 'task')} to move from {view.name}")


def _why_no_drain(view: "NodeView") -> str:
    if view.status == "alive":
        return f"somebody has given {view.name} work again, so its tasks stay"
    if view.status == "dead":  # what it had has not left it, but is lost
        return f"{view.name} is dead: {view.reason}"
    if view.status == "left" and view.tasks:
        return f"{view.name} has left: {view.reason}"
    return ""


def _tell_homeless(client: "Client", node: str) -> int:
    """Names the tasks that left the node and run nowhere now. Returns the exit code: 1 when there are any."""
    from orion.cli.app import say

    homeless = (t for t in client.tasks() if t.state in ("pending", "waiting") and t.allocations)
    waiting = [t for t in homeless if t.allocations[-1].node_id == node]
    for task in waiting:
        say(f"{task.id} runs nowhere now: {task.reason}")
    return 1 if waiting else 0


@command()
@click.argument("node", shell_complete=complete_node)
@asks
def ready(client: "Client", node: str) -> None:
    """Give a drained node work again."""
    _make_ready(client, node)


def _make_ready(client: "Client", node: str) -> None:
    click.echo(f"{client.ready(node).name} takes work again")
