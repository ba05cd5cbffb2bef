"""Limits: the share of its node that a container may use."""

import re
from typing import Annotated, Any

import msgspec

from orion.model.api.container.program import ProgramFields
from orion.model.api.container.rules import PLAIN_PATH, apart, option, pairs, text, whole
from orion.model.api.fields import Option, Reading, none_or, schema
from orion.model.api.rules import read_cpu, read_memory, show_cpu
from orion.model.container_options import UNLIMITED, DeviceRate, Ulimit
from orion.model.errors import shown
from orion.model.limits import MAX_BYTES, MAX_CPU, MIN_CPU, MIN_MEMORY_BYTES

MAX_DEVICES = 64
MAX_RATE = 1 << 50
MAX_QUOTA_US = 1_000_000_000_000  # 10,000 seconds of each 10 ms: more than any machine's
_BELOW_NR_OPEN = 1_073_741_816  # systemd's fs.nr_open: nobody may open more files


def read_memory_limit(count: int, reading: Reading) -> int:
    reserved = reading.request.memory
    if 0 < count < reserved:
        reading.wrong(f"{reading.name} is {count} bytes, less than the {reserved} of memory that are reserved")
    return read_memory(count, reading)


def read_memory_swap(count: int, reading: Reading) -> int:
    """Docker takes it beside a limit only, and not below that."""
    limit = reading.request.memory_limit or reading.request.memory
    if count in {0, UNLIMITED}:
        if count and not limit:
            reading.wrong(f"{reading.name} goes together with a limit of memory: give memory or memoryLimit too")
        return count
    if not 0 < count <= MAX_BYTES:
        reading.wrong(f"{reading.name} is {count}: give bytes, -1 for no limit, or 0 for no swap")
    elif not limit:
        reading.wrong(f"{reading.name} goes together with a limit of memory: give memory or memoryLimit too")
    elif count < limit:
        reading.wrong(
            f"{reading.name} is memory and swap together: {count} bytes can't go together with {limit} of memory"
        )
    return count


def read_cpu_limit(cores: float, reading: Reading) -> int:
    request = reading.request
    if cores:
        apart(
            reading, (bool(request.cpu_quota or request.cpu_period), "cpuQuota and cpuPeriod, which say the same")
        )
    if 0 < cores < request.cpu:
        reading.wrong(f"{reading.name} is {cores:g} cores, less than the {request.cpu:g} of cpu that are reserved")
    return read_cpu(cores, reading)


CPUS = r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*"
_CPUS_WORDS = "is no list of numbers: write it as in 0-3,6"


def read_cpus(given: str, reading: Reading) -> str:
    if given and (len(given) > 1_024 or not re.fullmatch(CPUS, given)):
        reading.wrong(f"{reading.name} {shown(given)} {_CPUS_WORDS}")
        return ""
    for part in given.split(","):
        first, _, last = part.partition("-")
        if last and int(first) > int(last):
            reading.wrong(f"{reading.name} {shown(part)} runs backwards: write the smaller number first")
    return given


# --- limits of processes -----------------------------------------------------------------------------------

ULIMIT_NAMES = "core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack"
_AMOUNT = r"(-1|[0-9]{1,18})"
_LimitText = Annotated[str, schema(pattern=rf"^{_AMOUNT}(:{_AMOUNT})?$")]


def read_ulimits(given: dict[str, str], reading: Reading) -> tuple[Ulimit, ...]:
    found = []
    for name, value in given.items():
        match = re.fullmatch(rf"{_AMOUNT}(?::{_AMOUNT})?", value)
        if not re.fullmatch(ULIMIT_NAMES, name):
            known = ULIMIT_NAMES.replace("|", ", ")
            reading.wrong(f"{reading.name} {shown(name)} is not known: use {known}", name)
        elif match is None:
            reading.wrong(
                f"{reading.name} {name} {shown(value)} is no limit: write a number, soft:hard, or -1 for none", name
            )
        else:
            soft, hard = int(match[1]), int(match[2] or match[1])
            if hard not in {soft, UNLIMITED} and not 0 <= soft <= hard:
                reading.wrong(f"{reading.name} {name} {value}: the soft limit runs past the hard one", name)
            elif name == "nofile" and not 0 <= hard <= _BELOW_NR_OPEN:
                reading.wrong(
                    f"{reading.name} nofile {value} runs past what Linux allows: at most {_BELOW_NR_OPEN}", name
                )
            found.append(Ulimit(name, soft, hard))
    return tuple(sorted(found, key=lambda each: each.name))


def show_ulimits(limits: tuple[Ulimit, ...]) -> dict[str, str]:
    return {each.name: f"{each.soft}" if each.soft == each.hard else f"{each.soft}:{each.hard}" for each in limits}


# --- block devices -----------------------------------------------------------------------------------------

DEVICE_PATH = rf"(?=/dev/){PLAIN_PATH}"


