"""Did the answers that clients got come from one cluster? Tasks and configs, each key for itself, by the checker of
tests/support; and indexes that never go back.

A key is a task's name or a config's key. A task is absent, present (and stopped or not), or ending: deleted but not
yet forgotten, which passes by itself. The name of one that may end by itself may be given to another at any time.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sim.loop import SimFailure
from support.linearizable import Operation, Verdict, check

ABSENT, ENDING = "absent", "ending"
STAYS, ENDS = b"stays", b"may end"  # what a creation asks for
STAYS_STOPPED, ENDS_STOPPED = "stays, stopped", "may end, stopped"

_NEW: dict[bytes, str] = {STAYS: "stays", ENDS: "may end"}
_STOP = {"stays": STAYS_STOPPED, "may end": ENDS_STOPPED}
_START = {stopped: present for present, stopped in _STOP.items()}
_RUNS, _STOPPED = tuple(_STOP), tuple(_START)
_PRESENT = (*_RUNS, *_STOPPED)


def _same(*states: str) -> dict[str, tuple[str, ...]]:
    return {state: (state,) for state in states}


# (kind, outcome) -> state before -> the states it may leave; what a creation leaves is in _NEW. An operation that
# is not answered may do any of what it could have been answered with, or nothing at all.
_STEPS: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("create", "conflict"): _same(*_PRESENT),
    # The delete looks first and deletes then; somebody may have been faster between the two.
    ("delete", "ok"): {**dict.fromkeys(_PRESENT, (ENDING, ABSENT)), **_same(ENDING, ABSENT)},
    ("delete", "not found"): _same(ABSENT),
    ("delete", "unknown"): dict.fromkeys(_PRESENT, (ENDING, ABSENT)),
    ("stop", "ok"): {**{state: (stopped,) for state, stopped in _STOP.items()}, **_same(*_STOPPED)},
    ("stop", "conflict"): _same(ENDING),
    ("stop", "not found"): _same(ABSENT),
    ("stop", "unknown"): {state: (stopped,) for state, stopped in _STOP.items()},
    ("start", "ok"): {**{stopped: (state,) for stopped, state in _START.items()}, **_same(*_RUNS)},
    ("start", "conflict"): _same(ENDING),
    ("start", "not found"): _same(ABSENT),
    ("start", "unknown"): {stopped: (state,) for stopped, state in _START.items()},
    ("seen", "ok"): _same(*_RUNS, ENDING),
    ("seen stopped", "ok"): _same(*_STOPPED, ENDING),  # what was deleted is shown as it was
    ("unseen", "ok"): _same(ABSENT),
}


CHANGES = ("create", "delete", "stop", "start")  # of tasks


class Op(msgspec.Struct):
    """One operation of one client. `end_ns` None: never answered, so it may have happened or not, at any time.

    `outcome`: ok, conflict, not found or unknown. `names`: the tasks in a list, `stopped` those of them that are;
    `versions`: the configs in one.
    """

    client: int
    kind: str  # of tasks: create, delete, stop, start, list; of configs: put, drop, get, ls
    key: str
    begin_ns: int
    end_ns: int | None = None
    outcome: str = ""
    names: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()
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
        # One that is answered "not found" was created, and gone again when its view was read.
        if operation.kind == "create" and operation.outcome != "conflict":
            assert operation.value is not None
            return (_NEW[operation.value],) if state in (ABSENT, ENDING, _NEW[ENDS]) else ()
        return _STEPS[operation.kind, operation.outcome].get(state, ())

    def drift(self, state: str) -> tuple[str, ...]:
        return (ABSENT,) if state == ENDING else ()

    def reads(self, operation: Operation) -> bool:
        return operation.kind in ("seen", "seen stopped", "unseen") or operation.outcome == "conflict"

    def blind(self, operation: Operation) -> bool:
        del operation
        return False

    def alike(self, operation: Operation) -> object:
        return operation.kind, operation.value

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
    names = sorted({op.key for op in history if op.kind in CHANGES})
    for op in history:
        if op.kind in CHANGES:
            yield _operation(op, op.kind, op.key)
        elif op.kind == "list" and op.outcome == "ok":
            for name in names:
                seen = "seen stopped" if name in op.stopped else "seen"
                yield _operation(op, seen if name in op.names else "unseen", name)


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
