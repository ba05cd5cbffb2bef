"""What a user asks for becomes a Job, or an Invalid that names every field that is wrong.

The JSON's types are the decoder's business; here are the rules that types can't say. Whatever passes is
something that Docker takes, so that a task never fails later for the way it was written.
"""

import ipaddress
import re

from orion.model.api.config_refs import mode_error, mount_from_request, path_error, paths_that_clash
from orion.model.api.views import PlacementRequest, TaskRequest
from orion.model.configs import key_error
from orion.model.errors import FieldError, FieldErrors, Invalid, pointer, shown
from orion.model.ids import JOB_NAME, JobName
from orion.model.job import Job, JobKind, Placement, PortBinding, RestartMode, RestartPolicy, TaskSpec
from orion.model.labels import label_error
from orion.model.limits import (
    MAX_BYTES,
    MAX_CPU,
    MAX_GRACE_S,
    MAX_MOUNTS,
    MAX_PORTS,
    MAX_RESTARTS,
    MAX_SELECTORS,
    MAX_STRING_BYTES,
    MAX_VARIABLES,
    MAX_WORDS,
    MIN_CPU,
    MIN_MEMORY_BYTES,
)
from orion.model.resources import Resources

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

# An image reference, after the grammar of the OCI distribution project's reference package:
# [domain[:port]/]path[:tag][@digest].
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_DOMAIN}/)?(?P<path>{_PATH_PART}(?:/{_PATH_PART})*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
_MAX_IMAGE = 512

_PORT_KEY = re.compile(r"([0-9]{1,9})(?:/([A-Za-z]+))?")
_RESTART = re.compile(r"(no|always|on-failure)(?::([0-9]{1,9}))?")


def job_from_request(request: TaskRequest, name: str, at_ms: int) -> Job:
    """The job of one task that `request` asks for, under `name`, created at `at_ms` (Unix milliseconds).

    Raises Invalid with an entry for each wrong field.
    """
    errors = FieldErrors()
    _check_name(name, errors)
    _check_image(request.image, errors)
    _check_strings(request, errors)
    resources = _resources(request, errors)
    ports = _ports(request, errors)
    constraints = _constraints(request.node_selectors, errors)
    restart = _restart(request.restart_policy, errors)
    grace_ms = _grace_ms(request.stop_grace_seconds, errors)
    _check_configs(request, errors)
    placement = _placement(request.placement, errors)
    if errors:
        raise Invalid(errors)
    spec = TaskSpec(
        image=request.image,
        command=tuple(request.command),
        env=tuple(sorted(request.env.items())),
        resources=resources,
        ports=ports,
        constraints=constraints,
        restart=restart,
        stop_grace_ms=grace_ms,
        configs=tuple(map(mount_from_request, request.configs)),
        placement=placement,
    )
    return Job(name=JobName(name), kind=JobKind.SERVICE, count=1, task=spec, created_at_ms=at_ms)


def name_for(image: str, random: int) -> str:
    """A job's name made from the image's, when the user gave none: `ghcr.io/me/My_App:1` -> my-app-0a1b2.

    `random`: 20 bits.
    """
    path = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", path).strip("-")[:40].rstrip("-")
    return f"{name or 'task'}-{random:05x}"


def _placement(asked: PlacementRequest, errors: FieldErrors) -> Placement | None:
    if asked.strategy and asked.strategy not in tuple(Placement):
        message = f"strategy {shown(asked.strategy)} is unknown: write {' or '.join(Placement)}"
        errors.append(FieldError("/placement/strategy", message))
        return None
    return Placement(asked.strategy) if asked.strategy else None


def _check_name(name: str, errors: FieldErrors) -> None:
    if not JOB_NAME.fullmatch(name):
        message = f"name {shown(name)} can't be used: write 1 to 63 of a-z, 0-9 and '-', with no '-' at an end"
        errors.append(FieldError("/name", message))


def _check_image(image: str, errors: FieldErrors) -> None:
    if not image:
        errors.append(FieldError("/image", "image is empty: name one, as in nginx or nginx:1.27"))
    elif len(image) > _MAX_IMAGE or not _IMAGE.fullmatch(image):
        hint = "; names of images are in lower case" if image.lower() != image else ""
        message = (
            f"{shown(image)} is not the name of an image: write it as in nginx, nginx:1.27 or host:5000/app{hint}"
        )
        errors.append(FieldError("/image", message))


def _check_strings(request: TaskRequest, errors: FieldErrors) -> None:
    counts = (
        ("command", len(request.command), MAX_WORDS, "words"),
        ("env", len(request.env), MAX_VARIABLES, "variables"),
    )
    for field, count, most, what in counts:
        if count > most:
            message = f"{field} has {count:,} {what}; a task can have {most:,}"
            errors.append(FieldError(pointer(field), message))
    if len(request.command) <= MAX_WORDS:
        _check_command(request.command, errors)
    if len(request.env) <= MAX_VARIABLES:
        _check_env(request.env, errors)


def _check_command(command: list[str], errors: FieldErrors) -> None:
    if command and not command[0]:
        errors.append(FieldError("/command/0", "command starts with an empty word: name a program first"))
    for at, word in enumerate(command):
        if wrong := _string_error(word):
            errors.append(FieldError(pointer("command", at), f"word {at} of command {wrong}"))


def _check_env(env: dict[str, str], errors: FieldErrors) -> None:
    for name, value in env.items():
        if not _ENV_NAME.fullmatch(name):
            errors.append(FieldError(pointer("env", name), _not_a_variable(name)))
        elif wrong := _string_error(f"{name}={value}"):
            errors.append(FieldError(pointer("env", name), f"env {name[:80]} {wrong}"))


def _string_error(text: str) -> str:
    """What is wrong with one argument or one NAME=value, "" for nothing."""
    if "\0" in text:
        return "holds a zero byte, which no program can be given"
    if len(text.encode("utf-8", "surrogatepass")) > MAX_STRING_BYTES:
        return f"is longer than Linux allows: at most {MAX_STRING_BYTES} bytes"
    return ""


def _resources(request: TaskRequest, errors: FieldErrors) -> Resources:
    def amount(field: str, value: float, least: float, most: float, unit: str) -> None:
        if value < 0:
            errors.append(FieldError(pointer(field), f"{field} is negative: give {unit}, or 0 for no limit"))
        elif 0 < value < least:
            message = f"{field} is {value:g}, less than Docker's minimum of {least:g}: give more, or 0 for no limit"
            errors.append(FieldError(pointer(field), message))
        elif not value <= most:
            errors.append(FieldError(pointer(field), f"{field} is larger than any machine: give {unit}"))

    if 0 < request.memory < MIN_MEMORY_BYTES:
        message = (
            f"memory is {request.memory} bytes, less than Docker's minimum of 6 MiB ({MIN_MEMORY_BYTES}): "
            "give more, or 0 for no limit"
        )
        errors.append(FieldError("/memory", message))
    else:
        amount("memory", request.memory, 0, MAX_BYTES, "bytes")
    amount("cpu", request.cpu, MIN_CPU, MAX_CPU, "cores, as in 0.25")
    amount("disk", request.disk, 0, MAX_BYTES, "bytes")
    if errors:
        return Resources()
    return Resources(round(request.cpu * 1000), request.memory, request.disk)


def _ports(request: TaskRequest, errors: FieldErrors) -> tuple[PortBinding, ...]:
    if len(request.port_bindings) > MAX_PORTS:
        message = f"portBindings has {len(request.port_bindings)} ports; a task can have {MAX_PORTS}"
        errors.append(FieldError("/portBindings", message))
        return ()
    bindings: dict[tuple[int, str], PortBinding] = {}
    asked: set[tuple[int, str]] = set()
    for key, value in request.port_bindings.items():
        where = pointer("portBindings", key)
        try:
            container_port, protocol = _port_key(key)
            host_ip, host_port = _host_address(value)
        except ValueError as error:
            errors.append(FieldError(where, str(error)))
            continue
        if (container_port, protocol) in bindings:
            errors.append(FieldError(where, f"port {container_port}/{protocol} is given twice"))
        elif host_port and (host_port, protocol) in asked:
            message = f"host port {host_port}/{protocol} is asked for twice; one task can have it once"
            errors.append(FieldError(where, message))
        asked.add((host_port, protocol))
        bindings[container_port, protocol] = PortBinding(container_port, protocol, host_port, host_ip)
    return tuple(bindings[key] for key in sorted(bindings))


def _port_key(text: str) -> tuple[int, str]:
    match = _PORT_KEY.fullmatch(text)
    if not match or match[2] not in {None, "tcp", "udp"}:
        raise ValueError(f"{shown(text)} is not a container's port: write it as in 80/tcp, 53/udp or 80")
    if not 1 <= int(match[1]) <= 65_535:
        raise ValueError(f"port {match[1]} does not exist: ports go from 1 to 65535")
    return int(match[1]), match[2] or "tcp"


def _host_address(value: str | int) -> tuple[str, int]:
    """The address, empty for all that the node has, and the port, 0 for a free one."""
    host, colon, port = str(value).rpartition(":")
    if not colon:
        return "", _host_port(port)
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        address = None
    if address is None or "%" in host:
        message = f'{shown(host)} is not an IP address to publish a port on: write it as in "127.0.0.1:8080"'
        raise ValueError(message)
    return str(address), _host_port(port)


def _host_port(text: str) -> int:
    if text in {"", "0"}:
        return 0
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        message = f'{shown(text)} is not a host port: write a number, as in "8080", or "" for one that is free'
        raise ValueError(message)
    if len(text) > 9 or not 1 <= int(text) <= 65_535:
        raise ValueError(f'host port {text[:20]} does not exist: ports go from 1 to 65535, "" asks for a free one')
    return int(text)


def _constraints(selectors: dict[str, str], errors: FieldErrors) -> tuple[tuple[str, str], ...]:
    if len(selectors) > MAX_SELECTORS:
        message = f"nodeSelectors has {len(selectors):,} labels; a task can ask for {MAX_SELECTORS}"
        errors.append(FieldError("/nodeSelectors", message))
        return ()
    for key, value in selectors.items():
        wrong = label_error(key, value)
        if wrong:
            errors.append(FieldError(pointer("nodeSelectors", key), wrong))
    return tuple(sorted(selectors.items()))


def _restart(text: str, errors: FieldErrors) -> RestartPolicy:
    match = _RESTART.fullmatch(text)
    if not match or (match[2] and match[1] != RestartMode.ON_FAILURE):
        hint = "; always is the same here" if text == "unless-stopped" else ""
        message = f"restartPolicy {shown(text)} is not known: use no, always, on-failure or on-failure:N{hint}"
        errors.append(FieldError("/restartPolicy", message))
        return RestartPolicy()
    mode = RestartMode(match[1])
    if mode is not RestartMode.ON_FAILURE:
        return RestartPolicy(mode, 0)
    most = int(match[2] or 0)
    if most > MAX_RESTARTS:
        message = f"restartPolicy allows at most {MAX_RESTARTS} restarts; on-failure alone has no limit"
        errors.append(FieldError("/restartPolicy", message))
    return RestartPolicy(mode, most)


def _grace_ms(seconds: float, errors: FieldErrors) -> int:
    if not 0 <= seconds <= MAX_GRACE_S:
        message = f"stopGraceSeconds is {seconds:g}: give 0 to {MAX_GRACE_S} seconds"
        errors.append(FieldError("/stopGraceSeconds", message))
        return 0
    return round(seconds * 1000)


def _check_configs(request: TaskRequest, errors: FieldErrors) -> None:
    if len(request.configs) > MAX_MOUNTS:
        errors.append(FieldError("/configs", f"configs has {len(request.configs)}; a task can have {MAX_MOUNTS}"))
        return
    names = set(request.env)
    for at, mount in enumerate(request.configs):
        if (wrong := key_error(mount.key)) is not None:
            errors.append(FieldError(pointer("configs", at, "key"), wrong))
        if bool(mount.env) == bool(mount.path):
            message = f"config {shown(mount.key)} needs one of env and path: a variable's name, or a file's path"
            errors.append(FieldError(pointer("configs", at), message))
        elif mount.path:
            wrongs = {"path": path_error(mount.path), "mode": mode_error(mount.mode)}
            errors.extend(
                FieldError(pointer("configs", at, name), wrong) for name, wrong in wrongs.items() if wrong
            )
        elif mount.mode:
            errors.append(FieldError(pointer("configs", at, "mode"), "a variable has no mode: only files have"))
        elif not _ENV_NAME.fullmatch(mount.env):
            errors.append(FieldError(pointer("configs", at, "env"), _not_a_variable(mount.env)))
        elif mount.env in names:
            errors.append(FieldError(pointer("configs", at, "env"), f"variable {mount.env[:80]} is given twice"))
        names.add(mount.env)
    errors.extend(paths_that_clash([mount.path for mount in request.configs]))


def _not_a_variable(name: str) -> str:
    return f"{shown(name)} is not a variable's name: use letters, digits, '_', '.' and '-', no digit first"
