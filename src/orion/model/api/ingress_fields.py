"""Ports that are open on every node, in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import Reading, schema
from orion.model.api.network_fields import refuse_elsewhere
from orion.model.errors import shown
from orion.model.job import IngressBinding
from orion.model.limits import MAX_PORTS
from orion.model.sessions import MAX_PORT

_Port = Annotated[int, schema(minimum=1, maximum=MAX_PORT)]


class IngressRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A port of every node, and the container's that it leads to."""

    port: _Port
    container_port: _Port
    protocol: Annotated[str, schema("tcp or udp.", enum=["tcp", "udp"])] = "tcp"
    sticky: Annotated[
        bool, Meta(description="The connections of one client's address go to one task, while that is ready.")
    ] = False


def read_ingress(asked: list[IngressRequest], reading: Reading) -> tuple[IngressBinding, ...]:
    if len(asked) > MAX_PORTS:
        reading.wrong(f"{reading.name} has {len(asked):,} ports; a task can have {MAX_PORTS}")
        return ()
    if asked:
        refuse_elsewhere(reading)
    found: dict[tuple[int, str], IngressBinding] = {}
    for at, each in enumerate(asked):
        for name, number in (("port", each.port), ("containerPort", each.container_port)):
            if not 1 <= number <= MAX_PORT:
                reading.wrong(f"port {number} does not exist: ports go from 1 to {MAX_PORT}", at, name)
        if each.protocol not in {"tcp", "udp"}:
            reading.wrong(f"protocol {shown(each.protocol)} is unknown: write tcp or udp", at, "protocol")
        elif (each.port, each.protocol) in found:
            reading.wrong(f"port {each.port}/{each.protocol} is given twice", at, "port")
        found[each.port, each.protocol] = IngressBinding(each.port, each.container_port, each.protocol, each.sticky)
    return tuple(found[key] for key in sorted(found))


def show_ingress(ingress: tuple[IngressBinding, ...]) -> list[IngressRequest]:
    return [IngressRequest(each.port, each.container_port, each.protocol, each.sticky) for each in ingress]
