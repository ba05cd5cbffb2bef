"""Option values as people write them: sizes, ports, labels, addresses.

model/ is imported only by the types that need it, so that other commands start without it.
"""

import os
import re
from typing import Any

import click


class Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from orion.model.amounts import parse_size

        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Port(click.ParamType[int]):
    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65_535):
            self.fail(f"{value!r} is not a port: ports go from 1 to 65535", param, ctx)
        return int(text)


class Seconds(click.ParamType[float]):
    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from orion.model.amounts import parse_seconds

        try:
            seconds = parse_seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds > 86_400:
            self.fail(f"{value!r} is longer than a day, the most that is taken", param, ctx)
        return seconds


class Since(click.ParamType[str]):
    """A time, or its distance from now (10m, 1h30m). A time without a zone is in this machine's."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from datetime import datetime

        from orion.model.amounts import is_duration

        text = str(value)
        if not text or is_duration(text) or re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", text):
            return text
        text.encode()  # bytes that are no text have words of their own
        try:
            return datetime.fromisoformat(text).astimezone().isoformat()
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is not a time: write how long ago (10m, 1h30m), or a time as in 2025-01-31T12:00:00Z",
                param,
                ctx,
            )


class NodeName(click.ParamType[str]):
    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from orion.model.ids import NODE_ID

        if not NODE_ID.fullmatch(str(value)):
            self.fail(f"{value!r} is not a node's name: use 1 to 64 letters, digits, '.', '_' and '-'", param, ctx)
        return str(value)


class Address(click.ParamType[str]):
    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from orion.model.node import address_parts

        try:
            address_parts(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Host(click.ParamType[str]):
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from orion.model.errors import shown
        from orion.model.hosts import is_host

        host = str(value)
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not is_host(bare):
            self.fail(f"{shown(host)} is not an address: write an IP or a host's name, without a port", param, ctx)
        return bare


class Label(click.ParamType[tuple[str, str]]):
    """A node's label: `name=value`."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        from orion.model.labels import label_error

        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not name=value", param, ctx)
        wrong = label_error(key, text)
        if wrong:
            self.fail(wrong, param, ctx)
        return key, text


class LabelRule(click.ParamType[tuple[str, str | None]]):
    """A rule for a node's labels. One that has a label be equal is that label and its value; any other is the rule
    and None.
    """

    name = "rule"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | None]:
        from orion.model.placement_rules import Operator, read_constraint

        try:
            rule = read_constraint(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return (rule.label, rule.values[0]) if rule.operator is Operator.EQUAL else (str(value), None)


class LabelChange(click.ParamType[tuple[str, str | None]]):
    """A node's label to set, `name=value`, or to take away, `name-`."""

    name = "name=value|name-"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | None]:
        text = str(value)
        if "=" not in text and text.endswith("-"):
            return text[:-1], None
        if "=" not in text:
            self.fail(f"{text!r} is neither name=value, to set a label, nor name-, to take one away", param, ctx)
        return Label().convert(value, param, ctx)


