"""Plans for people: a job a paragraph, its changes a line each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orion.client import Client, PlanView
    from orion.jobfile.load import LoadedJob

_SIGNS = {"create": ("+", "green"), "unchanged": ("=", None)}
_CHANGED = ("~", "yellow")


def ask_all(client: "Client", jobs: "Sequence[LoadedJob]") -> "tuple[list[PlanView], int]":
    """Asks for a plan of each job. Tells what is refused, of all of them. Returns the plans and the exit code."""
    from orion.cli.shared.jobfiles import refused, request_of
    from orion.model.errors import Refused

    plans: list[PlanView] = []
    code = 0
    for job in jobs:
        try:
            plans.append(client.plan_job(job.name, request_of(job)))
        except Refused as error:
            code = max(code, refused(job, error))
    return plans, code


def token_of(plans: "Sequence[PlanView]") -> str:
    return ",".join(plan.token for plan in plans)


def show(plans: "Sequence[PlanView]") -> None:
    from orion.model.api.plan_words import plan_lines

    for plan in plans:
        sign, color = _SIGNS.get(plan.kind, _CHANGED)
        at = "" if plan.version is None else f" (version {plan.version})"
        click.echo(f"{click.style(sign, fg=color, bold=True)} {click.style(plan.job, bold=True)}: {plan.kind}{at}")
        for line in plan_lines(plan):
            click.echo(f"    {line}")
