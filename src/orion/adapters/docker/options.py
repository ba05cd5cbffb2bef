"""Options of a container as Docker's configuration has them. Nothing is said of what is as by default."""

from collections.abc import Callable, Sequence
from typing import Any

from orion.model.container_options import ContainerOptions, DeviceRate

Body = dict[str, Any]
_Row = tuple[str, str, Callable[[Any], Any]]

CPU_PERIOD_US = 100_000
_SYSTEM_PATHS = "systempaths=unconfined"  # Docker's command line alone knows it


def _same(value: Any) -> Any:
    return value


def _rates(key: str) -> Callable[[tuple[DeviceRate, ...]], list[dict[str, Any]]]:
    return lambda rates: [{"Path": each.path, key: each.rate} for each in rates]


# Field of ContainerOptions, key in the body, and how the value is written.
_CONFIG: tuple[_Row, ...] = (
    ("entrypoint", "Entrypoint", list),
    ("working_dir", "WorkingDir", _same),
    ("tty", "Tty", _same),
    ("stdin_open", "OpenStdin", _same),
    ("stop_signal", "StopSignal", _same),
    ("domainname", "Domainname", _same),
    ("mac_address", "MacAddress", _same),
)
_HOST: tuple[_Row, ...] = (
    ("init", "Init", _same),
    ("read_only", "ReadonlyRootfs", _same),
    ("group_add", "GroupAdd", list),
    ("runtime", "Runtime", _same),
    ("memory_swappiness", "MemorySwappiness", _same),
    ("cpu_shares", "CpuShares", _same),
    ("cpu_quota_us", "CpuQuota", _same),
    ("cpu_period_us", "CpuPeriod", _same),
    ("cpuset_cpus", "CpusetCpus", _same),
    ("cpuset_mems", "CpusetMems", _same),
    ("shm_bytes", "ShmSize", _same),
    ("oom_score_adj", "OomScoreAdj", _same),
    ("oom_kill_disable", "OomKillDisable", _same),
    ("blkio_weight", "BlkioWeight", _same),
    ("blkio_device_weights", "BlkioWeightDevice", _rates("Weight")),
    ("device_read_bps", "BlkioDeviceReadBps", _rates("Rate")),
    ("device_write_bps", "BlkioDeviceWriteBps", _rates("Rate")),
    ("device_read_iops", "BlkioDeviceReadIOps", _rates("Rate")),
    ("device_write_iops", "BlkioDeviceWriteIOps", _rates("Rate")),
    ("ulimits", "Ulimits", lambda all_: [{"Name": u.name, "Soft": u.soft, "Hard": u.hard} for u in all_]),
    ("sysctls", "Sysctls", dict),
    ("storage_opt", "StorageOpt", dict),
    ("cgroup_parent", "CgroupParent", _same),
    ("cap_add", "CapAdd", list),
    ("cap_drop", "CapDrop", list),
    ("security_opt", "SecurityOpt", lambda all_: [each for each in all_ if each != _SYSTEM_PATHS]),
    ("privileged", "Privileged", _same),
    ("userns_mode", "UsernsMode", _same),
    ("ipc_mode", "IpcMode", _same),
    ("pid_mode", "PidMode", _same),
    ("uts_mode", "UTSMode", _same),
    ("cgroupns_mode", "CgroupnsMode", _same),
    (
        "devices",
        "Devices",
        lambda all_: [
            {"PathOnHost": d.host, "PathInContainer": d.container, "CgroupPermissions": d.permissions} for d in all_
        ],
    ),
    ("device_cgroup_rules", "DeviceCgroupRules", list),
    (
        "device_requests",
        "DeviceRequests",
        lambda all_: [
            {"Driver": d.driver, "Count": d.count, "DeviceIDs": list(d.ids), "Capabilities": [list(d.capabilities)]}
            for d in all_
        ],
    ),
    ("tmpfs", "Tmpfs", dict),
    ("network_mode", "NetworkMode", _same),
    ("dns", "Dns", list),
    ("dns_search", "DnsSearch", list),
    ("dns_options", "DnsOptions", list),
    ("extra_hosts", "ExtraHosts", lambda all_: [f"{name}:{address}" for name, address in all_]),
)
_DEFAULTS = ContainerOptions()


def add_options(config: Body, options: ContainerOptions, memory_bytes: int) -> None:
    """Adds them to the body of POST /containers/create. `memory_bytes`: what is reserved."""
    host: Body = config["HostConfig"]
    _add(config, _CONFIG, options)
    _add(host, _HOST, options)
    config["Labels"] = {**dict(options.labels), **config["Labels"]}
    if options.pids_limit:
        host["PidsLimit"] = options.pids_limit
    if options.cpu_limit_millis:
        # Not NanoCpus, which Docker refuses where the machine has fewer cores.
        host |= {"CpuPeriod": CPU_PERIOD_US, "CpuQuota": options.cpu_limit_millis * CPU_PERIOD_US // 1_000}
    _add_memory(host, options, memory_bytes)
    if _SYSTEM_PATHS in options.security_opt:
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
    if options.log_driver or options.log_options:
        host["LogConfig"] = _log_config(host["LogConfig"], options)


def _add(body: Body, rows: Sequence[_Row], options: ContainerOptions) -> None:
    for field, key, write in rows:
        value = getattr(options, field)
        if value != getattr(_DEFAULTS, field):
            body[key] = write(value)


def _add_memory(host: Body, options: ContainerOptions, reserved: int) -> None:
    limit = options.memory_limit_bytes or reserved
    if not limit:
        return
    # As spec.py has it: without a word about swap there is none.
    host |= {"Memory": limit, "MemorySwap": options.memory_swap_bytes or limit}
    if 0 < reserved < limit:
        host["MemoryReservation"] = reserved


def _log_config(default: Body, options: ContainerOptions) -> Body:
    """Options of json-file come to Orion's own, which bound the disk that it takes."""
    driver = options.log_driver or default["Type"]
    kept = default["Config"] if driver == default["Type"] else {}
    return {"Type": driver, "Config": {**kept, **dict(options.log_options)}}
