"""Jobs, cron jobs and deployments as tables."""

from collections.abc import Mapping
from math import inf

from orion.model.api.deployments import DeploymentView
from orion.model.api.watch import JobRow, Noun
from orion.model.deployment import UNMET, DeploymentState
from orion.model.job import JobKind
from orion.tui.columns import Column, Tone, View, aged, number, plain, reason, seconds_since


def status(row: JobRow) -> str:
    """Returns a word for how a job stands."""
    if row.removing:
        return "removing"
    if row.stopped:
        return "stopped"
    if row.waiting:
        return "waiting"
    if row.kind == JobKind.CRON:
        return "scheduled"
    if row.deployment == DeploymentState.RUNNING:
        return "deploying"
    if row.deployment == DeploymentState.PAUSED:
        return "paused"
    if row.kind == JobKind.BATCH:  # of many tasks some have completed
        over = {"completed": "done", "failed": "failed"}.get(row.outcome, "ended")
        return "running" if row.running else "starting" if row.active else over
    return "running" if row.ready >= row.count else "starting" if row.active else "down"


_TONES = {
    "removing": Tone.DIM,
    "stopped": Tone.DIM,
    "ended": Tone.DIM,
    "done": Tone.DIM,
    "failed": Tone.BAD,
    "waiting": Tone.BAD,
    "paused": Tone.BAD,
    "down": Tone.BAD,
    "deploying": Tone.BUSY,
    "starting": Tone.BUSY,
}


_FAULTS = ("waiting", "paused", "down", "failed")


def tone(row: JobRow) -> Tone:
    return _TONES.get(status(row), Tone.PLAIN)


def fault(row: JobRow) -> bool:
    """A job that is not as asked, or whose last change came to nothing."""
    if row.removing or row.stopped:
        return False
    return bool(row.reason) or status(row) in _FAULTS or row.deployment in UNMET


def _ready(row: JobRow) -> str:
    over = row.kind == JobKind.CRON or status(row) in ("ended", "done", "failed")
    return "" if over else f"{row.ready}/{row.count}"


def _words(row: JobRow) -> tuple[str, ...]:
    return row.name, row.kind, status(row), row.image, row.deployment, row.reason


def _labels(row: JobRow) -> Mapping[str, str]:
    return {
        "name": row.name,
        "job": row.name,
        "kind": row.kind,
        "status": status(row),
        "image": row.image,
        "version": str(row.version),
        "priority": str(row.priority),
        "deployment": row.deployment,
        "runOf": row.run_of,
    }


_NAME = plain("NAME", "name", "N", least=16)
_STATUS = Column("STATUS", lambda row, _: status(row), status, "S")
_IMAGE = plain("IMAGE", "image", "I", least=14, spare=2)
_AGE = aged("AGE", "created_at", "A")

JOBS = View(
    "jobs",
    "job",
    Noun.JOBS,
    (
        _NAME,
        plain("KIND", "kind", "K", spare=4),
        _STATUS,
        Column("READY", lambda row, _: _ready(row), lambda row: (row.ready, row.count), "R", right=True),
        number("WAITING", "waiting", "W", spare=3),
        number("ACTIVE", "active", wide=True),
        number("UPDATED", "updated", "U", wide=True),
        number("VERSION", "version", "V", spare=5),
        number("PRIORITY", "priority", "P", wide=True),
        plain("DEPLOYMENT", "deployment", "D", wide=True),
        plain("SCHEDULE", "schedule", wide=True),
        plain("RUN OF", "run_of", wide=True),
        _IMAGE,
        _AGE,
        reason(),
    ),
    words=_words,
    labels=_labels,
    tone=tone,
    fault=fault,
    by="NAME",
)

CRON = View(
    "cron",
    "cron job",
    Noun.JOBS,
    (
        _NAME,
        _STATUS,
        plain("SCHEDULE", "schedule", "D", least=9),
        # The next comes first.
        aged("NEXT", "next_at", "X", down=False, turned=False),
        number("VERSION", "version", "V", wide=True),
        _IMAGE,
        _AGE,
        reason(),
    ),
    words=lambda row: (*_words(row), row.schedule),
    labels=_labels,
    tone=tone,
    fault=fault,
    by="NAME",
    keep=lambda row: row.kind == JobKind.CRON,
    hints=("describe", "logs", "edit", "run now"),
)

_DEPLOYMENT_TONES = {
    DeploymentState.RUNNING.value: Tone.BUSY,
    DeploymentState.DONE.value: Tone.PLAIN,
    DeploymentState.SUPERSEDED.value: Tone.DIM,
    DeploymentState.PAUSED.value: Tone.BAD,
    DeploymentState.FAILED.value: Tone.BAD,
    DeploymentState.ROLLED_BACK.value: Tone.BAD,
}


def _versions(row: DeploymentView) -> str:
    before = row.from_version if row.before is None else row.before
    return f"{'-' if before is None else before} > {row.to_version}"


def _progress(row: DeploymentView) -> str:
    return f"{row.progress.ready}/{row.progress.tasks}" if row.progress else ""


def _done(row: DeploymentView) -> float:
    return row.progress.ready / max(1, row.progress.tasks) if row.progress else -1.0


def _took(row: DeploymentView, now_s: float) -> str:
    seconds = _took_s(row, now_s)
    return "" if seconds is None else f"{seconds:.0f}s"


def _took_s(row: DeploymentView, now_s: float) -> float | None:
    began, ended = seconds_since(row.started_at, now_s), seconds_since(row.ended_at, now_s)
    return None if began is None else began - (ended or 0.0)


def _took_key(row: DeploymentView) -> float:
    """Those that go on took the longest so far."""
    return (_took_s(row, 0.0) or 0.0) if row.ended_at else inf


def _what(row: DeploymentView) -> str:
    return f"{row.kind}, going back" if row.rolling_back else row.kind


DEPLOYMENTS = View(
    "deployments",
    "deployment",
    Noun.DEPLOYMENTS,
    (
        number("ID", "id", "N"),
        plain("JOB", "job", "B", least=16),
        Column("KIND", lambda row, _: _what(row), _what, "K"),
        plain("STATE", "state", "S"),
        Column("VERSIONS", lambda row, _: _versions(row), lambda row: row.to_version, "V", right=True),
        Column("READY", lambda row, _: _progress(row), _done, "R", right=True, spare=1),
        Column("TOOK", _took, _took_key, wide=True, right=True, down=True),
        aged("AGE", "started_at", "A"),
        reason(),
    ),
    words=lambda row: (str(row.id), row.job, row.kind, row.state, row.reason),
    labels=lambda row: {"job": row.job, "kind": row.kind, "state": row.state},
    tone=lambda row: _DEPLOYMENT_TONES.get(row.state, Tone.PLAIN),
    fault=lambda row: row.rolling_back or row.state in UNMET,
    by="ID",
)
