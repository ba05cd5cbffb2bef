"""`orion ps` and `inspect`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from orion.cli.shared.options import asks, command, complete_node, complete_task, no_trunc, output
from orion.cli.shared.table import Column, shorten_image, shorten_task

if TYPE_CHECKING:
    from orion.client import Client, TaskView


@command()
@click.argument("job", nargs=-1, shell_complete=complete_task)
@click.option("--node", default="", metavar="NODE", shell_complete=complete_node, help="Only those on this node.")
@output("table", "wide", "json")
@no_trunc
@click.option("-a", "--all", "ended", is_flag=True, help="Those that have completed, too.")
@click.option("-q", "--quiet", is_flag=True, help="Only the ids.")
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def ps(
    client: "Client",
    job: tuple[str, ...],
    node: str,
    form: str,
    no_trunc: bool,
    ended: bool,
    quiet: bool,
    stale: bool,
) -> int:
    """List tasks: what runs, where, and why not.

    All of them that have not completed, or those of each JOB, which may also be the id of one task.
    """
    from orion.cli.shared import output

    everything = client.tasks(stale=stale)
    shown = [t for t in everything if ended or job or t.state != "completed"]
    tasks = [t for t in shown if (not job or {t.id, t.name} & set(job)) and node in ("", t.node_id)]
    if node and not tasks:
        client.node(node, stale=stale)  # raises when there is none of that name
    if quiet:
        for task in tasks:
            click.echo(task.id)
    elif form == "json":
        output.print_json(tasks)
    else:
        wide = form == "wide"
        where = {node.name: node.ip for node in client.nodes(stale=True)} if wide else {}
        output.print_table(_COLUMNS, (_row(task, where) for task in tasks), wide=wide, no_trunc=no_trunc)
    return _say_missing(job, {name for t in everything for name in (t.id, t.name)})


def _say_missing(names: Sequence[str], known: set[str]) -> int:
    """Names each job that is none of the `known`. Returns the exit code: 1 when there are any."""
    from orion.cli.app import say

    missing = [name for name in names if name not in known]
    for name in missing:
        say(f"there is no job {name}; 'orion ps' lists all tasks")
    return 1 if missing else 0


_COLUMNS = (
    Column("ID", 20, shorten_task),
    Column("IMAGE", 12, shorten_image),
    Column("STATE"),
    Column("NODE", 8),
    Column("NODE ADDRESS", wide=True),
    Column("PORTS", 22),
    Column("RESTARTS", spare=True),
    Column("AGE", spare=True),
    Column("CREATED", spare=True, wide=True),
    Column("POLICY", spare=True, wide=True),
    Column("MEMORY", wide=True),
    Column("CPU", wide=True),
    Column("REASON", 28, blank=""),
)


def _row(task: "TaskView", where: dict[str, str]) -> tuple[str, ...]:
    from orion.cli.shared import output
    from orion.model.api.task_words import ports_text
    from orion.model.resources import size_text

    return (
        task.id,
        task.image,
        task.state,
        task.node_id or "",
        where.get(task.node_id or "", ""),
        ports_text(task),
        str(task.allocations[-1].restarts if task.allocations else 0),
        output.age_text(task.created_at),
        task.created_at or "",
        task.restart_policy,
        size_text(task.memory) if task.memory else "",
        f"{task.cpu:g}" if task.cpu else "",
        _reason(task),
    )


def _reason(task: "TaskView") -> str:
    """With how long it has waited for other jobs."""
    from orion.cli.shared import output

    failure = task.placement_failure
    since = min((wait.since for wait in failure.waits_for if wait.since), default=None) if failure else None
    return f"{task.reason} ({output.age_text(since)})" if since else task.reason


@command()
@click.argument("task", shell_complete=complete_task)
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@output("json")
@asks
def inspect(client: "Client", task: str, stale: bool, form: str) -> None:
    """Show all that is known of a task, as JSON.

    With a health check each run has the last results of it, `checks`, from the memory of its node. With --stale
    they are left out.
    """
    import msgspec

    from orion.cli.shared import output

    del form  # there is but one; whoever writes -o json everywhere may do so here
    found = client.task(task, stale=stale)
    shown = msgspec.to_builtins(found)
    if not stale and (found.health_check is not None or any(run.health != "none" for run in found.allocations)):
        _add_checks(client, found.id, shown["allocations"])
    output.print_json(shown)


def _add_checks(client: "Client", task: str, runs: list[dict[str, Any]]) -> None:
    """Adds the results of their health checks; what is known of a task is shown without them, too."""
    import msgspec

    from orion.cli.app import say
    from orion.model.errors import OrionError

    try:
        found = {each.allocation: each for each in client.checks(task)}
    except OrionError as error:
        say(f"the results of health checks are not shown: {error.detail}")
        return
    for run in runs:
        if (known := found.get(run["id"])) is not None:
            run["checks"] = msgspec.to_builtins(known.checks)
            run["checksReason"] = known.reason
