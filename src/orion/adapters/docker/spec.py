"""A task spec as Docker's container configuration, and Orion's labels as values and back."""

import re
from collections.abc import Sequence
from typing import Any

from orion.adapters.docker.options import add_options
from orion.model.allocation import Allocation
from orion.model.container import Attachment, Labels, Mount, SharedNamespaces
from orion.model.errors import EngineError
from orion.model.health import CheckKind, HealthCheck
from orion.model.ids import AllocationId, JobName, NodeId, allocation_text, task_id
from orion.model.job import TaskSpec

PREFIX = "dev.orion."
# Roughly Docker's grammar (github.com/distribution/reference); its point here is that nothing else gets into a URL.
_IMAGE = r"[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[A-Za-z0-9][A-Za-z0-9._-]*)*(:[\w.-]+)?(@[\w+.-]+:[0-9a-fA-F]+)?"
# One task that forks without end must not take the machine's other processes with it. Far more than a service has;
# Podman's default is 2,048.
PIDS_LIMIT = 4_096
# Enough to read back what happened, and no task can fill the disk with words.
_LOG_CONFIG = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
_NS_OF_MS = 1_000_000


def image_name(image: str) -> str:
    """With the tag `latest` where neither tag nor digest is given.

    Raises EngineError when it can't be the name of an image.
    """
    if not re.fullmatch(_IMAGE, image):
        raise EngineError(f"{image!r} is not the name of an image", permanent=True)
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def container_config(
    allocation: Allocation,
    spec: TaskSpec,
    labels: Labels,
    pids_limit: int = PIDS_LIMIT,
    share: SharedNamespaces = SharedNamespaces(),  # noqa: B008 -- frozen
    attach: Attachment | None = None,
    mounts: Sequence[Mount] = (),
) -> dict[str, Any]:
    """The body of POST /containers/create. `pids_limit` 0: none."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port, host_port in zip(spec.ports, allocation.ports, strict=True):
        binding = {"HostPort": str(host_port)}
        if port.host_ip:  # without one on every address of the machine, as `docker run -p`
            binding["HostIp"] = port.host_ip
        bindings.setdefault(str(port), []).append(binding)
    host: dict[str, Any] = {
        "PortBindings": bindings,
        "CpuShares": cpu_shares(spec.resources.cpu_millis),
        "RestartPolicy": {"Name": "no"},  # restarting is Orion's: Docker would do it behind its back
        "LogConfig": _LOG_CONFIG,
    }
    if pids_limit:
        host["PidsLimit"] = pids_limit
    host |= _shared(share)
    if spec.resources.memory_bytes > 0:
        # MemorySwap is memory and swap together: equal means none. Unset, Docker doubles the limit with swap.
        host |= {"Memory": spec.resources.memory_bytes, "MemorySwap": spec.resources.memory_bytes}
    config: dict[str, Any] = {
        "Image": image_name(spec.image),
        "Env": _environment(spec, labels),
        "Labels": label_texts(labels),
        "ExposedPorts": {port: {} for port in bindings},
        "StopTimeout": grace_seconds(spec.stop_grace_ms),
        "HostConfig": host,
    }
    config |= {key: value for key, value in _given(spec).items() if value}
    if spec.health is not None and spec.health.kind is CheckKind.DOCKER and spec.health.command:
        config["Healthcheck"] = _health_check(spec.health)
    if spec.options is not None:
        add_options(config, spec.options, spec.resources.memory_bytes)
    if attach is not None:
        _attach(config, attach)
    if mounts:
        host.setdefault("Mounts", []).extend(_mount(each) for each in mounts if not each.device)
        if devices := [_device(each) for each in mounts if each.device]:
            host.setdefault("Devices", []).extend(devices)
    return config


def _mount(mount: Mount) -> dict[str, Any]:
    """A volume without a name goes with its container, but not what is at its device; of a bind the engine copies
    nothing out of the image.
    """
    shown = {"Target": mount.target, "ReadOnly": mount.read_only}
    if not mount.copies:
        options = {"BindOptions": {"Propagation": "rshared"}} if mount.shared else {}
        return {"Type": "bind", "Source": mount.source, **shown, **options}
    device = {"type": "none", "o": "bind", "device": mount.source}
    return {"Type": "volume", **shown, "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": device}}}


def _device(mount: Mount) -> dict[str, str]:
    permissions = "r" if mount.read_only else "rwm"
    return {"PathOnHost": mount.source, "PathInContainer": mount.target, "CgroupPermissions": permissions}


def _given(spec: TaskSpec) -> dict[str, Any]:
    """Empty ones are the image's, or the engine's, to say."""
    return {"Cmd": list(spec.command), "User": spec.user, "Hostname": spec.hostname}


def _attach(config: dict[str, Any], attach: Attachment) -> None:
    config["HostConfig"]["NetworkMode"] = attach.network
    if attach.dns:
        config["HostConfig"].setdefault("Dns", [attach.dns])
    if attach.search:
        config["HostConfig"].setdefault("DnsSearch", [attach.search])
    config["NetworkingConfig"] = {"EndpointsConfig": {attach.network: place(attach.address)}}


def place(address: str) -> dict[str, Any]:
    """A container's address on a network, as the Engine API has it."""
    return {"IPAMConfig": {"IPv4Address": address}}


