"""Did the answers that clients got come from one cluster? Tasks and configs, each key for itself, by the checker of
tests/support; and indexes that never go back.

A key is a task's name or a config's key. A task is absent, present, or stopping: deleted but not yet forgotten,
which ends by itself.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sim.loop import SimFailure
from support.linearizable import Operation, Verdict, check

ABSENT, PRESENT, STOPPING = "absent", "present", "stopping"

# (kind, outcome) -> state before -> the states it may leave. An operation that is not answered may do any of what
# it could have been answered with, or nothing at all.
_STEPS: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("create", "ok"): {ABSENT: (PRESENT,)},
    ("create", "conflict"): {PRESENT: (PRESENT,), STOPPING: (STOPPING,)},
    # Created, and gone again when its view was read.
    ("create", "not found"): {ABSENT: (PRESENT,)},
    ("create", "unknown"): {ABSENT: (PRESENT,)},
    # The delete looks first and stops then; somebody may have been faster between the two.
    ("delete", "ok"): {PRESENT: (STOPPING, ABSENT), STOPPING: (STOPPING,), ABSENT: (ABSENT,)},
    ("delete", "not found"): {ABSENT: (ABSENT,)},
    ("delete", "unknown"): {PRESENT: (STOPPING, ABSENT)},
    ("seen", "ok"): {PRESENT: (PRESENT,), STOPPING: (STOPPING,)},
    ("unseen", "ok"): {ABSENT: (ABSENT,)},
}


class Op(msgspec.Struct):
    """One operation of one client. `end_ns` None: never answered, so it may have happened or not, at any time.

    `outcome`: ok, conflict, not found or unknown. `names`: the tasks in a list; `versions`: the configs in one.
    """

    client: int
    kind: str  # of tasks: create, delete, list; of configs: put, drop, get, ls
    key: str
    begin_ns: int
    end_ns: int | None = None
    outcome: str = ""
    names: frozenset[str] = frozenset()
    index: int = 0
    value: bytes | None = None
    version: int | None = None
    if_version: int | None = None
    versions: dict[str, int] = {}


class TaskName:
    """A model for the checker: what may become of a task's name."""

    def initial(self) -> str:
        return ABSENT

    def after(self, state: str, operation: Operation) -> tuple[str, ...]:
        return _STEPS[operation.kind, operation.outcome].get(state, ())

    def drift(self, state: str) -> tuple[str, ...]:
        return (ABSENT,) if state == STOPPING else ()

    def reads(self, operation: Operation) -> bool:
        return operation.kind in ("seen", "unseen") or (operation.kind, operation.outcome) == ("create", "conflict")

    def blind(self, operation: Operation) -> bool:
        del operation
        return False

    def alike(self, operation: Operation) -> object:
        return operation.kind

    def rank(self, operation: Operation) -> None:
        del operation


def check_history(history: Sequence[Op]) -> None:
    """Raises SimFailure when some key's history has no explanation, or an index went back."""
    _check_indexes([op for op in history if op.index and op.end_ns is not None])
    _judge(check(_of_tasks(history), TaskName()))
    _judge(check(_of_configs(history)))


def _judge(verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.explained is False:
            raise SimFailure("linearizable history", f"no order of the operations explains them: {verdict.story}")
        if verdict.explained is None:  # a checker that gives up proves nothing: the workload must not be like that
            raise SimFailure("histories can be judged", f"{verdict.key} is too tangled: {verdict.story}")


def _of_tasks(history: Sequence[Op]) -> Iterator[Operation]:
    names = sorted({op.key for op in history if op.kind in ("create", "delete")})
    for op in history:
        if op.kind in ("create", "delete"):
            yield _operation(op, op.kind, op.key)
        elif op.kind == "list" and op.outcome == "ok":
            for name in names:
                yield _operation(op, "seen" if name in op.names else "unseen", name)


def _of_configs(history: Sequence[Op]) -> Iterator[Operation]:
    keys = sorted({op.key for op in history if op.kind in ("put", "drop", "get")})
    for op in history:
        if op.kind == "ls" and op.outcome == "ok":
            for key in keys:
                version = op.versions.get(key)
                if version is None:
                    yield msgspec.structs.replace(_operation(op, "get", key), outcome="not found")
                else:
                    yield msgspec.structs.replace(_operation(op, "seen", key), version=version)
        elif op.kind in ("put", "drop") or (op.kind == "get" and op.outcome != "unknown"):
            yield _operation(op, "delete" if op.kind == "drop" else op.kind, op.key)


def _operation(op: Op, kind: str, key: str) -> Operation:
    return Operation(
        client=op.client,
        kind=kind,
        key=key,
        begin=op.begin_ns,
        end=op.end_ns,
        outcome=op.outcome,
        value=op.value,
        version=op.version,
        if_version=op.if_version,
    )


def _check_indexes(reads: list[Op]) -> None:
    """A linearizable read shows an index at least as high as every one that was answered before it began."""
    by_end = sorted(reads, key=lambda op: op.end_ns or 0)
    highest, position = 0, 0
    for op in sorted(reads, key=lambda op: op.begin_ns):
        while position < len(by_end) and (by_end[position].end_ns or 0) < op.begin_ns:
            highest = max(highest, by_end[position].index)
            position += 1
        if op.index < highest:
            raise SimFailure(
                "linearizable reads", f"a read showed index {op.index} after another had shown {highest}: {op}"
            )
