"""The grammar of names, below `orion.internal` or bare:

    web                 the ready tasks of the job web
    0.web               its slot 0
    _80._tcp.web        their port 80, or _http._tcp.web by the port's name
    3.2.1.10.in-addr.arpa, and those of ip6.arpa: whose address it is

Below the domain every name is ours. A bare one is ours where such a job is there, and else one of the network
around this cluster (docs/design/names.md).
"""

import msgspec

from orion.model.dns import DOMAIN
from orion.model.ids import JOB_NAME, JobName

MAX_SLOT_DIGITS = 9
_BELOW = "." + DOMAIN
_REVERSE_4 = ".in-addr.arpa"
_REVERSE_6 = ".ip6.arpa"
_PROTOCOLS = ("tcp", "udp")
_HEX = frozenset("0123456789abcdef")


class OfDomain(msgspec.Struct, frozen=True, gc=False):
    """The domain itself."""


class NoMeaning(msgspec.Struct, frozen=True, gc=False):
    """Below the domain, and nothing that a job can be called."""


class OfJob(msgspec.Struct, frozen=True, gc=False):
    job: JobName
    bare: bool = False


class OfSlot(msgspec.Struct, frozen=True, gc=False):
    job: JobName
    slot: int
    bare: bool = False


class OfPort(msgspec.Struct, frozen=True, gc=False):
    """`port` is a number or a name. "": the name above all ports of the protocol, which has no records itself."""

    job: JobName
    protocol: str
    port: int | str
    bare: bool = False


class OfAddress(msgspec.Struct, frozen=True, gc=False):
    """4 bytes or 16."""

    address: bytes


Wanted = OfDomain | NoMeaning | OfJob | OfSlot | OfPort | OfAddress


def parse_name(name: str) -> Wanted | None:
    """Returns what `name`, in lower case and without its last dot, asks for. None: it is not ours."""
    if name.endswith(_BELOW):
        return _of_job(name[: -len(_BELOW)].split("."), bare=False) or NoMeaning()
    if name == DOMAIN:
        return OfDomain()
    if name.endswith(_REVERSE_4):
        return _of_address_4(name[: -len(_REVERSE_4)].split("."))
    if name.endswith(_REVERSE_6):
        return _of_address_6(name[: -len(_REVERSE_6)].split("."))
    return _of_job(name.split("."), bare=True)


def slot_name(job: JobName, slot: int) -> str:
    """Returns the whole name of one slot."""
    return f"{slot}.{job}{_BELOW}"


def reverse_zone(address: bytes) -> str:
    """Returns the name above those of all addresses that are in one network with this one, of a node's size."""
    if len(address) == 4:
        return f"{address[2]}.{address[1]}.{address[0]}{_REVERSE_4}"
    return ".".join(reversed(address[:8].hex())) + _REVERSE_6


def _of_job(labels: list[str], *, bare: bool) -> Wanted | None:
    if len(labels) > 3 or not JOB_NAME.fullmatch(labels[-1]):
        return None
    job = JobName(labels[-1])
    if len(labels) == 1:
        return OfJob(job, bare)
    if len(labels) == 3:
        return _of_port(job, labels[0], labels[1], bare=bare)
    if _is_number(labels[0], MAX_SLOT_DIGITS):
        return OfSlot(job, int(labels[0]), bare)
    protocol = _marked(labels[0])
    return OfPort(job, protocol, "", bare) if protocol in _PROTOCOLS else None


def _of_port(job: JobName, port_label: str, protocol_label: str, *, bare: bool) -> Wanted | None:
    port, protocol = _marked(port_label), _marked(protocol_label)
    if not port or protocol not in _PROTOCOLS:
        return None
    if port.isdigit():
        return OfPort(job, protocol, int(port), bare) if _is_port(port) else None
    return OfPort(job, protocol, port, bare) if JOB_NAME.fullmatch(port) else None


def _marked(label: str) -> str:
    """Returns the label without its underscore, "" where it has none."""
    return label[1:] if label.startswith("_") else ""


def _is_number(text: str, most_digits: int) -> bool:
    """One way to write a number, so that there is one name for each slot."""
    return text.isascii() and text.isdigit() and len(text) <= most_digits and (text == "0" or text[0] != "0")


def _is_port(text: str) -> bool:
    return _is_number(text, 5) and 0 < int(text) <= 65_535


def _of_address_4(labels: list[str]) -> OfAddress | None:
    if len(labels) != 4 or not all(_is_number(label, 3) for label in labels):
        return None
    numbers = [int(label) for label in reversed(labels)]
    return OfAddress(bytes(numbers)) if max(numbers) <= 255 else None


def _of_address_6(labels: list[str]) -> OfAddress | None:
    if len(labels) != 32 or not all(label in _HEX for label in labels):
        return None
    return OfAddress(bytes.fromhex("".join(reversed(labels))))
