"""The use of a container at one moment."""

import msgspec


class ContainerStats(msgspec.Struct, frozen=True, array_like=True):
    """`at_ms` is Unix time, of the engine's clock. `cpu_millis` is the mean since the reading before, in
    thousandths of a core. What is sent, received, read and written is counted since the container's start. A limit
    of 0 is none.
    """

    at_ms: int
    cpu_millis: int
    memory_bytes: int
    memory_limit_bytes: int
    received_bytes: int
    sent_bytes: int
    read_bytes: int
    written_bytes: int
    pids: int
