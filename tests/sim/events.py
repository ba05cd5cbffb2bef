"""What was done to a cluster in one seed, as a list of events, and which of them a replay keeps.

A fault's key is its place in the seed's schedule, a client operation's its client and number. Each event draws from
a generator of its own, so that leaving one out changes no draw of another: what is left is still the same seed.
"""

import msgspec

FAULT, OPERATION = "fault", "op"
LOSSES = "fault:losses"  # machines that die for good when the other faults end


class Event(msgspec.Struct, frozen=True):
    key: str  # "fault:12", "fault:losses", "op:client-2:7"
    at_s: float
    what: str

    @property
    def is_fault(self) -> bool:
        return self.key.startswith(FAULT)


class Keep(msgspec.Struct, frozen=True):
    """Which events of a seed happen, by their keys, and how long faults go on. None: as the seed has it."""

    events: frozenset[str] | None = None
    safety_s: float | None = None

    def takes(self, key: str) -> bool:
        return self.events is None or key in self.events


EVERYTHING = Keep()


def fault_key(number: int) -> str:
    return f"{FAULT}:{number}"


def operation_key(client: str, number: int) -> str:
    return f"{OPERATION}:{client}:{number}"


def shown(keys: frozenset[str]) -> str:
    """Short enough for a command line: `fault:3,7-9 op:client-0:1,4`."""
    groups: dict[str, list[int]] = {}
    for key in keys:
        group, _, number = key.rpartition(":")
        groups.setdefault(group, []).append(int(number))
    return " ".join(f"{group}:{_ranges(sorted(numbers))}" for group, numbers in sorted(groups.items())) or "none"


def read(text: str) -> frozenset[str]:
    """The inverse of `shown`. Raises ValueError."""
    keys: set[str] = set()
    for part in text.split():
        if part == "none":
            continue
        group, _, ranges = part.rpartition(":")
        for piece in ranges.split(","):
            first, _, last = piece.partition("-")
            keys.update(f"{group}:{number}" for number in range(int(first), int(last or first) + 1))
    return frozenset(keys)


def _ranges(numbers: list[int]) -> str:
    parts: list[str] = []
    start = previous = numbers[0]
    for number in [*numbers[1:], None]:
        if number is not None and number == previous + 1:
            previous = number
            continue
        parts.append(str(start) if start == previous else f"{start}-{previous}")
        if number is not None:
            start = previous = number
    return ",".join(parts)
