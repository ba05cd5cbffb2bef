"""The elements of the two maps of published ports, and what turns some into others."""

from collections.abc import Iterable, Sequence

import msgspec

from orion.model.ingress import PROTOCOLS, Backend, IngressPort
from orion.reconcile.ingress_slots import chain_of, slots_of

ServiceKey = tuple[int, int]  # protocol, port
BackendKey = tuple[int, int, int]  # protocol, port, number


class Elements(msgspec.Struct, frozen=True):
    """`services`: the chain that draws a number for a port. `backends`: where a number leads to."""

    services: dict[ServiceKey, str]
    backends: dict[BackendKey, Backend]


class ElementChange(msgspec.Struct, frozen=True):
    """An element that leads elsewhere is in both."""

    removed: Elements
    added: Elements

    @property
    def is_empty(self) -> bool:
        return not any((self.removed.services, self.removed.backends, self.added.services, self.added.backends))


def elements_of(ports: Iterable[IngressPort]) -> Elements:
    made = Elements({}, {})
    for port in ports:
        if port.backends:
            protocol, number = PROTOCOLS[port.protocol], port.port
            made.services[protocol, number] = chain_of(port)
            for slot, backend in enumerate(slots_of(port)):
                made.backends[protocol, number, slot] = backend
    return made


def element_change(before: Elements, after: Elements) -> ElementChange:
    return ElementChange(
        Elements(
            {key: chain for key, chain in before.services.items() if after.services.get(key) != chain},
            {key: backend for key, backend in before.backends.items() if after.backends.get(key) != backend},
        ),
        Elements(
            {key: chain for key, chain in after.services.items() if before.services.get(key) != chain},
            {key: backend for key, backend in after.backends.items() if before.backends.get(key) != backend},
        ),
    )


def port_change(before: Sequence[IngressPort], after: Sequence[IngressPort]) -> ElementChange:
    """Returns the same as of all their elements, and looks into those of ports that are others alone."""
    had = {(port.port, port.protocol): port for port in before}
    changed = [port for port in after if had.get((port.port, port.protocol)) != port]
    has = {(port.port, port.protocol) for port in after}
    former = [had[key] for key in ((port.port, port.protocol) for port in changed) if key in had]
    former += [port for key, port in had.items() if key not in has]
    return element_change(elements_of(former), elements_of(changed))


def spreads_of(ports: Iterable[IngressPort]) -> set[int]:
    """Returns of how many backends ports choose one."""
    return {len(port.backends) for port in ports if port.backends and not port.sticky}
