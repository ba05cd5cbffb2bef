"""The use of a task's container, as the API shows it."""

from typing import Annotated

import msgspec
from msgspec import Meta


class StatsView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One reading of a container's use. What is received, sent, read and written is counted since its start."""

    task: str
    allocation: str
    node_id: str
    at: Annotated[str, Meta(description="RFC 3339, UTC, by the clock of the task's node.")]
    cpu: Annotated[float, Meta(description="Cores, on the average since the reading before.")]
    memory: Annotated[int, Meta(description="Bytes, without files that the kernel can drop.")]
    memory_limit: Annotated[int, Meta(description="Bytes.")]
    received: Annotated[int, Meta(description="Bytes, from the network.")]
    sent: Annotated[int, Meta(description="Bytes, to the network.")]
    read: Annotated[int, Meta(description="Bytes, from disks.")]
    written: Annotated[int, Meta(description="Bytes, to disks.")]
    pids: Annotated[int, Meta(description="Processes and threads.")]
