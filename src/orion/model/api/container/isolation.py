"""Isolation: a container's rights on its node, and the parts of the node that it sees."""

import re
from typing import Annotated, Any

import msgspec

from orion.model.api.container.limits import LimitFields
from orion.model.api.container.rules import MAX_TEXT, PLAIN_PATH, apart, item, one_of, option, texts
from orion.model.api.fields import Option, Reading, schema
from orion.model.container_options import UNLIMITED, DeviceMapping, DeviceRequest, Pairs
from orion.model.errors import shown

MAX_DEVICES = 64
MAX_REQUESTS = 8
MAX_PROFILE = 64 * 1024  # of seccomp, in characters
_NAMES = (
    "AUDIT_CONTROL|AUDIT_READ|AUDIT_WRITE|BLOCK_SUSPEND|BPF|CHECKPOINT_RESTORE|CHOWN|DAC_OVERRIDE|DAC_READ_SEARCH|"
    "FOWNER|FSETID|IPC_LOCK|IPC_OWNER|KILL|LEASE|LINUX_IMMUTABLE|MAC_ADMIN|MAC_OVERRIDE|MKNOD|NET_ADMIN|"
    "NET_BIND_SERVICE|NET_BROADCAST|NET_RAW|PERFMON|SETFCAP|SETGID|SETPCAP|SETUID|SYSLOG|SYS_ADMIN|SYS_BOOT|"
    "SYS_CHROOT|SYS_MODULE|SYS_NICE|SYS_PACCT|SYS_PTRACE|SYS_RAWIO|SYS_RESOURCE|SYS_TIME|SYS_TTY_CONFIG|WAKE_ALARM"
)
CAPABILITY = rf"ALL|(CAP_)?({_NAMES})"
_CAPABILITY_WORDS = "is no capability of Linux: write it as in NET_ADMIN, or ALL"

_LABEL_OPTION = r"label[=:](disable|(user|role|type|level|filetype)[=:][A-Za-z0-9_.:,-]{1,255})"
SECURITY = (
    rf"no-new-privileges([=:](true|false))?|systempaths=unconfined|apparmor[=:][A-Za-z0-9_./-]{{1,255}}|{_LABEL_OPTION}"
    r"|seccomp[=:](unconfined|builtin|\{[^\x00]*\})"
)
_SECURITY_WORDS = (
    "is no security option: write no-new-privileges, seccomp=unconfined (or the text of a profile), "
    "apparmor=PROFILE, label=type:NAME, label=disable or systempaths=unconfined"
)


def read_security(given: list[str], reading: Reading) -> tuple[str, ...]:
    found: tuple[str, ...] = _SECURITY["read"](given, reading)
    for at, each in enumerate(found):
        kind, _, profile = each.partition("=")
        if kind == "seccomp" and profile.startswith("{") and not _is_json(profile):
            reading.wrong(f"{reading.name} seccomp: its profile runs into what is no JSON", at)
    return found


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


_SECURITY = texts(SECURITY, _SECURITY_WORDS, most=32, longest=MAX_PROFILE)


def _of_others(text: str) -> str:
    """A hint for a mode that names another container."""
    if text.startswith(("container:", "service:")):
        return "; another container's can't be shared, because containers come and go"
    return ""


# --- devices -----------------------------------------------------------------------------------------------

_PATH = r"(/[^/:\x00-\x1f\x7f]{1,63})+"
_PERMISSIONS = "(r|w|m|rw|rm|wr|wm|mr|mw|rwm|rmw|wrm|wmr|mrw|mwr)"
DEVICE = rf"{_PATH}(:{_PATH})?(:{_PERMISSIONS})?"
_DEVICE_WORDS = "is no device: write its path, as in /dev/ttyUSB0 or /dev/sda:/dev/disk:r"
CGROUP_RULE = r"[acb] ([0-9]{1,9}|\*):([0-9]{1,9}|\*) [rwm]{1,3}"


def read_devices(given: list[str], reading: Reading) -> tuple[DeviceMapping, ...]:
    found = []
    for text in _DEVICES["read"](given, reading):
        host, *rest = text.split(":")
        container = rest.pop(0) if rest and rest[0].startswith("/") else host
        found.append(DeviceMapping(host, container, *rest[:1]))
    return tuple(found)


def show_devices(devices: tuple[DeviceMapping, ...]) -> list[str]:
    return [_device_text(each) for each in devices]


def _device_text(device: DeviceMapping) -> str:
    parts = [device.host]
    if device.container != device.host:
        parts.append(device.container)
    if device.permissions != "rwm":
        parts.append(device.permissions)
    return ":".join(parts)


