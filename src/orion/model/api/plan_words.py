"""Plans for people: their changes, a line each."""

import re
from collections.abc import Iterator

from orion.model.api.plans import PlanView

_MOST_NODES = 8  # that are named

_DIGEST = re.compile(r"(@[a-z0-9]+:[0-9a-f]{12})[0-9a-f]{20,}")


def _shorter(text: str) -> str:
    """As it is, with the beginnings of digests: they differ soon."""
    return _DIGEST.sub(r"\1…", text)


def plan_lines(plan: PlanView) -> Iterator[str]:
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