class Environment(click.ParamType[tuple[str, str]]):
    """A variable: `NAME=VALUE`, or `NAME` alone for its value in this process."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals:
            if name not in os.environ:
                self.fail(f"{name} has no value here: write {name}=VALUE", param, ctx)
            text = os.environ[name]
        return name, text


class ConfigUse(click.ParamType[tuple[str, str, str, str, int, int, int]]):
    """`KEY=NAME`, `KEY=/PATH`, `KEY=/PATH:MODE` or `KEY=/PATH:MODE:UID:GID` -> the fields of a ConfigRefRequest, in
    order. MODE may be empty, GID left out.
    """

    name = "key=name"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, str, str, int, int, int]:
        key, equals, use = str(value).partition("=")
        if not (equals and use):
            self.fail(f"{value!r} does not say where it goes: write KEY=NAME or KEY=/PATH", param, ctx)
        if not use.startswith("/"):
            return key, use, "", "", 0, 0, 0
        path, _, rest = use.partition(":")
        mode, _, owner = rest.partition(":")
        numbers = re.fullmatch(r"(?a:(\d{1,10})(?::(\d{1,10}))?)?", owner)
        if numbers is None:
            self.fail(
                f"{value!r} does not end with the numbers of an owner and a group: write :UID:GID", param, ctx
            )
        uid, gid = (int(number or 0) for number in numbers.groups())
        return key, "", path, mode, 0, uid, gid


# [[address:]host port:]container port[/protocol]
_PUBLISHED = re.compile(
    r"(?:(?:(?P<address>[0-9.]+|\[[0-9A-Fa-f:.]+\]):)?(?P<host>[0-9]{0,5}):)?(?P<container>[0-9]{1,5}(?:/(?:tcp|udp))?)"
)


class Published(click.ParamType[tuple[str, str]]):
    """A port as for `docker run -p`: `8080:80`, `80`, `53:53/udp`, `127.0.0.1:8080:80` -> a pair of portBindings:
    container port, host port.
    """

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        match = _PUBLISHED.fullmatch(str(value))
        if not match:
            text = f"{value!r} is not a port to publish: write 8080:80, 80, 53:53/udp or 127.0.0.1:8080:80"
            self.fail(text, param, ctx)
        container, host = match["container"], match["host"] or ""
        port = container if "/" in container else f"{container}/tcp"
        return port, f"{match['address']}:{host}" if match["address"] else host


# In the place of a check with its times, which a job file says.
_CHECK = re.compile(
    r"http:(?P<port>[0-9]{1,5})(?P<path>/.*)?|tcp:(?P<tcp>[0-9]{1,5})|exec:(?P<shell>.+)|docker", re.DOTALL
)


class HealthCheck(click.ParamType[Any]):
    """`http:80/up`, `tcp:5432`, `exec:COMMAND` for a shell in the container, `docker` for the image's own."""

    name = "check"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from orion.model.api.health_fields import (
            DockerCheckRequest,
            ExecCheckRequest,
            HealthCheckRequest,
            HttpCheckRequest,
            TcpCheckRequest,
        )

        match = _CHECK.fullmatch(str(value))
        if match is None:
            text = f"{value!r} is not a health check: write http:80/up, tcp:5432, exec:COMMAND or docker"
            self.fail(text, param, ctx)
        if match["port"]:
            return HealthCheckRequest(http=HttpCheckRequest(int(match["port"]), match["path"] or "/"))
        if match["tcp"]:
            return HealthCheckRequest(tcp=TcpCheckRequest(int(match["tcp"])))
        if match["shell"]:
            return HealthCheckRequest(exec=ExecCheckRequest(["/bin/sh", "-c", match["shell"]]))
        return HealthCheckRequest(docker=DockerCheckRequest())


class Ingress(click.ParamType[tuple[int, int, str, bool]]):
    """`8080:80`, `80` for the same port, `53:5353/udp`, any with `:sticky` -> (port, container port, protocol,
    sticky).
    """

    name = "port:container-port"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, str, bool]:
        text = str(value)
        bare = text.removesuffix(":sticky")
        ports, slash, protocol = bare.partition("/")
        port, _, container = ports.partition(":")
        read = Port()
        if slash and protocol not in {"tcp", "udp"}:
            self.fail(f"{text!r} has no such protocol: write {ports}/tcp or {ports}/udp", param, ctx)
        numbers = read.convert(port, param, ctx), read.convert(container or port, param, ctx)
        return (*numbers, protocol or "tcp", bare != text)


class NetworkAlias(click.ParamType[tuple[str, str]]):
    """`NAME` or `NAME:NETWORK` -> (name, network)."""

    name = "name:network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, colon, network = str(value).partition(":")
        if colon and not network:
            self.fail(f"{value!r} names no network: write {name}, or {name}:NETWORK", param, ctx)
        return name, network


class AfterJob(click.ParamType[tuple[str, str, bool]]):
    """`JOB`, `JOB:CONDITION` or either with `:optional` -> (job, condition, required)."""

    name = "job:condition"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, bool]:
        from orion.model.after import Condition

        text = str(value)
        named = text.removesuffix(":optional")
        job, colon, condition = named.partition(":")
        if colon and condition not in tuple(Condition):
            self.fail(f"{text!r} has no such condition: write {job}:{' or :'.join(Condition)}", param, ctx)
        return job, condition or Condition.HEALTHY.value, named == text