_DEVICES = texts(DEVICE, _DEVICE_WORDS, most=MAX_DEVICES, longest=1_024)

_WORD = r"[A-Za-z0-9][A-Za-z0-9._:/=-]{0,127}"
_Word = Annotated[str, item(_WORD, longest=128)]


class DeviceRequestFields(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Devices that a driver of the engine chooses, as GPUs."""

    driver: Annotated[str, schema("Empty: whichever has the capabilities.", pattern=rf"^({_WORD})?$")] = ""
    count: Annotated[int, schema("-1: all. 0: those of deviceIds.", minimum=-1, maximum=1_024)] = 0
    device_ids: Annotated[list[_Word], msgspec.Meta(description="These.", max_length=MAX_DEVICES)] = []
    capabilities: Annotated[
        list[_Word], msgspec.Meta(description="All that the devices must have, as in gpu.", max_length=16)
    ] = []


def read_requests(given: list[DeviceRequestFields], reading: Reading) -> tuple[DeviceRequest, ...]:
    if len(given) > MAX_REQUESTS:
        reading.wrong(f"{reading.name} has {len(given)} entries; a task can have {MAX_REQUESTS}")
        return ()
    for at, each in enumerate(given):
        if each.driver and not re.fullmatch(_WORD, each.driver):
            reading.wrong(f"{shown(each.driver)} is no driver's name: write it as in nvidia", at, "driver")
        if not UNLIMITED <= each.count <= 1_024:
            reading.wrong(f"count is {each.count}: give 1 to 1024, or -1 for all", at, "count")
        for name, words in (("deviceIds", each.device_ids), ("capabilities", each.capabilities)):
            if len(words) > MAX_DEVICES or not all(re.fullmatch(_WORD, word) for word in words):
                reading.wrong(f"{name} are no names: write them as in gpu, 0 or GPU-3a23c669", at, name)
        if bool(each.count) == bool(each.device_ids):
            reading.wrong("count and deviceIds don't go together: give one of them", at)
        if not each.driver and not each.capabilities:
            reading.wrong("a driver or capabilities go together with it: give one, as in capabilities [gpu]", at)
    return tuple(
        DeviceRequest(each.driver, each.count, tuple(each.device_ids), tuple(each.capabilities)) for each in given
    )


def show_requests(requests: tuple[DeviceRequest, ...]) -> list[DeviceRequestFields]:
    return [
        DeviceRequestFields(each.driver, each.count, list(each.ids), list(each.capabilities)) for each in requests
    ]


# --- folders in memory -------------------------------------------------------------------------------------

TMPFS_PATH = rf"(?!/(proc|sys)(/|$)){PLAIN_PATH}"
_FLAG = r"r[ow]|(no)?(exec|suid|dev|atime|diratime|relatime|strictatime)|a?sync|dirsync"
_SETTING = r"size=[0-9]{1,15}[kKmMgG%]?|nr_(inodes|blocks)=[0-9]{1,12}[kKmMgG]?|mode=0?[0-7]{3,4}|[ug]id=[0-9]{1,9}"
TMPFS_OPTIONS = rf"(({_FLAG}|{_SETTING})(,({_FLAG}|{_SETTING}))*)?"


def read_tmpfs(given: dict[str, str], reading: Reading) -> Pairs:
    if len(given) > MAX_DEVICES:
        reading.wrong(f"{reading.name} has {len(given)} entries; a task can have {MAX_DEVICES}")
        return ()
    files = [ref.path for ref in reading.request.configs]
    for path, options in given.items():
        if len(path) > 1_024 or not re.fullmatch(TMPFS_PATH, path):
            reading.wrong(f"{reading.name} {shown(path)} is no folder's path: write it as in /run", path)
        elif len(options) > MAX_TEXT or not re.fullmatch(TMPFS_OPTIONS, options):
            reading.wrong(
                f"{reading.name} {path} {shown(options)} are no options: write them as in size=64m,mode=1777",
                path,
            )
        elif hidden := next((file for file in files if file.startswith(f"{path}/")), ""):
            reading.wrong(
                f"{reading.name} {path} and the config at {hidden[:80]}, which it hides, don't go together"
            )
    return tuple(sorted(given.items()))


def read_uts_mode(mode: str, reading: Reading) -> str:
    request = reading.request
    if mode == "host":
        apart(reading, (bool(request.hostname or request.domainname), "a host name of its own"))
    read: Any = _UTS["read"]
    return str(read(mode, reading))


_UTS = one_of("host", hints=_of_others)
_UserNs, _Pid = one_of("host", hints=_of_others), one_of("host", hints=_of_others)
_Ipc = one_of("private", "shareable", "none", "host", hints=_of_others)
_Cgroup = one_of("private", "host")


class IsolationFields(LimitFields, msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    cap_add: Annotated[
        list[Annotated[str, item(CAPABILITY)]],
        option(
            "Capabilities of Linux that it has beside Docker's usual ones.",
            **texts(CAPABILITY, _CAPABILITY_WORDS),
            option=Option(("--cap-add",), "NAME", also="As in NET_ADMIN."),
        ),
    ] = []
    cap_drop: Annotated[
        list[Annotated[str, item(CAPABILITY)]],
        option(
            "Capabilities that it has not.",
            **texts(CAPABILITY, _CAPABILITY_WORDS),
            option=Option(("--cap-drop",), "NAME"),
        ),
    ] = []
    security_opt: Annotated[
        list[Annotated[str, item(SECURITY, longest=MAX_PROFILE)]],
        option(
            "Security options: no-new-privileges, seccomp=unconfined or a profile's text, apparmor=PROFILE, "
            "label=type:NAME, systempaths=unconfined.",
            read=read_security,
            show=list,
            max_length=32,
            option=Option(("--security-opt",), "OPTION", "security", also="seccomp=FILE reads a profile."),
        ),
    ] = []
    privileged: Annotated[
        bool,
        option(
            "It has all capabilities and all devices of its node: as good as root there.",
            option=Option(("--privileged",)),
        ),
    ] = False
    userns_mode: Annotated[
        str,
        option(
            "host: its users are the node's, where the engine maps them otherwise.",
            **_UserNs,
            option=Option(("--userns",), kind="choice", choices=("host",)),
        ),
    ] = ""
    ipc_mode: Annotated[
        str,
        option(
            "Whom it shares memory with: nobody (private; none: nor has it /dev/shm), who asks (shareable), its "
            "node (host).",
            **_Ipc,
            option=Option(
                ("--ipc",),
                kind="choice",
                choices=("private", "shareable", "none", "host"),
                default="the engine's, private",
            ),
        ),
    ] = ""
    pid_mode: Annotated[
        str,
        option(
            "host: it sees the processes of its node.",
            **_Pid,
            option=Option(("--pid",), kind="choice", choices=("host",)),
        ),
    ] = ""
    uts_mode: Annotated[
        str,
        option(
            "host: its host name is its node's.",
            read=read_uts_mode,
            enum=["", "host"],
            option=Option(("--uts",), kind="choice", choices=("host",)),
        ),
    ] = ""
    cgroupns_mode: Annotated[
        str,
        option(
            "host: it sees the cgroups of its node.",
            **_Cgroup,
            option=Option(
                ("--cgroupns",), kind="choice", choices=("private", "host"), default="the engine's, private"
            ),
        ),
    ] = ""
    devices: Annotated[
        list[Annotated[str, item(DEVICE, longest=1_024)]],
        option(
            "Devices of its node that it gets, as in /dev/ttyUSB0, or /dev/sda:/dev/disk:r for another path, and "
            "for reading only.",
            read=read_devices,
            show=show_devices,
            max_length=MAX_DEVICES,
            option=Option(("--device",), "PATH[:PATH][:rwm]"),
        ),
    ] = []
    device_cgroup_rules: Annotated[
        list[Annotated[str, item(CGROUP_RULE)]],
        option(
            "Kinds of devices that it may use, as in c 188:* rmw.",
            **texts(
                CGROUP_RULE, "is no rule: write kind, numbers and what may be done, as in c 188:* rmw", most=64
            ),
            option=Option(("--device-cgroup-rule",), "RULE"),
        ),
    ] = []
    device_requests: Annotated[
        list[DeviceRequestFields],
        option(
            "GPUs, and other devices that a driver of the engine gives out.",
            read=read_requests,
            show=show_requests,
            max_length=MAX_REQUESTS,
            option=Option(("--gpus",), "all|COUNT|device=ID,...", "gpus"),
        ),
    ] = []
    tmpfs: Annotated[
        dict[str, Annotated[str, schema(pattern=f"^{TMPFS_OPTIONS}$")]],
        option(
            "Folders that are kept in memory, empty at each start, with their options, as in size=64m,mode=1777.",
            read=read_tmpfs,
            show=dict,
            max_length=MAX_DEVICES,
            propertyNames={"pattern": f"^{TMPFS_PATH}$", "maxLength": 1_024},
            option=Option(("--tmpfs",), "PATH[:OPTIONS]", "folder"),
        ),
    ] = {}
