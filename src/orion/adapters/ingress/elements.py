"""Messages about elements of maps of nftables (linux/netfilter/nf_tables.h). No I/O.

A key and a value of several parts have each part padded to four bytes. Numbers that a rule draws are in the
machine's byte order, all else is in that of the network.
"""

import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from orion.adapters.netlink import codec
from orion.adapters.netlink.codec import Malformed
from orion.adapters.netlink.link import Request
from orion.model.ingress import Backend
from orion.reconcile.ingress import BACKENDS, SERVICES, TABLE
from orion.reconcile.ingress_elements import BackendKey, ElementChange, Elements, ServiceKey

_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_NEW, _GET, _DELETE = _SUBSYSTEM | 12, _SUBSYSTEM | 13, _SUBSYSTEM | 14  # NFT_MSG_…SETELEM
_NEW_GENERATION, _GET_GENERATION = _SUBSYSTEM | 15, _SUBSYSTEM | 16
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_INET = 2
_ANY_FAMILY = 0

_HEAD = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource
_GENERATION = 1  # of NFNL_MSG_BATCH_BEGIN and of NFT_MSG_NEWGEN
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_…
_ELEMENT = 1  # NFTA_LIST_ELEM
_KEY, _DATA = 1, 2  # NFTA_SET_ELEM_…
_VALUE, _VERDICT = 1, 2  # NFTA_DATA_…
_CODE, _CHAIN = 1, 2  # NFTA_VERDICT_…
_GOTO = struct.pack(">i", -4)

_SERVICE_KEY = struct.Struct(">B3xH2x")  # protocol, port
_NUMBER = struct.Struct("=I")
_TARGET = struct.Struct(">IH2x")
# A whole element of `backends`: headers, key, headers, value.
_BACKEND = struct.Struct(">12sB3xH2x4s8sIH2x")


def _headers(nested: int) -> tuple[bytes, bytes]:
    """Returns the headers before the key of an element, and those before its value."""
    key = codec.attribute(_KEY | nested, codec.attribute(_VALUE, bytes(12)))
    value = codec.attribute(_DATA | nested, codec.attribute(_VALUE, bytes(8)))
    whole = codec.attribute(_ELEMENT | nested, key + value)
    return whole[:12], whole[24:32]


_BEFORE, _BETWEEN = _headers(codec.NESTED)
_SHOWN_BEFORE, _SHOWN_BETWEEN = _headers(0)  # the kernel leaves the flag out
MAX_IN_ONE = 1_000  # elements of a message, whose list may have 64 KiB


def generation() -> Request:
    return Request(_GET_GENERATION, 0, _HEAD.pack(_ANY_FAMILY, 0, 0))


def read_generation(message: codec.Message) -> int:
    """Returns a number that is another one after each change of nftables. Raises Malformed."""
    found = codec.attributes(message.body[_HEAD.size :]).get(_GENERATION)
    if message.kind != _NEW_GENERATION or found is None or len(found) != 4:
        raise Malformed("the kernel does not say which generation of nftables this is")
    return int.from_bytes(found, "big")


def transaction(change: ElementChange, generation: int, *, anew: bool = False) -> list[Request]:
    """Returns what carries out the change as a whole, or not at all where the kernel is at another generation.
    `anew`: of maps that are emptied first.
    """
    begin = _HEAD.pack(_ANY_FAMILY, 0, 10) + codec.attribute(_GENERATION, generation.to_bytes(4, "big"))
    removed, added = change.removed, change.added
    parts = [Request(_DELETE, 0, _of_map(name)) for name in (SERVICES, BACKENDS) if anew]
    parts += [
        *_messages(_DELETE, 0, SERVICES, map(_service_key, removed.services)),
        *_messages(_DELETE, 0, BACKENDS, map(_backend_key, removed.backends)),
        *_messages(_NEW, codec.CREATE, BACKENDS, map(_backend, added.backends.items())),
        *_messages(_NEW, codec.CREATE, SERVICES, map(_service, added.services.items())),
    ]
    parts[-1] = parts[-1]._replace(flags=parts[-1].flags | codec.ACK)
    return [Request(_BATCH_BEGIN, 0, begin), *parts, Request(_BATCH_END, 0, _HEAD.pack(_ANY_FAMILY, 0, 10))]


