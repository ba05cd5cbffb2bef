"""All that is known of a node, a deployment, a volume, a network or a config, in lines."""

from collections.abc import Iterable, Iterator

from orion.model.api.configs import ConfigView
from orion.model.api.deployments import DeploymentView
from orion.model.api.network import NetworkDetailView
from orion.model.api.nodes import Amounts, NodeView
from orion.model.api.volumes import VolumeView
from orion.model.api.watch import TaskRow
from orion.model.counts import several
from orion.model.resources import amount_text, bytes_text, is_written, size_text
from orion.tui.lines import Line, fields, plain, table
from orion.tui.texts.words import age_of, since

MOST_TASKS = 1_000  # that are listed


def section(title: str, lines: Iterable[Line]) -> Iterator[Line]:
    """Yields the lines below their title, with an empty line before it; nothing where there are none."""
    found = list(lines)
    if found:
        yield ()
        yield plain(title, "title")
        yield from found


def pairs(labels: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in labels.items())


def node_lines(node: NodeView, tasks: Iterable[TaskRow]) -> Iterator[Line]:
    yield from fields(
        (
            ("status", node.status),
            ("role", node.role),
            ("why it takes no work", node.reason),
            ("ip", node.ip),
            ("API", node.api_address),
            ("version", node.version),
            ("labels", pairs(node.labels)),
            (
                "labels said over its own",
                pairs({k: "(taken away)" if v is None else v for k, v in node.label_changes.items()}),
            ),
        )
    )
    yield from section(
        "Resources",
        table(
            ("", "given", "of", "used by all programs"),
            (
                ("cpu", f"{node.cpu.given:g}", f"{node.cpu.total:g} cores", _cores(node.cpu)),
                ("memory", *_bytes(node.memory)),
                ("disk", *_bytes(node.disk)),
            ),
        ),
    )
    yield from section(f"Tasks ({node.tasks:,})", task_table(tasks))


def _cores(amounts: Amounts) -> str:
    return "not known" if amounts.used is None else f"{amounts.used:.2f}"


def _bytes(amounts: Amounts) -> tuple[str, str, str]:
    """Returns what is given, all, and what is used, in one kind of units: that in which a person wrote them."""
    like = int(amounts.total if is_written(int(amounts.total)) else amounts.given)
    used = "not known" if amounts.used is None else size_text(int(amounts.used), like=like)
    return size_text(int(amounts.given), like=like), size_text(int(amounts.total), like=like), used


def task_table(tasks: Iterable[TaskRow], *, node: bool = False) -> Iterator[Line]:
    """Yields tasks with their states, and with `node` where they are."""
    found = list(tasks)
    rows = (
        (task.id, task.state, task.health, *((task.node_id,) if node else ()), age_of(task.created_at), task.reason)
        for task in found[:MOST_TASKS]
    )
    yield from table(("task", "state", "health", *(("node",) if node else ()), "age", "reason"), rows)
    if len(found) > MOST_TASKS:
        yield plain(f"  and {len(found) - MOST_TASKS:,} more", "dim")


def deployment_lines(row: DeploymentView) -> Iterator[Line]:
    before = "" if row.from_version is None else str(row.from_version)
    yield from fields(
        (
            ("job", row.job),
            ("kind", row.kind),
            ("state", row.state),
            ("from version", before),
            ("to version", str(row.to_version)),
            ("goes back", "yes" if row.rolling_back else ""),
            ("promoted", "yes" if row.promoted else ""),
            ("began", since(row.started_at)),
            ("ended", since(row.ended_at)),
        )
    )
    if row.progress is not None:
        told = row.progress
        yield from section(
            "Progress",
            fields(
                (
                    ("tasks", str(told.tasks)),
                    ("updated", str(told.updated)),
                    ("of these ready", str(told.ready)),
                    ("available, of any version", str(told.available)),
                ),
                "  ",
            ),
        )
    yield from section("Why", (plain(row.reason, "warn"),) if row.reason else ())


def volume_lines(volume: VolumeView) -> Iterator[Line]:
    size = "" if volume.size is None else f"{bytes_text(volume.size.bytes)} in {several(volume.size.files, 'file')}"
    yield from fields(
        (
            ("kind", volume.kind),
            ("driver", volume.driver),
            ("state", volume.state),
            ("node", volume.node_id or "any, at its first task"),
            ("in use", "yes" if volume.in_use else "no"),
            ("used by", ", ".join(volume.used_by)),
            ("slot", "" if volume.slot is None else str(volume.slot)),
            ("size", size or volume.size_reason),
            ("labels", pairs(volume.labels)),
            ("made", since(volume.created_at)),
            ("last used", since(volume.used_at)),
        )
    )
    if volume.move is not None:
        move = volume.move
        far = (
            amount_text(move.copied_bytes, move.total_bytes) if move.total_bytes else bytes_text(move.copied_bytes)
        )
        rows = (("to", move.to), ("copied", far), ("waits for", move.reason))
        yield from section("On its way to another node", fields(rows, "  "))


def network_lines(network: NetworkDetailView) -> Iterator[Line]:
    yield from fields(
        (
            ("internal", "yes: there is no way from it to elsewhere" if network.internal else "no"),
            ("number (VXLAN)", str(network.vni)),
            ("bridge", network.bridge),
            ("device", network.device),
            ("made", since(network.created_at) or "it is the default network"),
            ("jobs", ", ".join(network.jobs)),
        )
    )
    subnets = ((each.node_id, each.subnet, str(each.addresses)) for each in network.subnets)
    yield from section("Nodes", table(("node", "subnet", "addresses given"), subnets))
    tasks = ((each.task, each.address, each.node_id, "ready" if each.ready else "") for each in network.tasks)
    yield from section("Tasks", table(("task", "address", "node", ""), tasks))


def config_lines(config: ConfigView, value: bytes) -> Iterator[Line]:
    yield from fields(
        (
            ("version", str(config.version)),
            ("size", bytes_text(config.size)),
            ("made", since(config.created_at)),
            ("changed", since(config.changed_at)),
        )
    )
    yield from section("Value", _value_lines(value, folder=config.folder))


def _value_lines(value: bytes, *, folder: bool) -> Iterator[Line]:
    from orion.model.printable import plain as printable

    if folder:
        yield plain("a folder, as a tar: 'orion config get' unpacks it", "dim")
        return
    try:
        text = value.decode()
    except UnicodeDecodeError:
        yield plain(f"{several(len(value), 'byte')} that are no text", "dim")
        return
    for line in text.splitlines():
        yield plain(printable(line))
