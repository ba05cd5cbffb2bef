"""Questions and answers of DNS, as values. wire/dns has their bytes."""

import enum

import msgspec

DOMAIN = "orion.internal"  # .internal is kept for private use (ICANN, 2024): no public name is ever below it
TTL_S = 2  # of an answer: how long others may go on with a task that has ended
NEGATIVE_TTL_S = 1  # of "there is none": a job that was just created is asked for again soon
MAX_ANSWERS = 256  # records, of however many tasks; those of a larger job are drawn by lot

INTERNET = 1  # the class


class Type(enum.IntEnum):
    """Those that have a meaning here. A question may be of any other."""

    A = 1
    NS = 2
    SOA = 6
    PTR = 12
    AAAA = 28
    SRV = 33
    OPT = 41
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255


class Code(enum.IntEnum):
    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16  # of EDNS


class Question(msgspec.Struct, frozen=True, gc=False):
    """`name` is in lower case and without its last dot, "" the root. Bytes that no host name has, a dot inside of a
    label among them, are written as backslash and three digits.
    """

    name: str
    type: int
    klass: int = INTERNET


class Service(msgspec.Struct, frozen=True, gc=False):
    """One SRV record, with the addresses (4 or 16 bytes each) of its target."""

    target: str
    port: int
    addresses: tuple[bytes, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """An answer from this node's own knowledge. Nothing in it, and NOERROR: the name is there, and has nothing of
    the type that is asked for. Addresses have 4 bytes or 16. `zone` is the name above all that was searched.
    """

    code: Code = Code.NOERROR
    addresses: tuple[bytes, ...] = ()
    services: tuple[Service, ...] = ()
    pointers: tuple[str, ...] = ()
    zone: str = DOMAIN

    @property
    def is_empty(self) -> bool:
        return not (self.addresses or self.services or self.pointers)


class Forward(msgspec.Struct, frozen=True, gc=False):
    """In place of an answer: the name is for the resolvers of this machine."""


NOTHING = Answer()
NO_SUCH_NAME = Answer(Code.NXDOMAIN)
FORWARD = Forward()
