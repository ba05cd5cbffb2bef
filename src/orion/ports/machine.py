"""The Machine port."""

from typing import Protocol

import msgspec


class Usage(msgspec.Struct, frozen=True):
    cpu_cores: float
    memory_bytes: int


class Machine(Protocol):
    """Live use of this machine, and randomness for ids that must be unguessable or unique."""

    def usage(self) -> Usage: ...

    def interfaces(self) -> list[str]:
        """Returns the names of its network interfaces, in no order; none where nobody can tell."""

    def random_bits(self, bits: int) -> int: ...
