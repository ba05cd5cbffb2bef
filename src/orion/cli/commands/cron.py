"""`orion cron`."""

from typing import TYPE_CHECKING, Any

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.fields import asked_for, bad_usage, task_options
from orion.cli.shared.options import asks, no_trunc, output
from orion.cli.shared.table import Column
from orion.cli.shared.types import Seconds

if TYPE_CHECKING:
    from orion.client import Client, RunView

_JOBS = (
    Column("NAME"),
    Column("SCHEDULE"),
    Column("TIME ZONE"),
    Column("NEXT"),
    Column("LAST"),
    Column("STATE", 10),
)
_RUNS = (Column("AT"), Column("OUTCOME"), Column("EXIT"), Column("JOB"), Column("TOOK"), Column("REASON", 12))

_EXAMPLES = """\b
Examples:
  orion cron create --name nightly --schedule "30 3 * * *" --time-zone Europe/Berlin backup:2 /backup.sh
  orion cron run nightly
  orion cron runs nightly
"""


@click.group(invoke_without_command=True, context_settings=SETTINGS, epilog=_EXAMPLES)
@output("table", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def cron(client: "Client", form: str, no_trunc: bool, stale: bool) -> None:
    """List cron jobs: when each runs next, and what came of its last run; make one, or run one now.

    Each run is a job of its own, so 'orion logs' and 'orion inspect' take its name. 'orion stop' halts a cron job,
    'orion start' has it go on, 'orion rm' removes it with its runs.
    """
    from orion.cli.shared import output

    views = [view for view in client.jobs(stale=stale) if view.kind == "cron"]
    if form == "json":
        output.print_json(views)
        return
    rows = []
    for view in views:
        schedule, last = view.schedule, view.last_run
        shown = f"{last.outcome} {output.age_text(last.at)}" if last else ""
        zone = schedule.time_zone if schedule else ""
        state = "stopped" if view.stopped else view.reason
        rows.append((view.name, schedule.expression if schedule else "", zone, view.next_at or "", shown, state))
    output.print_table(_JOBS, rows, no_trunc=no_trunc)


@cron.command("create", context_settings={**SETTINGS, "allow_interspersed_args": False})
@click.argument("image")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND...]")
@task_options
@click.option("--schedule", "expression", required=True, metavar="EXPRESSION", help="As in crontab: '30 3 * * *'.")
@click.option("--time-zone", metavar="ZONE", help="As in Europe/Berlin.  [default: UTC]")
@click.option("--overlap", type=click.Choice(("skip", "queue", "replace")), help="[default: skip]")
@click.option(
    "--catch-up",
    type=click.Choice(("none", "last", "all")),
    help="What to make up for of times without a leader.  [default: last]",
)
@click.option("--start-deadline", type=Seconds(), metavar="SECONDS", help="What is later is not made up for.")
@click.option("--count", type=click.IntRange(1), default=1, help="Tasks of each run.  [default: 1]")
@asks
def create(client: "Client", image: str, words: tuple[str, ...], count: int, **asked: Any) -> None:
    """Have a container run at its times. Options end at IMAGE."""
    from orion.client import Invalid, JobRequest, ScheduleRequest

    fields = asked_for(asked)
    name = fields.pop("name", "")
    if not name:
        raise click.UsageError("a cron job needs a name, of which its runs have theirs: --name nightly")
    parts = {
        "expression": asked["expression"],
        "time_zone": asked["time_zone"],
        "overlap": asked["overlap"],
        "catch_up": asked["catch_up"],
        "start_deadline_seconds": asked["start_deadline"],
    }
    schedule = ScheduleRequest(**{key: value for key, value in parts.items() if value is not None})
    fields = {"restart_policy": "no", **fields}
    request = JobRequest(image=image, command=list(words), kind="cron", count=count, schedule=schedule, **fields)
    try:
        click.echo(client.put_job(name, request).name)
    except Invalid as error:
        raise bad_usage(error) from None


@cron.command("runs", context_settings=SETTINGS)
@click.argument("name")
@output("table", "json")
@no_trunc
@click.option("--stale", is_flag=True, help="What this node knows, without asking the others.")
@asks
def runs(client: "Client", name: str, form: str, no_trunc: bool, stale: bool) -> None:
    """Tell what a cron job has done: its last 50 runs, oldest first, those skipped or missed too."""
    from orion.cli.shared import output

    views = client.runs(name, stale=stale)
    if form == "json":
        output.print_json(views)
        return
    rows = [
        (
            f"{view.at or ''}{' (by hand)' if view.by_hand else ''}",
            f"{view.outcome} {view.count} times" if view.count > 1 else view.outcome,
            "" if view.exit_code is None else str(view.exit_code),
            view.job,
            _took(view),
            view.reason or _begun_anew(client, view),
        )
        for view in views
    ]
    output.print_table(_RUNS, rows, no_trunc=no_trunc)


def _begun_anew(client: "Client", view: "RunView") -> str:
    """Returns how often a run that is not over has failed and begun anew, as its restartPolicy says."""
    from orion.model.errors import Refused

    if view.outcome != "running" or not view.job:
        return ""
    try:
        task = client.task(f"{view.job}/0")
    except Refused:
        return ""
    times = sum(run.restarts for run in task.allocations)
    return f"has begun anew {times:,} times: its restartPolicy is {task.restart_policy}" if times else ""


def _took(view: "RunView") -> str:
    from datetime import datetime

    if view.started_at is None or view.ended_at is None:
        return ""
    took = datetime.fromisoformat(view.ended_at) - datetime.fromisoformat(view.started_at)
    return f"{took.total_seconds():.1f} s"


@cron.command("run", context_settings=SETTINGS)
@click.argument("name")
@asks
def run(client: "Client", name: str) -> None:
    """Run a cron job now, beside its times, or again a batch job that has ended. Prints the job that runs.

    orion wait $(orion cron run nightly) waits until it has ended, and has its exit code.
    """
    click.echo(client.run_job(name).name)
