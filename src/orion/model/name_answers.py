"""A question and what is known of jobs -> its answer, after docs/design/names.md."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from orion.model.dns import (
    FORWARD,
    MAX_ANSWERS,
    NO_SUCH_NAME,
    NOTHING,
    Answer,
    Code,
    Forward,
    Question,
    Service,
    Type,
)
from orion.model.ids import JobName
from orion.model.names import (
    NoMeaning,
    OfAddress,
    OfDomain,
    OfJob,
    OfPort,
    OfSlot,
    parse_name,
    reverse_zone,
    slot_name,
)

# Knuth's multiplier and increment (MMIX) of a linear congruence on 64 bits, whose high bits are the better ones.
_MULTIPLIER = 6_364_136_223_846_793_005
_INCREMENT = 1_442_695_040_888_963_407
_MASK = 2**64 - 1
# Of addresses, by what is asked for.
_LENGTHS: dict[int, tuple[int, ...]] = {Type.A: (4,), Type.AAAA: (16,), Type.ANY: (4, 16)}

_T = TypeVar("_T")


class Port(msgspec.Struct, frozen=True, gc=False):
    """A port that a task listens on."""

    number: int
    protocol: str = "tcp"
    name: str = ""


class Place(msgspec.Struct, frozen=True):
    """A ready task. Its addresses have 4 bytes or 16 each."""

    slot: int
    addresses: tuple[bytes, ...]
    ports: tuple[Port, ...] = ()


class Tasks(msgspec.Struct, frozen=True):
    """A job's slots are those below `slots`; `ready` are the places of those that may be used now, and `ports`
    those of the job, however many are ready.
    """

    slots: int
    ready: tuple[Place, ...] = ()
    ports: tuple[Port, ...] = ()


class Known(Protocol):
    """The facts, as whoever asks may see them."""

    def tasks(self, job: JobName) -> Tasks | None:
        """Returns None where there is no such job."""

    def owner(self, address: bytes) -> tuple[JobName, int] | None:
        """Returns the job and the slot whose address it is."""

    def is_ours(self, address: bytes) -> bool:
        """Returns True for an address of the cluster's own range, whoever has it."""


def answer(question: Question, known: Known, number: int) -> Answer | Forward:
    """`number` is random, of 64 bits: the order of the addresses follows from it."""
    wanted = parse_name(question.name)
    if wanted is None:
        return FORWARD
    if isinstance(wanted, OfAddress):
        return _of_address(question, wanted.address, known)
    if isinstance(wanted, OfDomain):
        return NOTHING
    if isinstance(wanted, NoMeaning) or (tasks := known.tasks(wanted.job)) is None:
        found = NO_SUCH_NAME
    elif isinstance(wanted, OfJob):
        found = _addresses_of(question, tasks.ready, number)
    elif isinstance(wanted, OfSlot):
        found = _of_slot(question, wanted.slot, tasks, number)
    else:
        found = _of_port(question, wanted, tasks, number)
    return FORWARD if found is NO_SUCH_NAME and not isinstance(wanted, NoMeaning) and wanted.bare else found


def shuffled(items: Sequence[_T], number: int) -> list[_T]:
    """Returns up to MAX_ANSWERS of the items, drawn by lot: any of them is as likely in any place."""
    drawn = list(items)
    last = len(drawn) - 1
    for at in range(min(last, MAX_ANSWERS)):
        number = (number * _MULTIPLIER + _INCREMENT) & _MASK
        other = at + (number >> 33) % (last - at + 1)
        drawn[at], drawn[other] = drawn[other], drawn[at]
    return drawn[:MAX_ANSWERS]


def _addresses_of(question: Question, places: Sequence[Place], number: int) -> Answer:
    lengths = _LENGTHS.get(question.type)
    if lengths is None:
        return NOTHING
    drawn = shuffled(places, number)
    found = [address for place in drawn for address in place.addresses if len(address) in lengths]
    return Answer(addresses=tuple(found[:MAX_ANSWERS]))


def _of_slot(question: Question, slot: int, tasks: Tasks, number: int) -> Answer:
    places = [place for place in tasks.ready if place.slot == slot]
    return _addresses_of(question, places, number) if places or slot < tasks.slots else NO_SUCH_NAME


def _of_port(question: Question, wanted: OfPort, tasks: Tasks, number: int) -> Answer:
    drawn = shuffled(tasks.ready, number)
    meant = [(place, port) for place in drawn for port in place.ports if _is_meant(port, wanted)]
    if not meant and not any(_is_meant(port, wanted) for port in tasks.ports):
        return NO_SUCH_NAME
    if wanted.port == "" or question.type not in (Type.SRV, Type.ANY):
        return NOTHING
    return Answer(
        services=tuple(
            Service(slot_name(wanted.job, place.slot), port.number, place.addresses)
            for place, port in meant[:MAX_ANSWERS]
        )
    )


def _is_meant(port: Port, wanted: OfPort) -> bool:
    return port.protocol == wanted.protocol and wanted.port in ("", port.number, port.name)


def _of_address(question: Question, address: bytes, known: Known) -> Answer | Forward:
    owner = known.owner(address)
    if owner is None:
        return Answer(Code.NXDOMAIN, zone=reverse_zone(address)) if known.is_ours(address) else FORWARD
    pointers = (slot_name(*owner),) if question.type in (Type.PTR, Type.ANY) else ()
    return Answer(pointers=pointers, zone=reverse_zone(address))
