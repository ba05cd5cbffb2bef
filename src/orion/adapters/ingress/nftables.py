"""The table of published ports: read, and changed in one transaction. Blocks, and is for a thread."""

import errno

import msgspec

from orion.adapters.ingress import chains, elements
from orion.adapters.netfilter.sockets import open_netfilter
from orion.adapters.netlink import codec
from orion.adapters.netlink.socket import Netlink, TooMuch
from orion.model.ingress import IngressPort
from orion.reconcile.ingress import BACKENDS, SERVICES
from orion.reconcile.ingress_elements import ElementChange, Elements, element_change, elements_of, port_change
from orion.reconcile.nft import Shown

MAX_READS = 5  # of a table that others change meanwhile
# Of a transaction: ERESTART, for the generation is another one; what is to be removed is not there, what is to be
# added is.
_STALE = frozenset({85, errno.ENOENT, errno.EEXIST})


class Stale(Exception):
    """The kernel is not as it was read any more."""


class Table(msgspec.Struct, frozen=True):
    """The table as of one generation of the kernel's rules. It has the elements of `ports`, or else `elements`, or
    there are more than can be read: the kernel takes the longer for each the more there are.
    """

    generation: int
    shown: dict[str, Shown]
    ports: tuple[IngressPort, ...] | None
    elements: Elements | None

    def change_to(self, ports: tuple[IngressPort, ...]) -> ElementChange | None:
        """Returns None where that is not known."""
        if self.ports is not None:
            return port_change(self.ports, ports)
        return element_change(self.elements, elements_of(ports)) if self.elements is not None else None

    def is_of(self, ports: tuple[IngressPort, ...]) -> bool:
        change = self.change_to(ports)
        return change is not None and change.is_empty


def read(known: Table | None) -> Table:
    """Returns `known` where nothing has changed since. Raises OSError, Malformed."""
    with Netlink(open_netfilter) as netlink:
        for _ in range(MAX_READS):
            generation = _generation(netlink)
            if known is not None and known.generation == generation:
                return known
            found = _read(netlink, generation)
            if _generation(netlink) == generation:
                return found
    raise TooMuch(errno.EAGAIN, "others change nftables faster than it can be read")


def change(netlink: Netlink, table: Table, ports: tuple[IngressPort, ...]) -> Table:
    """Gives the table the elements of `ports`, and returns it. Raises Stale, OSError, Malformed."""
    difference = table.change_to(ports)
    generation = table.generation
    if difference is None or not difference.is_empty:
        new = difference or ElementChange(Elements({}, {}), elements_of(ports))
        try:
            netlink.transact(elements.transaction(new, generation, anew=difference is None))
        except OSError as error:
            if error.errno in _STALE:
                raise Stale from error
            raise
        generation = _generation(netlink)
        if generation != table.generation + 1:  # others have been there too
            raise Stale
    return Table(generation, table.shown, ports, None)


def _generation(netlink: Netlink) -> int:
    return elements.read_generation(netlink.one(elements.generation()))


def _read(netlink: Netlink, generation: int) -> Table:
    shown = chains.read(netlink.dump(chains.get_chains()), netlink.dump(chains.get_rules()))
    try:
        found = elements.read(_list(netlink, SERVICES), _list(netlink, BACKENDS))
    except (TimeoutError, TooMuch):
        found = None
    return Table(generation, shown, None, found)


def _list(netlink: Netlink, name: str) -> list[codec.Message]:
    """Returns nothing where there is no such map."""
    try:
        return netlink.dump(elements.get(name))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return []
        raise
