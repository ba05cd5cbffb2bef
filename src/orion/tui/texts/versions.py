"""The versions of a job that are kept, in lines, and what a change of it would do."""

from collections.abc import Iterator, Sequence

import msgspec

from orion.model.api.history import ChangeView
from orion.model.api.jobs import VersionView
from orion.model.api.plan_words import plan_lines
from orion.model.api.plans import PlanView
from orion.model.api.tasks import TaskFields
from orion.tui.lines import Line, plain, table
from orion.tui.texts.words import age_of

MOST_CHANGED = 3  # fields that are named


def version_lines(versions: Sequence[VersionView], history: Sequence[ChangeView]) -> Iterator[Line]:
    """Yields a table of the versions, the newest first: their ages as far as the history goes, and what each has
    that the kept one before it has not.
    """
    born: dict[int, str] = {}
    job = max(history, key=lambda each: each.index).created_index if history else 0
    for change in sorted(history, key=lambda each: each.index):
        if change.created_index == job:  # not a former one of its name
            born.setdefault(change.version, change.at or "")
    ordered = sorted(versions, key=lambda each: -each.version)
    before = [*ordered[1:], None]
    rows = (
        (
            str(each.version),
            f"{age_of(born[each.version])} ago" if born.get(each.version) else "",
            f"{each.running:,}",
            "current" if each.current else "",
            "failed" if each.failed else "healthy" if each.healthy else "",
            changed_words(former, each) if former is not None else "",
            each.task.image,
        )
        for each, former in zip(ordered, before, strict=True)
    )
    yield from table(("version", "made", "running", "", "", "changed", "image"), rows)


def changed_words(old: VersionView, new: VersionView) -> str:
    """Returns the fields in which two versions differ."""
    names = [
        field.encode_name
        for field in msgspec.structs.fields(TaskFields)
        if getattr(old.task, field.name) != getattr(new.task, field.name)
    ]
    more = len(names) - MOST_CHANGED
    return ", ".join(names[:MOST_CHANGED]) + (f" and {more} more" if more > 0 else "")


def plan_told(plan: PlanView) -> list[Line]:
    """Returns a plan's lines. Those by which tasks end or wait stand out."""
    loud = ("stops", "waits", "warning")
    return [plain(line, "warn" if line.startswith(loud) else "") for line in plan_lines(plan)]
