"""`orion deploy`: jobs as their files describe them, followed until they run."""

from typing import TYPE_CHECKING

import click

from orion.cli.commands.changes import waits
from orion.cli.shared.options import asks, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orion.client import Client, JobView
    from orion.jobfile.load import LoadedJob


@command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="Show what it would change, as orion plan, and change nothing.")
@click.option("--plan", "token", metavar="TOKEN", help="Only as this plan says.")
@waits
@asks
def deploy(
    client: "Client",
    files: tuple[str, ...],
    dry_run: bool,
    token: str | None,
    no_wait: bool,
    wait_timeout: float | None,
) -> int:
    """Have jobs run as files describe them.

    Each job is created, updated without a gap, or left alone if it is so already. - is standard input. The exit
    code is 0 when all that was asked for runs, 1 when not, 2 for a wrong file, 3 when a new version failed and the
    one before is back, 4 when the wait took too long.
    """
    from orion.cli.app import say
    from orion.cli.shared.jobfiles import load_files
    from orion.cli.shared.plans import ask_all, show
    from orion.cli.shared.rollout import follow_all

    jobs = load_files(files)
    if dry_run or len(jobs) > 1:  # of several jobs none is changed when one would be refused
        plans, code = ask_all(client, jobs)
        if dry_run:
            show(plans)
            return code
        if code:
            say("nothing was changed")
            return code
    views, code = _put(client, jobs, _tokens(token, len(jobs)))
    return max(code, follow_all(client, views, wait=not no_wait, timeout_s=wait_timeout, unchanged=True))


def _tokens(token: str | None, jobs: int) -> list[str]:
    if token is None:
        return [""] * jobs
    tokens = token.split(",")
    if len(tokens) != jobs or not all(tokens):
        raise click.UsageError(f"--plan is of {len(tokens)} jobs, and the files have {jobs}: look at a new plan")
    return tokens


def _put(client: "Client", jobs: "Sequence[LoadedJob]", tokens: "Sequence[str]") -> "tuple[list[JobView], int]":
    """Asks for one job after the other, those first that others come after, until one is refused: a job whose
    predecessor is about to change is to wait for that. Returns those that were taken, in that order, so that the
    one that the others wait for is followed first, and the exit code.
    """
    from orion.cli.app import say
    from orion.cli.shared.jobfiles import in_turn, refused, request_of
    from orion.model.errors import Refused

    views: list[JobView] = []
    order = in_turn(jobs)
    code = 0
    for place, number in enumerate(order):
        job = jobs[number]
        try:
            views.append(client.put_job(job.name, request_of(job), plan=tokens[number]))
        except Refused as error:
            code = refused(job, error)
            if left := [jobs[each].name for each in order[place + 1 :]]:
                say(f"not asked for: {', '.join(left)}")
            break
    return views, code
