"""Parts from which a noun says what is wrong with a command; "" is nothing."""

from collections.abc import Iterable

from orion.model.ids import NODE_ID
from orion.model.resources import Resources

MIN_MS = -62_135_596_800_000  # the year 1, which is how container engines write that there is no time
MAX_MS = 253_402_300_799_999  # the end of the year 9999: later times can't be shown
MAX_NUMBER = 1 << 62  # of bytes, counters, versions: sums of many still fit what they are stored in
MAX_ID = (1 << 64) - 1
MAX_WORD = 1_024  # characters of a name, a key, an address, a version
MAX_TEXT = 64 * 1024  # characters of a reason, or of all labels
MAX_PORT = 65_535
MAX_LEVEL = 10_000


def outside(what: str, number: int, most: int, least: int = 0) -> str:
    return "" if least <= number <= most else f"{what} is {number}, not from {least} to {most}"


def longer(what: str, length: int, most: int) -> str:
    return "" if length <= most else f"{what} is {length:,} characters long; at most {most:,} are taken"


def node_fault(node: str) -> str:
    return "" if NODE_ID.fullmatch(node) else f"{node[:80]!r} is no node's name"


def key_fault(idempotency_key: str) -> str:
    return longer("idempotency_key", len(idempotency_key), MAX_WORD)


def first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")


def protocol_fault(protocol: str) -> str:
    return "" if protocol in {"tcp", "udp"} else f"{protocol[:20]!r} is no protocol"


def resources_fault(resources: Resources) -> str:
    return first(
        outside(name, getattr(resources, name), MAX_NUMBER) for name in ("cpu_millis", "memory_bytes", "disk_bytes")
    )