def _rates(least: int, most: int) -> dict[str, Any]:
    def read(given: dict[str, int], reading: Reading) -> tuple[DeviceRate, ...]:
        for path, rate in given.items():
            if len(path) > 1_024 or not re.fullmatch(DEVICE_PATH, path):
                reading.wrong(f"{reading.name} {shown(path)} is no device: write its path, as in /dev/sda", path)
            elif not least <= rate <= most:
                reading.wrong(f"{reading.name} {path} is {rate}: give {least} to {most}", path)
        return tuple(DeviceRate(path, rate) for path, rate in sorted(given.items()))

    return {
        "read": read,
        "show": lambda rates: {each.path: each.rate for each in rates},
        "max_length": MAX_DEVICES,
        "propertyNames": {"pattern": f"^{DEVICE_PATH}$", "maxLength": 1_024},
    }


_Weight = Annotated[int, schema(minimum=10, maximum=1_000)]
_Rate = Annotated[int, schema(minimum=1, maximum=MAX_RATE)]


# --- the kernel's settings ---------------------------------------------------------------------------------

_IPC_SYSCTL = r"kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.[a-z0-9_]+"
SYSCTL = rf"{_IPC_SYSCTL}|net(\.[A-Za-z0-9_/-]+)+"


def _refuse_hosts(name: str, _: str, reading: Reading) -> None:
    request = reading.request
    if name.startswith("net.") and request.network_mode == "host":
        reading.wrong(f"{reading.name} {name} and the host's network don't go together", name)
    elif not name.startswith("net.") and request.ipc_mode == "host":
        reading.wrong(f"{reading.name} {name} and the host's IPC don't go together", name)


