"""Options of a task's container: all that Docker can be told of it and most tasks leave as it is."""

import msgspec

from orion.model.levels import since

UNLIMITED = -1

# The `arch` label of nodes that run a platform's programs.
MACHINES = {
    "linux/amd64": "x86_64",
    "linux/arm64": "aarch64",
    "linux/arm64/v8": "aarch64",
    "linux/arm/v7": "armv7l",
    "linux/arm/v6": "armv6l",
    "linux/riscv64": "riscv64",
    "linux/ppc64le": "ppc64le",
    "linux/s390x": "s390x",
    "linux/loong64": "loongarch64",
}
RUNTIME_LABEL = "runtime."
# Every engine has these, so no node says that it does.
COMMON_RUNTIMES = frozenset({"runc", "io.containerd.runc.v2"})

Pairs = tuple[tuple[str, str], ...]  # sorted


@since(2)
class Ulimit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A limit of each process; UNLIMITED is none."""

    name: str
    soft: int
    hard: int


@since(2)
class DeviceMapping(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A device of the node, and its path in the container."""

    host: str
    container: str
    permissions: str = "rwm"  # read, write, mknod


@since(2)
class DeviceRequest(msgspec.Struct, frozen=True, array_like=True):
    """Devices that a driver of the engine chooses: `count` of them, UNLIMITED for all, or those with the `ids`."""

    driver: str = ""
    count: int = 0
    ids: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()  # all of these


@since(2)
class DeviceRate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A weight or a limit a second for one block device."""

    path: str
    rate: int


@since(2)
class ContainerOptions(msgspec.Struct, frozen=True, array_like=True):
    """Each is as Docker has it, unless it says otherwise; by default the image or the engine has the choice."""

    entrypoint: tuple[str, ...] = ()  # one empty word: none, whatever the image has
    working_dir: str = ""
    labels: Pairs = ()
    init: bool = False
    tty: bool = False
    stdin_open: bool = False
    read_only: bool = False
    stop_signal: str = ""
    group_add: tuple[str, ...] = ()
    domainname: str = ""
    pull_policy: str = ""  # always, never; empty: what the node lacks is pulled
    platform: str = ""
    runtime: str = ""
    templates: bool = False  # texts of the spec hold some (model/templates.py)
    # Without a limit of its own the task may use as much memory as it reserves, and any core that is idle.
    memory_limit_bytes: int = 0
    memory_swap_bytes: int = 0  # memory and swap together; 0: no swap
    memory_swappiness: int | None = None
    cpu_limit_millis: int = 0
    cpu_shares: int = 0
    cpu_quota_us: int = 0
    cpu_period_us: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int = 0  # 0: the node's
    shm_bytes: int = 0
    oom_score_adj: int = 0
    oom_kill_disable: bool = False
    blkio_weight: int = 0
    blkio_device_weights: tuple[DeviceRate, ...] = ()
    device_read_bps: tuple[DeviceRate, ...] = ()
    device_write_bps: tuple[DeviceRate, ...] = ()
    device_read_iops: tuple[DeviceRate, ...] = ()
    device_write_iops: tuple[DeviceRate, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()  # sorted by name
    sysctls: Pairs = ()
    storage_opt: Pairs = ()
    cgroup_parent: str = ""
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    privileged: bool = False
    userns_mode: str = ""
    ipc_mode: str = ""
    pid_mode: str = ""
    uts_mode: str = ""
    cgroupns_mode: str = ""
    devices: tuple[DeviceMapping, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    device_requests: tuple[DeviceRequest, ...] = ()
    tmpfs: Pairs = ()  # path -> options
    log_driver: str = ""
    log_options: Pairs = ()
    network_mode: str = ""  # bridge, host, none; empty: bridge
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: Pairs = ()
    mac_address: str = ""

    @property
    def node_labels(self) -> Pairs:
        """Labels that a node must have to run the container."""
        labels = []
        if self.platform:
            labels += [("os", "linux"), ("arch", MACHINES.get(self.platform, self.platform))]
        if self.runtime and self.runtime not in COMMON_RUNTIMES:
            labels.append((f"{RUNTIME_LABEL}{self.runtime}", "true"))
        return tuple(labels)
