"""Plans for people: a job a paragraph, its changes a line each."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orion.client import Client, PlanView
    from orion.jobfile.load import LoadedJob

_SIGNS = {"create": ("+", "green"), "unchanged": ("=", None)}
_CHANGED = ("~", "yellow")
_MOST_NODES = 8  # that are named


_DIGEST = re.compile(r"(@[a-z0-9]+:[0-9a-f]{12})[0-9a-f]{20,}")


def _shorter(text: str) -> str:
    """As it is, with the beginnings of digests: they differ soon."""
    return _DIGEST.sub(r"\1…", text)


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
    for plan in plans:
        sign, color = _SIGNS.get(plan.kind, _CHANGED)
        at = "" if plan.version is None else f" (version {plan.version})"
        click.echo(f"{click.style(sign, fg=color, bold=True)} {click.style(plan.job, bold=True)}: {plan.kind}{at}")
        for line in lines(plan):
            click.echo(f"    {line}")


def lines(plan: "PlanView") -> Iterator[str]:
    for change in plan.changes:
        old, new = _shorter(change.old), _shorter(change.new)
        yield f"{change.field}: {old or '(none)'} -> {new or '(none)'}"
    if plan.order:
        yield f"order: {plan.order}: {plan.order_reason}"
    if plan.starts:
        named = list(plan.start_nodes.items())
        where = ", ".join(f"{count} on {node}" for node, count in named[:_MOST_NODES])
        more = f", {sum(count for _, count in named[_MOST_NODES:])} elsewhere" if named[_MOST_NODES:] else ""
        yield f"starts {plan.starts}: {where}{more}"
    if plan.stops:
        yield f"stops {plan.stops}"
    if plan.waits:
        yield f"waits {plan.waits}: {plan.reason}"
    elif plan.ends != "done":
        yield f"{plan.ends}: {plan.reason}"
    for warning in plan.warnings:
        yield f"warning: {warning}"
