"""Texts that actions ask for: how many tasks, which ports, where to."""

from orion.model.api.deployments import DeploymentView
from orion.model.api.jobs import MAX_TASKS
from orion.model.api.watch import JobRow, Noun, TaskRow
from orion.model.errors import Refused
from orion.model.hosts import forwarded_ports
from orion.tui.actions.action import Wish
from orion.tui.store import Store


def _count_now(store: Store, job: str) -> str:
    row = store.tables[Noun.JOBS].get(job)
    return str(row.count) if isinstance(row, JobRow) else ""


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_TASKS):
        raise Refused(f"{text!r} is no number of tasks: write 0 to {MAX_TASKS:,}")
    return int(text)


def version(text: str) -> int | None:
    """Returns the version, None for the last healthy one."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Refused(f"{text!r} is no version: write its number, or nothing for the last healthy one")
    return int(text)


def labels(text: str) -> dict[str, str | None]:
    """Returns what is set, and as None what is taken away."""
    found: dict[str, str | None] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals and name:
            found[name] = value
        elif word.endswith("-") and len(word) > 1:
            found[word[:-1]] = None
        else:
            raise Refused(f"{word!r} is no label: write name=value, or name- to take it away")
    if not found:
        raise Refused("write name=value, or name- to take a label away")
    return found


def _first_port(store: Store, task: str) -> str:
    row = store.tables[Noun.TASKS].get(task)
    ports = (
        [port.partition("/")[0] for port in row.ports if not port.endswith("/udp")]
        if isinstance(row, TaskRow)
        else []
    )
    return f"0:{ports[0]}" if ports else ""


def _nothing(store: Store, key: str) -> str:
    del store, key
    return ""


def _former_version(store: Store, deployment: str) -> str:
    """Returns the version that the job was at before a deployment."""
    row = store.tables[Noun.DEPLOYMENTS].get(deployment)
    if not isinstance(row, DeploymentView):
        return ""
    before = row.from_version if row.before is None else row.before
    return "" if before is None else str(before)


COUNT = Wish("how many tasks?", _count_now, _count)
VERSION = Wish("to which version?", _nothing, version, "nothing: the last healthy one, else the one before")
VERSION_BEFORE = VERSION._replace(first=_former_version)
PORTS = Wish(
    "which port?", _first_port, forwarded_ports, "LOCAL:PORT, as in 8080:80; 0:80 for any that is free here"
)
TARGET = Wish("to which node?", _nothing, str, "nothing: one where its tasks fit")
LABELS = Wish("which labels?", _nothing, labels, "disk=ssd sets one, disk- takes it away")
