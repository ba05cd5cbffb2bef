"""Identifiers and their written forms.

- `NodeId`: the name a person gave a machine, unique in the cluster.
- `RaftId`: 64 random bits drawn once per data directory. A wiped directory is a new Raft member even
  under the same node id, because it has forgotten what it voted for (Raft, section 4.2.1 of the thesis
  needs a member's vote to survive).
- `AllocationId`: 32 bits, unique in the cluster for its life, made in `apply` from a counter.
- A task's id is `job/index`.
"""

import re
from typing import NewType

from orion.model.errors import FieldError, Invalid

NodeId = NewType("NodeId", str)
JobName = NewType("JobName", str)
RaftId = NewType("RaftId", int)
AllocationId = NewType("AllocationId", int)

NODE_ID = re.compile(r"[a-zA-Z0-9._-]{1,64}")
# A job's name becomes part of a container name and, later, a DNS label (RFC 1123): at most 63 bytes.
JOB_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_INDEX = re.compile(r"[0-9]{1,9}")

# Knuth's multiplicative hash, odd, so that counter -> id is a bijection on 32 bits: ids never repeat
# within a cluster, and two clusters that share an engine rarely choose the same container name.
_ID_MULTIPLIER = 0x9E3779B1
_ID_MASK = 0xFFFFFFFF


def allocation_id(counter: int, salt: int) -> AllocationId:
    """The id of the `counter`-th allocation of the cluster whose salt is `salt`."""
    return AllocationId((counter * _ID_MULTIPLIER + salt) & _ID_MASK)


def allocation_text(allocation: AllocationId) -> str:
    """8 hex digits, as in container names and the API."""
    return f"{allocation:08x}"


def raft_text(raft: RaftId) -> str:
    """16 hex digits."""
    return f"{raft:016x}"


def task_id(job: JobName, index: int) -> str:
    return f"{job}/{index}"


def split_task_id(text: str) -> tuple[JobName, int | None]:
    """`web/2` -> (web, 2); `web` -> (web, None), the job's only task.

    Raises Invalid when it is neither.
    """
    name, slash, index = text.partition("/")
    if not JOB_NAME.fullmatch(name) or (slash and not _INDEX.fullmatch(index)):
        raise Invalid([FieldError("/id", f"{text[:80]!r} is not a task id: write job/index, as in web/0")])
    return JobName(name), int(index) if slash else None


def container_name(job: JobName, index: int, allocation: AllocationId) -> str:
    return f"{job}-{index}-{allocation_text(allocation)}"
