"""Containers of another cluster on this node's engine: what a former cluster left behind, or one that shares the
engine. Which of the two, nobody can tell from here. So they are named, with the host ports that they hold and how
to end them.
"""

from collections.abc import Iterable, Sequence

from orion.model.container import Container
from orion.model.ids import AllocationId, JobName, NodeId, container_name
from orion.process.config import DOCKER_HOST, Config

MAX_NAMED = 8


def by_cluster(containers: Iterable[Container]) -> dict[int, list[Container]]:
    found: dict[int, list[Container]] = {}
    for container in containers:
        found.setdefault(container.labels.cluster, []).append(container)
    return found


def told(config: Config, cluster: int, containers: Sequence[Container]) -> str:
    """All of `containers` are that cluster's."""
    return (
        f"containers of another cluster ({cluster:016x}) run on this node's engine: {_listed(containers)}."
        f" If that cluster is gone, end them: {_how_to_end(config, cluster)}"
    )


def outcast(config: Config, cluster: int, containers: Sequence[Container]) -> str:
    """Why a node that was to begin a cluster ends: `containers` are its own, of that other cluster."""
    return (
        f"--bootstrap began an empty cluster, but containers that {config.node} started for another one"
        f" ({cluster:016x}) still run here: {_listed(containers)}. The data directory of that time was lost or"
        " moved, it seems. If it is elsewhere, start with it (--data-dir). If other nodes of that cluster live,"
        f" move {config.data_dir} away and start with --join in place of --bootstrap. If that cluster is gone,"
        f" end what it left and start again: {_how_to_end(config, cluster)}. If it lives and shares this engine,"
        " this node needs another --id than the one there"
    )


def started_by(node: NodeId, containers: Iterable[Container]) -> list[Container]:
    return [container for container in containers if container.labels.node == node]


def _listed(containers: Sequence[Container]) -> str:
    labels = [container.labels for container in containers]
    names = sorted(container_name(JobName(la.job), la.index, AllocationId(la.allocation)) for la in labels)
    held = sorted({port for container in containers for port in container.host_ports})
    ports = f", holding host port{'' if len(held) == 1 else 's'} {_some(map(str, held))}" if held else ""
    return f"{_some(names)}{ports}"


def _some(words: Iterable[str]) -> str:
    every = list(words)
    more = f" and {len(every) - MAX_NAMED} more" if len(every) > MAX_NAMED else ""
    return f"{', '.join(every[:MAX_NAMED])}{more}"


def _how_to_end(config: Config, cluster: int) -> str:
    docker = "docker" if config.docker_host == DOCKER_HOST else f"docker -H {config.docker_host}"
    return f"{docker} rm -f $({docker} ps -aq --filter label=dev.orion.cluster={cluster:016x})"
