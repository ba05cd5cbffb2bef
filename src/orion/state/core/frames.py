"""The frames a snapshot is made of: 4 bytes of length, then a msgpack array with a tag."""

import msgspec

from orion.model.allocation import Allocation
from orion.model.configs import Config
from orion.model.ids import RaftId
from orion.model.job import Job
from orion.model.node import Node
from orion.state.core.dedup import Answer
from orion.state.core.encoding import LeveledEncoder

FORMAT = 3
LENGTH_BYTES = 4
MAX_FRAME_BYTES = 64 * 1024 * 1024  # more can't be a length


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Fields are only ever added at the end, with a default; another meaning is another FORMAT."""


class Header(Frame, frozen=True, array_like=True, tag=1):
    """`level`: at which everything in the snapshot is written, this frame too."""

    format: int
    index: int
    cluster: int
    next_number: int
    next_allocation: int
    answers_from: int = 0
    recovery: int = 0
    config_answers_from: int = 0
    level: int = 1


class Nodes(Frame, frozen=True, array_like=True, tag=2):
    rows: list[Node]


class Removed(Frame, frozen=True, array_like=True, tag=3):
    rows: list[RaftId]


class Answers(Frame, frozen=True, array_like=True, tag=4):
    """About jobs and nodes, oldest first."""

    rows: list[tuple[str, Answer]]


class Jobs(Frame, frozen=True, array_like=True, tag=5):
    rows: list[tuple[Job, str]]


class Allocations(Frame, frozen=True, array_like=True, tag=6):
    """Of jobs that came before, by task, newest last."""

    rows: list[Allocation]


class End(Frame, frozen=True, array_like=True, tag=7):
    nodes: int
    jobs: int
    allocations: int
    configs: int = 0
    successors: int = 0


class Configs(Frame, frozen=True, array_like=True, tag=8):
    """By key."""

    rows: list[Config]


class ConfigAnswers(Frame, frozen=True, array_like=True, tag=9):
    """Oldest first."""

    rows: list[tuple[str, Answer]]


class Successors(Frame, frozen=True, array_like=True, tag=10):
    """Jobs that wait until the one of their name has ended, which came before."""

    rows: list[Job]


AnyFrame = Header | Nodes | Removed | Answers | Jobs | Allocations | End | Configs | ConfigAnswers | Successors

encoder = LeveledEncoder()
decoder: msgspec.msgpack.Decoder[AnyFrame] = msgspec.msgpack.Decoder(AnyFrame)
