"""All that is known of a job, a task or a run of it, in lines."""

from collections.abc import Iterable, Iterator, Sequence

from orion.model.api.checks import RunChecksView
from orion.model.api.deployments import DeploymentView
from orion.model.api.history import ChangeView
from orion.model.api.jobs import JobView, VersionView
from orion.model.api.schedule_fields import RunView
from orion.model.api.task_words import ports_text
from orion.model.api.tasks import AllocationView, TaskView
from orion.model.api.watch import AllocationRow, TaskRow
from orion.model.resources import size_text
from orion.tui.lines import Line, Part, fields, plain, state_look, table
from orion.tui.texts.describe import deployment_lines, section, task_table
from orion.tui.texts.versions import version_lines
from orion.tui.texts.why import why_lines
from orion.tui.texts.words import since
from orion.tui.texts.yaml_text import job_yaml, yaml_lines


def job_lines(
    job: JobView,
    tasks: Iterable[TaskRow],
    versions: Sequence[VersionView] = (),
    runs: Sequence[RunView] = (),
    history: Sequence[ChangeView] = (),
) -> Iterator[Line]:
    state = "is being removed" if job.removing else "stopped" if job.stopped else ""
    yield from fields(
        (
            ("kind", job.kind),
            ("state", state),
            ("tasks", f"{job.ready:,} ready, {job.running:,} running, {job.waiting:,} waiting, of {job.count:,}"),
            ("version", f"{job.version}, which {job.updated:,} run"),
            ("made", since(job.created_at)),
            ("next run", job.next_at or ""),
            ("run of", job.run_of),
        )
    )
    yield from section("Why it is not as asked", why_lines(job.reason, None))
    yield from section("Last deployment", _deployment(job.deployment))
    yield from section("Tasks", task_table(tasks, node=True))
    yield from section("Versions", version_lines(versions, history))
    yield from section("Runs", _runs(runs))
    yield from section("What was done to it", _history(history))
    yield from section("As asked for", ((Part("  "), *line) for line in yaml_lines(job_yaml(job))))


def _deployment(row: DeploymentView | None) -> Iterator[Line]:
    for line in deployment_lines(row) if row is not None else ():
        yield (Part("  "), *line) if line else ()


def _runs(runs: Sequence[RunView]) -> Iterator[Line]:
    rows = (
        (each.at or "", each.outcome, "" if each.exit_code is None else str(each.exit_code), each.job, each.reason)
        for each in reversed(runs)
    )
    yield from table(("at", "outcome", "exit", "job", "reason"), rows)


def _history(history: Sequence[ChangeView]) -> Iterator[Line]:
    rows = ((each.at or "", each.change, str(each.count), each.image) for each in reversed(history))
    yield from table(("at", "what", "tasks", "image"), rows)


def task_lines(task: TaskView, checks: Sequence[RunChecksView] = (), unread: str = "") -> Iterator[Line]:
    """`unread`: why the results of its health checks are not there."""
    yield from fields(
        (
            ("state", task.state),
            ("node", task.node_id or ""),
            ("address", task.address),
            ("ports", ports_text(task)),
            ("image", task.image),
            ("memory", size_text(task.memory) if task.memory else ""),
            ("cpu", f"{task.cpu:g} cores" if task.cpu else ""),
            ("restart policy", task.restart_policy),
            ("made", since(task.created_at)),
            ("began", since(task.started_at)),
            ("ended", since(task.finished_at)),
        )
    )
    yield from section("Why", why_lines(task.reason, task.placement_failure))
    known = {each.allocation: each for each in checks}
    for run in reversed(task.allocations):
        yield from section(f"Run {run.id}", _run(run, known.get(run.id)))
    yield from section("Health checks are not shown", (plain(unread, "warn"),) if unread else ())


def _run(run: AllocationView, checks: RunChecksView | None) -> Iterator[Line]:
    progress = run.progress
    pull = (
        "" if progress is None else f"{progress.phase}, {progress.done_bytes:,} of {progress.total_bytes:,} bytes"
    )
    yield from fields(
        (
            ("state", run.state),
            ("health", "" if run.health == "none" else run.health),
            ("node", run.node_id),
            ("exit code", "" if run.exit_code is None else str(run.exit_code)),
            ("restarts", str(run.restarts) if run.restarts else ""),
            ("reason", run.reason),
            ("pull", pull),
            ("made", since(run.created_at)),
            ("began", since(run.started_at)),
            ("ready", since(run.ready_since)),
            ("ended", since(run.finished_at)),
            ("container", run.container_name),
            ("container id", run.container_id),
            ("image's content", run.image_digest),
        ),
        "  ",
    )
    if checks is not None:
        yield plain("  health checks, the last at the end", "dim")
        for each in checks.checks:
            word = "healthy" if each.ok else "failed"
            yield (
                Part(f"    {each.at}  "),
                Part(f"{word:<8}", state_look(word)),
                Part(f"{each.seconds:6.3f} s  {each.output}"),
            )
        if checks.reason:
            yield plain(f"    {checks.reason}", "warn")


def allocation_lines(row: AllocationRow, task: TaskView | None) -> Iterator[Line]:
    """`task`: the one that it is a run of, None where that is gone."""
    yield from fields((("task", row.task), ("wanted", "yes" if row.wanted else "no: it is told to end")))
    run = next((each for each in task.allocations if each.id == row.id), None) if task else None
    if run is not None:
        yield from _run(run, None)
        return
    yield from fields(
        (
            ("state", row.state),
            ("node", row.node_id),
            ("exit code", "" if row.exit_code is None else str(row.exit_code)),
            ("restarts", str(row.restarts)),
            ("reason", row.reason),
            ("made", since(row.created_at)),
            ("began", since(row.started_at)),
            ("ended", since(row.finished_at)),
            ("container", row.container_name),
        ),
        "  ",
    )
