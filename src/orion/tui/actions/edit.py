"""A job edited as a file: $EDITOR, the plan of what that changes, and then that and nothing else."""

import os
import shlex
import tempfile
from pathlib import Path

import msgspec

from orion.jobfile.faults import WrongFiles
from orion.jobfile.load import Source, load
from orion.model.api.jobs import JobRequest, JobView
from orion.model.api.plans import PlanView
from orion.model.api.watch import Noun
from orion.model.counts import several
from orion.model.errors import Refused
from orion.tui.actions.action import Stage
from orion.tui.actions.calls import under_way
from orion.tui.actions.terminal import give_terminal
from orion.tui.lines import plain
from orion.tui.screens.confirm import Confirm
from orion.tui.texts.asking import job_of
from orion.tui.texts.versions import plan_told
from orion.tui.texts.yaml_text import job_yaml

HEAD = (
    "# {job}, version {version}. Saved and left, it is planned; nothing is changed before you agree to the plan.\n"
)
_OFTEN = {"command": "[sleep, infinity]", "env": "{NAME: value}", "memory": "512m", "cpu": "0.5"}
_FAULT = "#! "  # begins a line that says what is wrong


async def edit(stage: Stage, noun: Noun, key: str) -> None:
    """Raises OrionError. What is wrong is edited again, for as long as the person likes."""
    name = job_of(stage.cluster.store, noun, key)
    job = await stage.cluster.ask(lambda client: client.job(name))
    first = text = (
        HEAD.format(job=name, version=job.version)
        + job_yaml(job, always=("count",) if job.kind == "service" else ())
        + unset(job)
    )
    while True:
        text = edited(stage, text, name)
        if text.strip() == first.strip() or not text.strip():
            stage.tell(f"{name} is left as it is", False)
            return
        try:
            request = read(text, job)
            plan = await stage.cluster.ask(lambda client, asked=request: client.plan_job(name, asked))  # type: ignore[misc]
        except Refused as error:
            wrong = error.detail.splitlines()
        else:
            await _agree(stage, job, request, plan)
            return
        lines = [plain(line, "bad") for line in wrong]
        if not await stage.app.push_screen_wait(Confirm(f"{name} can't be like that", lines, "edit again")):
            stage.tell(f"{name} is left as it is", False)
            return
        text = with_faults(text, wrong)


async def _agree(stage: Stage, job: JobView, request: JobRequest, plan: PlanView) -> None:
    if plan.kind == "unchanged":
        stage.tell(f"{job.name} is so already", False)
        return
    title = f"{plan.kind.capitalize()} {job.name}?"
    if not await stage.app.push_screen_wait(Confirm(title, plan_told(plan), "do it")):
        stage.tell(f"{job.name} is left as it is", False)
        return
    view = await stage.cluster.ask(
        lambda client: client.put_job(job.name, request, if_version=job.version, plan=plan.token)
    )
    scaled = view.version == job.version and request.count != job.count
    way = f"goes to {several(request.count, 'task')}" if scaled else f"is on its way to version {view.version}"
    stage.tell(f"{view.name} {way}", False)
    if (deployment := under_way(view)) is not None:
        stage.begun(deployment)


def unset(job: JobView) -> str:
    """Returns what people often set and this job has not, each with an example, as comments."""
    lines = [f"# {field}: {example}\n" for field, example in _OFTEN.items() if not getattr(job, field)]
    return "".join(["\n# Not set:\n", *lines]) if lines else ""


def edited(stage: Stage, text: str, name: str, *, ending: str = ".yaml") -> str:
    """Returns the text as the person left it. Raises Refused where there is no editor."""
    editor, variable = _editor()
    try:
        words = shlex.split(editor)
    except ValueError as error:
        raise Refused(f"{variable} is {editor!r}, which can't be read: {error}") from None
    with tempfile.TemporaryDirectory(prefix="orion-top-") as folder:
        file = Path(folder) / f"{name}{ending}"
        file.write_text(text, encoding="utf-8")
        try:
            code, _ = give_terminal(stage.app, [*words, str(file)])
        except Refused as error:
            who = f"{variable} names it" if variable else "neither $VISUAL nor $EDITOR names another editor"
            raise Refused(f"{error.detail}; {who}") from None
        if code:
            raise Refused(f"{editor} ended with exit code {code}: nothing is changed")
        return file.read_text(encoding="utf-8", errors="replace")


def _editor() -> tuple[str, str]:
    """Returns what the person edits with, and which variable says so; "": none does."""
    for name in ("VISUAL", "EDITOR"):
        if editor := os.environ.get(name, "").strip():
            return editor, f"${name}"
    return "vi", ""


def read(text: str, job: JobView) -> JobRequest:
    """Returns what the text asks for. Raises Refused with a line for each fault."""
    try:
        found = load([Source(f"{job.name}.yaml", text.encode())])
    except WrongFiles as wrong:
        raise Refused("\n".join(wrong.lines())) from None
    if [each.name for each in found] != [job.name]:
        raise Refused(f"a job keeps its name: leave it {job.name!r}, and the file one of one job")
    return msgspec.convert(found[0].request, JobRequest)


def with_faults(text: str, wrong: list[str]) -> str:
    """Returns the text below what is wrong with it; what was said before of it is left out."""
    kept = [line for line in text.splitlines() if not line.startswith(_FAULT)]
    return "\n".join([*(f"{_FAULT}{line}" for line in wrong), *kept, ""])
