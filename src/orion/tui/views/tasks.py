"""Tasks, their runs and their endpoints as tables."""

from collections.abc import Mapping

from orion.model.api.watch import AllocationRow, Noun, TaskRow
from orion.model.resources import column_text
from orion.tui.columns import Column, Tone, View, age_text, aged, natural, number, plain, reason

_TONES = {
    "running": Tone.PLAIN,
    "pending": Tone.BAD,
    "waiting": Tone.BUSY,
    "scheduled": Tone.BUSY,
    "pulling": Tone.BUSY,
    "starting": Tone.BUSY,
    "completed": Tone.DIM,
    "stopped": Tone.DIM,
    "failed": Tone.BAD,
    "lost": Tone.BAD,
}
OVER = frozenset(("completed", "stopped", "failed", "lost"))  # states of runs that have ended


def tone(row: TaskRow | AllocationRow) -> Tone:
    if row.state == "running" and row.health == "unhealthy":
        return Tone.BAD
    if row.state == "running" and not row.ready:
        return Tone.BUSY
    return _TONES.get(row.state, Tone.PLAIN)


def fault(row: TaskRow) -> bool:
    """A task that is not as asked: it waits, has failed, is lost or unhealthy, or its start does not come off."""
    if row.state in ("completed", "stopped"):
        return False
    if row.state in ("pending", "failed", "lost") or row.health == "unhealthy":
        return True
    return row.state != "running" and bool(row.reason)


def _run_fault(row: AllocationRow) -> bool:
    return row.state in ("failed", "lost") or row.health == "unhealthy" or (row.wanted and bool(row.reason))


def _ready(row: TaskRow | AllocationRow) -> str:
    return "yes" if row.ready else "no" if row.state == "running" else ""


def _ports(row: TaskRow) -> str:
    return ", ".join(f"{answers}->{port}" for port, answers in row.ports.items())


def _born(row: TaskRow) -> str | None:
    """Returns since when its run is there, so that one that has moved is young."""
    return row.placed_at or row.started_at or row.created_at


def _exit(row: AllocationRow) -> str:
    return "" if row.exit_code is None else str(row.exit_code)


def _labels(row: TaskRow) -> Mapping[str, str]:
    return {
        "id": row.id,
        "task": row.id,
        "job": row.job,
        "node": row.node_id,
        "state": row.state,
        "health": row.health,
        "image": row.image,
        "version": str(row.version),
        "ready": "true" if row.ready else "false",
    }


def _words(row: TaskRow) -> tuple[str, ...]:
    return row.id, row.state, row.node_id, row.image, row.health, row.address, row.reason


# States in the order of a life: those who wait first.
_ORDER = {
    state: at for at, state in enumerate(("pending", "waiting", "scheduled", "pulling", "starting", "failed"))
}
_STATE = Column("STATE", lambda row, _: row.state, lambda row: (_ORDER.get(row.state, len(_ORDER)), row.state), "S")
_NODE = plain("NODE", "node_id", "O", least=8)
_HEALTH = Column(
    "HEALTH", lambda row, _: "" if row.health == "none" else row.health, lambda row: row.health, "H", spare=4
)
_READY = Column("READY", lambda row, _: _ready(row), lambda row: row.ready, "R", spare=1)
_RESTARTS = number("RESTARTS", "restarts", "T", spare=2)
_VERSION = number("VERSION", "version", "V", wide=True)
_TASK = plain("ID", "id", "N", least=16)
_ADDRESS = plain("ADDRESS", "address", "D")
_PORTS = Column("PORTS", lambda row, _: _ports(row), lambda row: natural(_ports(row)), "P", least=20)

TASKS = View(
    "tasks",
    "task",
    Noun.TASKS,
    (
        _TASK,
        _STATE,
        _READY,
        _HEALTH,
        _NODE,
        _RESTARTS,
        _VERSION,
        Column(
            "CPU ASKED",
            lambda row, _: f"{row.cpu:g}" if row.cpu else "",
            lambda row: row.cpu,
            "C",
            down=True,
            right=True,
            wide=True,
        ),
        Column(
            "MEM ASKED",
            lambda row, _: column_text(row.memory) if row.memory else "",
            lambda row: row.memory,
            "M",
            down=True,
            right=True,
            wide=True,
        ),
        _ADDRESS._replace(wide=True),
        _PORTS._replace(wide=True),
        plain("IMAGE", "image", "I", least=12, spare=5),
        Column(
            "AGE",
            lambda row, now_s: age_text(_born(row), now_s),
            lambda row: _born(row) or "",
            "A",
            down=True,
            right=True,
            turned=True,
        ),
        aged("STARTED", "started_at", wide=True),
        aged("CREATED", "created_at", wide=True),
        reason(least=12),
    ),
    words=_words,
    labels=_labels,
    tone=tone,
    fault=fault,
    by="ID",
)

ENDPOINTS = View(
    "endpoints",
    "endpoint",
    Noun.TASKS,
    (
        _TASK,
        _READY._replace(spare=0),
        _HEALTH,
        _NODE,
        _ADDRESS,
        _PORTS,
        _VERSION,
        aged("STARTED", "started_at", "A"),
    ),
    words=lambda row: (*_words(row), _ports(row)),
    labels=_labels,
    tone=tone,
    fault=lambda row: not row.ready,
    by="ID",
    keep=lambda row: row.state == "running" and bool(row.address or row.ports),
)

ALLOCATIONS = View(
    "allocations",
    "allocation",
    Noun.ALLOCATIONS,
    (
        plain("ID", "id", "N"),
        plain("TASK", "task", "B", least=16),
        _STATE,
        Column("WANTED", lambda row, _: "yes" if row.wanted else "no", lambda row: row.wanted, "W", wide=True),
        _READY,
        _HEALTH,
        _NODE,
        _RESTARTS,
        Column(
            "EXIT",
            lambda row, _: _exit(row),
            lambda row: -1 if row.exit_code is None else row.exit_code,
            "X",
            down=True,
            right=True,
        ),
        _VERSION,
        plain("CONTAINER", "container_name", wide=True),
        aged("AGE", "created_at", "A"),
        aged("FINISHED", "finished_at", wide=True),
        reason(),
    ),
    words=lambda row: (row.id, row.task, row.state, row.node_id, row.health, row.reason),
    labels=lambda row: {
        "id": row.id,
        "task": row.task,
        "job": row.task.partition("/")[0],
        "node": row.node_id,
        "state": row.state,
        "health": row.health,
        "version": str(row.version),
        "wanted": "true" if row.wanted else "false",
    },
    tone=tone,
    fault=_run_fault,
    by="AGE",
)
