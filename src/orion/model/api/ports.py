"""Ports that a task publishes, in JSON: {"80/tcp": "8080"} and back."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated

from orion.model.api.fields import Reading, schema
from orion.model.errors import shown
from orion.model.job import PortBinding
from orion.model.limits import MAX_PORTS

_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = rf"{_BYTE}(\.{_BYTE}){{3}}"
_H = "[0-9A-Fa-f]{1,4}"
IPV6 = "|".join(
    (
        f"({_H}:){{7}}{_H}",
        f"({_H}:){{1,7}}:",
        *(f"({_H}:){{1,{7 - count}}}(:{_H}){{1,{count}}}" for count in range(1, 7)),
        f":(:{_H}){{1,7}}",
        "::",
    )
)
PORT_KEY = rf"^{_PORT}(/(tcp|udp))?$"
HostPort = Annotated[
    str | int,
    schema(minimum=0, maximum=65_535, pattern=rf"^(({IPV4}|\[({IPV6})\]):)?({_PORT}|0)?$"),
]

_KEY_PARTS = r"([0-9]{1,9})(?:/([A-Za-z]+))?"


def read_ports(bindings: Mapping[str, str | int], reading: Reading) -> tuple[PortBinding, ...]:
    if len(bindings) > MAX_PORTS:
        reading.wrong(f"{reading.name} has {len(bindings)} ports; a task can have {MAX_PORTS}")
        return ()
    found: dict[tuple[int, str], PortBinding] = {}
    asked: set[tuple[int, str]] = set()
    for key, value in bindings.items():
        try:
            container_port, protocol = _port_key(key)
            host_ip, host_port = _host_address(value)
        except ValueError as error:
            reading.wrong(str(error), key)
            continue
        if (container_port, protocol) in found:
            reading.wrong(f"port {container_port}/{protocol} is given twice", key)
        elif host_port and (host_port, protocol) in asked:
            reading.wrong(f"host port {host_port}/{protocol} is asked for twice; one task can have it once", key)
        asked.add((host_port, protocol))
        found[container_port, protocol] = PortBinding(container_port, protocol, host_port, host_ip)
    return tuple(found[key] for key in sorted(found))


def _port_key(text: str) -> tuple[int, str]:
    match = re.fullmatch(_KEY_PARTS, text)
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


def show_ports(ports: tuple[PortBinding, ...]) -> dict[str, str]:
    return {str(port): _binding_text(port) for port in ports}


def _binding_text(binding: PortBinding) -> str:
    port = str(binding.host_port or "")
    if not binding.host_ip:
        return port
    return f"[{binding.host_ip}]:{port}" if ":" in binding.host_ip else f"{binding.host_ip}:{port}"
