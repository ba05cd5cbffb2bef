"""A container's network, and how it finds names."""

import re
from typing import Annotated

import msgspec

from orion.model.api.container.isolation import IsolationFields
from orion.model.api.container.rules import apart, item, one_of, option, pairs, texts
from orion.model.api.fields import Option, Reading, schema
from orion.model.api.ports import IPV4, IPV6
from orion.model.errors import shown

MAX_HOSTS = 256
_ADDRESS = rf"{IPV4}|{IPV6}"
_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = rf"{_NAME}(\.{_NAME})*"
_HOST = rf"{_ADDRESS}|host-gateway"
_MAC = r"(?!00:00:00:00:00:00)[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}"
_RESOLVER_OPTION = r"[a-z][a-z0-9-]{0,31}(:[0-9]{1,4})?"


def _of_others(mode: str) -> str:
    if mode.startswith(("container:", "service:")):
        return "; another container's can't be shared, because containers come and go"
    return "; the cluster's networks are named by networks (orion run --networks)" if mode else ""


_MODE = one_of("bridge", "host", "none", hints=_of_others)


def read_network_mode(mode: str, reading: Reading) -> str:
    read = _MODE["read"]
    ports = reading.request.port_bindings
    if mode == "none":
        apart(reading, (bool(ports), "published ports"))
    elif mode == "host":
        moved = [key for key, host in ports.items() if str(host) != key.partition("/")[0]]
        if moved:
            reading.wrong(
                f"{reading.name} host and portBindings {moved[0][:20]} don't go together unless the host port is "
                'the same, as in "80/tcp": "80": its program listens on the node itself'
            )
    return str(read(mode, reading))


def read_mac(address: str, reading: Reading) -> str:
    if address and not re.fullmatch(_MAC, address):
        reading.wrong(f"{reading.name} {shown(address)} is no card's address: write it as in 02:42:ac:11:00:02")
    elif address:
        mode = reading.request.network_mode
        apart(reading, (mode in {"host", "none"}, f"network mode {mode}, which has no card,"))
    return address


class ContainerFields(IsolationFields, msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """All options of a container. They are shown of a task as far as they are not as by default."""

    network_mode: Annotated[
        str,
        option(
            "bridge: a network of the node's containers, with the ports that are published. host: the node's own. "
            "none: no network.",
            note="Empty: bridge. With host each published port is the one that its program listens on.",
            read=read_network_mode,
            enum=["", "bridge", "host", "none"],
            option=Option(
                ("--network", "--net"), kind="choice", choices=("bridge", "host", "none"), default="bridge"
            ),
        ),
    ] = ""
    dns: Annotated[
        list[Annotated[str, item(_ADDRESS)]],
        option(
            "Name servers that it asks.",
            **texts(_ADDRESS, "is no address: write an IP", most=16),
            option=Option(("--dns",), "ADDRESS", default="the node's"),
        ),
    ] = []
    dns_search: Annotated[
        list[Annotated[str, item(rf"\.|{_DOMAIN}", longest=253)]],
        option(
            "Domains in which it looks for short names; a dot alone: none.",
            **texts(
                rf"\.|{_DOMAIN}", "is no domain: write it as in example.org, or . for none", longest=253, most=32
            ),
            option=Option(("--dns-search",), "DOMAIN", default="the node's"),
        ),
    ] = []
    dns_options: Annotated[
        list[Annotated[str, item(_RESOLVER_OPTION)]],
        option(
            "Options of its resolver, as in ndots:2.",
            **texts(_RESOLVER_OPTION, "is no option of resolv.conf: write it as in ndots:2", most=32),
            option=Option(("--dns-option", "--dns-opt"), "OPTION"),
        ),
    ] = []
    extra_hosts: Annotated[
        dict[str, Annotated[str, schema(pattern=rf"^({_HOST})$")]],
        option(
            "Names of its /etc/hosts with their addresses; host-gateway is its own node's.",
            **pairs(
                _DOMAIN,
                "is no host's name: write it as in db or db.example.org",
                _HOST,
                "is no address: write an IP, or host-gateway",
                longest=253,
                most=MAX_HOSTS,
            ),
            option=Option(("--add-host",), "NAME:ADDRESS", "host"),
        ),
    ] = {}
    mac_address: Annotated[
        str,
        option(
            "Its network card's address.",
            note="Empty: the engine's choice.",
            read=read_mac,
            pattern=rf"^({_MAC})?$",
            maxLength=17,
            option=Option(("--mac-address",), "ADDRESS", default="the engine's choice"),
        ),
    ] = ""