class LimitFields(ProgramFields, msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    memory_limit: Annotated[
        int,
        option(
            "The most memory that it may use, where that is more than it reserves.",
            note="Bytes; 0: what it reserves.",
            spec="options.memory_limit_bytes",
            read=read_memory_limit,
            anyOf=none_or(MIN_MEMORY_BYTES, MAX_BYTES),
            option=Option(("--memory-limit",), kind="size", also="As in 1g.", default="--memory"),
        ),
    ] = 0
    memory_swap: Annotated[
        int,
        option(
            "The most memory and swap together.",
            note="Bytes; -1: any amount of swap; 0: no swap.",
            spec="options.memory_swap_bytes",
            read=read_memory_swap,
            minimum=-1,
            maximum=MAX_BYTES,
            option=Option(("--memory-swap",), kind="swap", also="As in 2g; -1 for any amount.", default="no swap"),
        ),
    ] = 0
    memory_swappiness: Annotated[
        int | None,
        option(
            "How readily its memory is swapped, 0 to 100. Nothing on machines with cgroup v2.",
            **whole(0, 100),
            option=Option(("--memory-swappiness",), "0-100"),
        ),
    ] = None
    cpu_limit: Annotated[
        float,
        option(
            "The most cores that it may use, as in 1.5.",
            note="0: any that are idle.",
            spec="options.cpu_limit_millis",
            read=read_cpu_limit,
            show=show_cpu,
            anyOf=none_or(MIN_CPU, MAX_CPU),
            option=Option(("--cpu-limit",), "CORES"),
        ),
    ] = 0.0
    cpu_shares: Annotated[
        int,
        option(
            "Its weight when the machine is busy.",
            note="0: from the cores that it reserves, 1024 for each.",
            **whole(2, 262_144, none="what its cores come to"),
            option=Option(("--cpu-shares",), "WEIGHT", default="1024 for each core reserved"),
        ),
    ] = 0
    cpu_quota: Annotated[
        int,
        option(
            "Microseconds that it may run for in each period.",
            spec="options.cpu_quota_us",
            **whole(1_000, MAX_QUOTA_US, none="no limit"),
            option=Option(("--cpu-quota",), "MICROSECONDS"),
        ),
    ] = 0
    cpu_period: Annotated[
        int,
        option(
            "Microseconds of a period.",
            spec="options.cpu_period_us",
            **whole(1_000, 1_000_000, none="Docker's 100000"),
            option=Option(("--cpu-period",), "MICROSECONDS", default="100000"),
        ),
    ] = 0
    cpuset_cpus: Annotated[
        str,
        option(
            "The processors of its node that it may run on.",
            read=read_cpus,
            pattern=rf"^({CPUS})?$",
            maxLength=1_024,
            option=Option(("--cpuset-cpus",), "NUMBERS", also="As in 0-3,6."),
        ),
    ] = ""
    cpuset_mems: Annotated[
        str,
        option(
            "The memory nodes (NUMA) that it may use.",
            read=read_cpus,
            pattern=rf"^({CPUS})?$",
            maxLength=1_024,
            option=Option(("--cpuset-mems",), "NUMBERS"),
        ),
    ] = ""
    pids_limit: Annotated[
        int,
        option(
            "Processes and threads that it may have.",
            note="-1: any number; 0: as its node has it (4096).",
            **whole(-1, 4_194_304),
            option=Option(("--pids-limit",), "COUNT", also="-1 for no limit.", default="its node's, 4096"),
        ),
    ] = 0
    shm_size: Annotated[
        int,
        option(
            "The size of its /dev/shm.",
            note="Bytes; 0: the engine's default, 64 MiB.",
            spec="options.shm_bytes",
            **whole(4_096, MAX_BYTES, " bytes", none="64 MiB"),
            option=Option(("--shm-size",), kind="size", default="64m"),
        ),
    ] = 0
    oom_score_adj: Annotated[
        int,
        option(
            "How readily it is killed when the machine's memory is short, -1000 (not) to 1000.",
            **whole(-1_000, 1_000),
            option=Option(("--oom-score-adj",), "NUMBER"),
        ),
    ] = 0
    oom_kill_disable: Annotated[
        bool,
        option(
            "It is not killed when it has used its memory. Nothing on machines with cgroup v2.",
            option=Option(("--oom-kill-disable",)),
        ),
    ] = False
    blkio_weight: Annotated[
        int,
        option(
            "Its weight among those that read and write disks.",
            **whole(10, 1_000, none="the engine's default"),
            option=Option(("--blkio-weight",), "10-1000"),
        ),
    ] = 0
    blkio_device_weights: Annotated[
        dict[str, _Weight],
        option(
            "Such weights, of single disks.",
            **_rates(10, 1_000),
            option=Option(("--blkio-weight-device",), "DEVICE:WEIGHT", "rate"),
        ),
    ] = {}
    device_read_bps: Annotated[
        dict[str, _Rate],
        option(
            "The most bytes a second that it reads from a disk.",
            **_rates(1, MAX_RATE),
            option=Option(("--device-read-bps",), "DEVICE:SIZE", "rate", also="As in /dev/sda:10m."),
        ),
    ] = {}
    device_write_bps: Annotated[
        dict[str, _Rate],
        option(
            "The most bytes a second that it writes to a disk.",
            **_rates(1, MAX_RATE),
            option=Option(("--device-write-bps",), "DEVICE:SIZE", "rate"),
        ),
    ] = {}
    device_read_iops: Annotated[
        dict[str, _Rate],
        option(
            "The most reads a second from a disk.",
            **_rates(1, MAX_RATE),
            option=Option(("--device-read-iops",), "DEVICE:COUNT", "rate"),
        ),
    ] = {}
    device_write_iops: Annotated[
        dict[str, _Rate],
        option(
            "The most writes a second to a disk.",
            **_rates(1, MAX_RATE),
            option=Option(("--device-write-iops",), "DEVICE:COUNT", "rate"),
        ),
    ] = {}
    ulimits: Annotated[
        dict[str, _LimitText],
        option(
            "Limits of each process, as in nofile: 1024:4096 (soft:hard).",
            read=read_ulimits,
            show=show_ulimits,
            propertyNames={"enum": ULIMIT_NAMES.split("|")},
            option=Option(("--ulimit",), "NAME=SOFT[:HARD]", "word"),
        ),
    ] = {}
    sysctls: Annotated[
        dict[str, Annotated[str, schema(pattern=r"^[^\x00\n]+$", maxLength=1_024)]],
        option(
            "Kernel settings of its container alone.",
            **pairs(
                SYSCTL,
                "is not a container's own: those are net.*, fs.mqueue.* and kernel.msg*, sem and shm*",
                r"[^\x00\n]+",
                "is no value: write one line of text",
                longest=1_024,
                also=_refuse_hosts,
            ),
            option=Option(("--sysctl",), "NAME=VALUE", "word"),
        ),
    ] = {}
    storage_opt: Annotated[
        dict[str, Annotated[str, schema(pattern=r"^[1-9][0-9]{0,12}[kKmMgGtT]?$")]],
        option(
            "Options of the engine's storage driver: size, if its disk can limit that.",
            **pairs(
                "size",
                "is not known: the only one is size",
                r"[1-9][0-9]{0,12}[kKmMgGtT]?",
                "is no size: write it as in 10G",
            ),
            option=Option(("--storage-opt",), "size=SIZE", "word"),
        ),
    ] = {}
    cgroup_parent: Annotated[
        str,
        option(
            "The cgroup that its own is made in: as the engine's driver has it, as in tasks.slice or /tasks.",
            **text(
                r"/?[A-Za-z0-9_][A-Za-z0-9_.@:-]*(/[A-Za-z0-9_][A-Za-z0-9_.@:-]*)*",
                "is no cgroup: write it as in tasks.slice or /tasks",
                most=255,
            ),
            option=Option(("--cgroup-parent",), "NAME", default="the engine's"),
        ),
    ] = ""