def _health_check(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": ["CMD", *check.command],
        "Interval": check.interval_ms * _NS_OF_MS,
        "Timeout": check.timeout_ms * _NS_OF_MS,
        "StartPeriod": check.start_period_ms * _NS_OF_MS,
        "Retries": check.retries,
    }


def _shared(share: SharedNamespaces) -> dict[str, str]:
    modes = {"NetworkMode": share.network, "PidMode": share.pid}
    return {mode: f"container:{container}" for mode, container in modes.items() if container}


def cpu_shares(cpu_millis: int) -> int:
    """Docker's weight for this many thousandths of a core: 1024 is one core's worth, 2 is the least.

    A weight, not a quota. The scheduler gives away no more cores than there are, so under contention each task gets
    at least what it asked for, and idle cores are anybody's. A task that asked for nothing gets what others leave.
    """
    return max(2, cpu_millis * 1024 // 1000)


def grace_seconds(grace_ms: int) -> int:
    """Docker counts whole seconds; rounded up, so that nobody gets less than promised."""
    return -(-grace_ms // 1000)


def _environment(spec: TaskSpec, labels: Labels) -> list[str]:
    """Returns what the task was given, and who it is unless it was given that too."""
    values = {
        "ORION_ALLOCATION": allocation_text(AllocationId(labels.allocation)),
        "ORION_ALLOC_INDEX": str(labels.index),
        "ORION_NODE": labels.node,
        "ORION_TASK": task_id(JobName(labels.job), labels.index),
    } | dict(spec.env)
    return [f"{name}={value}" for name, value in values.items()]


def cluster_text(cluster: int) -> str:
    return f"{cluster:016x}"


def label_texts(labels: Labels) -> dict[str, str]:
    return {
        f"{PREFIX}cluster": cluster_text(labels.cluster),
        f"{PREFIX}node": labels.node,
        f"{PREFIX}job": labels.job,
        f"{PREFIX}task": task_id(JobName(labels.job), labels.index),
        f"{PREFIX}allocation": allocation_text(AllocationId(labels.allocation)),
    }


def labels_from(texts: dict[str, str]) -> Labels | None:
    """None when they are not all there or not Orion's: somebody may have written them by hand."""
    try:
        job, _, index = texts[f"{PREFIX}task"].rpartition("/")
        if job != texts[f"{PREFIX}job"]:
            return None
        return Labels(
            cluster=int(texts[f"{PREFIX}cluster"], 16),
            node=NodeId(texts[f"{PREFIX}node"]),
            job=job,
            index=int(index),
            allocation=int(texts[f"{PREFIX}allocation"], 16),
        )
    except (KeyError, ValueError):
        return None