def get(name: str) -> Request:
    """Asks for all elements of a map."""
    return Request(_GET, codec.DUMP, _of_map(name))


def read(services: Iterable[codec.Message], backends: Iterable[codec.Message]) -> Elements:
    """Raises Malformed."""
    return Elements(
        dict(chain.from_iterable(map(_read_services, _elements(services)))),
        dict(chain.from_iterable(map(_read_backends, _elements(backends)))),
    )


def _of_map(name: str) -> bytes:
    return _HEAD.pack(_INET, 0, 0) + codec.text(_LIST_TABLE, TABLE) + codec.text(_LIST_SET, name)


def _messages(kind: int, flags: int, name: str, elements: Iterable[bytes]) -> Iterator[Request]:
    head, left = _of_map(name), iter(elements)
    while some := b"".join(islice(left, MAX_IN_ONE)):
        yield Request(kind, flags, head + codec.nested(_LIST_ELEMENTS, some))


def _service_key(key: ServiceKey) -> bytes:
    return codec.nested(_ELEMENT, codec.nested(_KEY, codec.attribute(_VALUE, _SERVICE_KEY.pack(*key))))


def _service(element: tuple[ServiceKey, str]) -> bytes:
    key, target = element
    verdict = codec.nested(_VERDICT, codec.attribute(_CODE, _GOTO), codec.text(_CHAIN, target))
    named = codec.nested(_KEY, codec.attribute(_VALUE, _SERVICE_KEY.pack(*key)))
    return codec.nested(_ELEMENT, named, codec.nested(_DATA, verdict))


def _backend_key(key: BackendKey) -> bytes:
    return codec.nested(_ELEMENT, codec.nested(_KEY, codec.attribute(_VALUE, _packed(key))))


def _backend(element: tuple[BackendKey, Backend]) -> bytes:
    key, backend = element
    protocol, port, number = key
    return _BACKEND.pack(_BEFORE, protocol, port, _NUMBER.pack(number), _BETWEEN, backend.ip, backend.port)


def _packed(key: BackendKey) -> bytes:
    return _SERVICE_KEY.pack(key[0], key[1]) + _NUMBER.pack(key[2])


def _elements(messages: Iterable[codec.Message]) -> Iterator[memoryview]:
    """Yields lists of elements."""
    for message in messages:
        yield codec.attributes(message.body[_HEAD.size :]).get(_LIST_ELEMENTS, memoryview(b""))


def _read_services(elements: memoryview) -> Iterator[tuple[ServiceKey, str]]:
    for _, data in codec.each_attribute(elements):
        element = codec.attributes(data)
        key = _fields(_SERVICE_KEY, _of(element, _KEY, _VALUE))
        verdict = codec.attributes(_of(element, _DATA, _VERDICT))
        goes = bytes(verdict.get(_CODE, b"")) == _GOTO
        yield (key[0], key[1]), codec.as_text(verdict.get(_CHAIN)) if goes else ""


def _read_backends(elements: memoryview) -> Iterator[tuple[BackendKey, Backend]]:
    if len(elements) % _BACKEND.size == 0:  # the common case, a tenth of the time
        rows = list(_BACKEND.iter_unpack(elements))
        if all((row[0], row[4]) == (_SHOWN_BEFORE, _SHOWN_BETWEEN) for row in rows):
            for _, protocol, port, number, _, ip, target in rows:
                yield (protocol, port, int.from_bytes(number, sys.byteorder)), Backend(ip, target)
            return
    for _, data in codec.each_attribute(elements):
        element = codec.attributes(data)
        key = _of(element, _KEY, _VALUE)
        protocol, port = _fields(_SERVICE_KEY, key[: -_NUMBER.size])
        (number,) = _fields(_NUMBER, key[-_NUMBER.size :])
        yield (protocol, port, number), Backend(*_fields(_TARGET, _of(element, _DATA, _VALUE)))


def _of(element: dict[int, memoryview], kind: int, within: int) -> memoryview:
    """Returns "" where the element has no such thing."""
    return codec.attributes(element.get(kind, memoryview(b""))).get(within, memoryview(b""))


def _fields(layout: struct.Struct, data: bytes | memoryview) -> Sequence[int]:
    if len(data) != layout.size:
        raise Malformed(f"an element of {TABLE} has {len(data)} bytes instead of {layout.size}")
    return layout.unpack(data)
