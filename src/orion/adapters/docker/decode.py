"""The answers of GET /containers/{id}/json and /info as values."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orion.adapters.docker.spec import labels_from
from orion.model.container import Container, ContainerState, EndCause, EngineInfo, Labels, SharedNamespaces
from orion.model.health import CheckResult, Health
from orion.model.ids import AllocationId, JobName, container_name
from orion.model.resources import Resources

# Docker's own network. It is made anew, with another id, whenever an engine starts (but by one that lets containers
# live on over its restart, while some do).
BRIDGE = "bridge"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATES = {
    "created": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "paused": ContainerState.RUNNING,
    "restarting": ContainerState.RUNNING,
}
_HEALTH = {each.value: each for each in Health}
MAX_OUTPUT = 1024  # characters of what a HEALTHCHECK has written
MAX_RESULTS = 5  # of a HEALTHCHECK, as many as Docker keeps


def container(shown: dict[str, Any], cause: Callable[[dict[str, Any]], EndCause]) -> Container | None:
    """None when it is not Orion's. `cause` is asked of one that has ended."""
    labels = _labels(shown["Config"]["Labels"], [shown["Name"]])
    if labels is None:
        return None
    state = shown["State"]
    kind = _state(state["Status"])
    exited = kind is ContainerState.EXITED
    started_at_ms = unix_ms(state["StartedAt"])
    # While it runs, Docker still shows the end of the run before. And the end of a short run may be noted a moment
    # before its start.
    finished_at_ms = max(unix_ms(state["FinishedAt"]), started_at_ms) if exited else 0
    return Container(
        id=shown["Id"],
        labels=labels,
        state=kind,
        host_ports=_host_ports(shown["HostConfig"].get("PortBindings") or {}),
        exit_code=state["ExitCode"] if exited else None,
        error=state.get("Error") or "",
        cause=cause(shown) if exited else EndCause.ITSELF,
        oom_killed=bool(state.get("OOMKilled")) and exited,
        started_at_ms=started_at_ms,
        finished_at_ms=finished_at_ms,
        address=_address(shown.get("NetworkSettings") or {}, str(shown["HostConfig"].get("NetworkMode") or "")),
        paused=state["Status"] == "paused",
        health=_HEALTH.get(str((state.get("Health") or {}).get("Status")), Health.NONE),
        health_output=_health_output(state.get("Health") or {}),
        health_log=_health_log(state.get("Health") or {}),
        shares=_shares(shown["HostConfig"]),
        pid=int(state.get("Pid") or 0) if kind is ContainerState.RUNNING else 0,
    )


def _shares(host: dict[str, Any]) -> SharedNamespaces:
    def of(mode: str) -> str:
        kind, _, container = str(host.get(mode) or "").partition(":")
        return container if kind == "container" else ""

    return SharedNamespaces(of("NetworkMode"), of("PidMode"))


def _health_output(shown: dict[str, Any]) -> str:
    results = shown.get("Log") or ()
    return str(results[-1].get("Output") or "")[:MAX_OUTPUT] if results else ""


def _health_log(shown: dict[str, Any]) -> tuple[CheckResult, ...]:
    return tuple(_check_result(each) for each in (shown.get("Log") or ())[-MAX_RESULTS:] if each.get("Start"))


def _check_result(shown: dict[str, Any]) -> CheckResult:
    at_ms = unix_ms(shown["Start"])
    return CheckResult(
        at_ms=at_ms,
        ok=shown.get("ExitCode") == 0,
        took_ms=max(0, unix_ms(shown.get("End") or "") - at_ms),
        output=str(shown.get("Output") or "")[:MAX_OUTPUT],
    )


def listed(entry: dict[str, Any]) -> Container | None:
    """From its entry in GET /containers/json, which says neither when it started nor how it ended: no exit code.
    None when it is not Orion's.
    """
    labels = _labels(entry["Labels"], entry["Names"])
    if labels is None:
        return None
    ports = sorted((p for p in entry.get("Ports") or () if p.get("PublicPort")), key=_port_order)
    return Container(
        id=entry["Id"],
        labels=labels,
        state=_state(entry["State"]),
        host_ports=tuple(dict.fromkeys(p["PublicPort"] for p in ports)),  # IPv4 and IPv6 are told apart here
        address=_address(entry.get("NetworkSettings") or {}),
        paused=entry["State"] == "paused",
    )


def _labels(texts: dict[str, str] | None, names: Sequence[str]) -> Labels | None:
    """Orion's are those whose name goes with their labels. Labels alone spread: `docker commit` puts them into the
    image that it makes, and so into every container that somebody makes of that.
    """
    labels = labels_from(texts or {})
    if labels is None:
        return None
    name = container_name(JobName(labels.job), labels.index, AllocationId(labels.allocation))
    return labels if f"/{name}" in names else None


def _port_order(port: dict[str, Any]) -> tuple[int, str]:
    return port["PrivatePort"], port["Type"]


def _state(status: str) -> ContainerState:
    return _STATES.get(status, ContainerState.EXITED)


def _host_ports(bindings: dict[str, list[dict[str, str]] | None]) -> tuple[int, ...]:
    """In the order of the container's ports, then protocols, as in the task spec."""

    def order(item: tuple[str, Any]) -> tuple[int, str]:
        port, _, protocol = item[0].partition("/")
        return int(port), protocol

    return tuple(
        int(binding["HostPort"])
        for _, bound in sorted(bindings.items(), key=order)
        for binding in bound or ()
        if binding["HostPort"]
    )


def addresses(network: dict[str, Any]) -> list[tuple[str, str]]:
    """IPv4 and MAC, by network's name. Newer engines no longer repeat the first ones outside Networks."""
    networks = network.get("Networks") or {}
    return [
        (n["IPAddress"], n.get("MacAddress") or "") for _, n in sorted(networks.items()) if n and n.get("IPAddress")
    ]


def _address(network: dict[str, Any], first: str = "") -> str:
    """Returns that on the network `first`, where it is on that."""
    on_first = ((network.get("Networks") or {}).get(first) or {}).get("IPAddress")
    return str(on_first) if on_first else next((address for address, _ in addresses(network)), "")


def unix_ms(text: str) -> int:
    """Docker's RFC 3339 time; its year 1 means never."""
    return unix_ns(text) // 1_000_000


def unix_ns(text: str) -> int:
    """As unix_ms, rounded down to microseconds."""
    if not text or text.startswith("0001-"):
        return 0
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1_000


def is_of_platform(image: dict[str, Any], platform: str) -> bool:
    """Returns whether an image is one for linux/arm64/v8 and the like; a variant that either does not name is
    any.
    """
    os_, architecture, *variant = platform.split("/")
    has = image.get("Variant") or ""
    return (image["Os"], image["Architecture"]) == (os_, architecture) and (not variant or has in {"", *variant})


def engine_info(shown: dict[str, Any], version: dict[str, Any], *, disk_bytes: int, run: str) -> EngineInfo:
    return EngineInfo(
        id=shown["ID"] or shown["Name"],
        version=version["Version"],
        resources=Resources(shown["NCPU"] * 1000, shown["MemTotal"], disk_bytes),
        run=run,
        runtimes=tuple(sorted(shown.get("Runtimes") or ())),
    )


def boot_id() -> str:
    """Returns the running kernel's, "" when it does not say. Blocks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def file_system_bytes(path: str) -> int:
    """The size of the file system that `path` is on; 0 when it is not on this machine. Blocks."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_blocks * found.f_frsize
