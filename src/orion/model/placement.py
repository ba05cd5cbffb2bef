"""Why a task has no node, as counts: how many nodes fail at which filter, and the most that is free."""

import msgspec

from orion.model.after import JobWait
from orion.model.levels import since
from orion.model.volumes import VolumeWait


class ResourceShortage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Nodes that have less of a resource free than a task asks for. `most_free`: what the best of them has."""

    nodes: int
    most_free: int  # thousandths of a core, or bytes


class PortShortage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Nodes whose engine does not give a host port: a task has it, or Orion itself (`own`). `port` 0 is any of the
    range that Orion chooses from, none of which is free.
    """

    port: int
    protocol: str
    nodes: int
    own: bool = False


@since(2)
class PlacementFailure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many nodes do not take one more task of a job, by the first filter that each fails: a node is counted
    once, and filters are tried in the order of these fields, the last but two after the labels. What the task asks
    for stands in its spec, and is not repeated here. With `waits` no node was looked at: the task waits for other
    jobs. With `volume` only the node that has it was looked at, if any.
    """

    away: int = 0  # stopped on purpose
    down: int = 0
    draining: int = 0
    without_engine: int = 0  # no container engine answers
    without_labels: int = 0  # lacks one of the labels asked for
    cpu: ResourceShortage | None = None
    memory: ResourceShortage | None = None
    disk: ResourceShortage | None = None
    ports: tuple[PortShortage, ...] = ()  # most nodes first
    excluded: tuple[int, ...] = ()  # by each constraint of the task's rules, in their order
    apart: int = 0  # no task of the job runs there beside which the task is to be
    crowded: int = 0  # has as many of the job as the rules allow
    waits: tuple[JobWait, ...] = ()
    volume: VolumeWait | None = None

    @property
    def nodes(self) -> int:
        """All nodes that were looked at."""
        ready = (self.cpu, self.memory, self.disk, *self.ports)
        unready = self.away + self.down + self.draining + self.without_engine
        ruled_out = self.without_labels + sum(self.excluded) + self.apart + self.crowded
        return unready + ruled_out + sum(short.nodes for short in ready if short)

    @property
    def filters(self) -> tuple[object, ...]:
        """Equal for failures that name the same filters. That one node more fails at one is no event."""
        return (
            self.away > 0,
            self.down > 0,
            self.draining > 0,
            self.without_engine > 0,
            self.without_labels > 0,
            self.cpu is None,
            self.memory is None,
            self.disk is None,
            {(short.port, short.protocol, short.own) for short in self.ports},
            [count > 0 for count in self.excluded],
            self.apart > 0,
            self.crowded > 0,
            [(wait.key, wait.gap) for wait in self.waits],
            self.volume and self.volume.news,
        )

    @property
    def counts(self) -> tuple[object, ...]:
        """All but how much is free, which changes with every placement, and since when jobs are waited for."""
        return (
            self.away,
            self.down,
            self.draining,
            self.without_engine,
            self.without_labels,
            self.cpu and self.cpu.nodes,
            self.memory and self.memory.nodes,
            self.disk and self.disk.nodes,
            self.ports,
            self.excluded,
            self.apart,
            self.crowded,
            [(wait.key, wait.gap) for wait in self.waits],
            self.volume and self.volume.news,
        )


def waits_of(why: "RefusalReason") -> tuple[JobWait, ...]:
    """The jobs that a refused one waits for."""
    return () if isinstance(why, str) else why.waits


# Why the rest of a job does not fit; "" when nothing is refused. Another text is a sentence, which is all that is
# written until all nodes understand level 2.
RefusalReason = PlacementFailure | str
