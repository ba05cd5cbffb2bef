"""Did the answers that clients got come from one cluster? The checker of Wing and Gong with Lowe's memory: search
for an order of the operations that respects real time and explains every answer, one key at a time (linearizability
is local: Herlihy and Wing, theorem 1).

A key is a task's name. Its task is absent, present, or stopping: deleted but not yet forgotten, which ends by
itself.
"""

from collections.abc import Iterable, Sequence

import msgspec

from sim.loop import SimFailure

ABSENT, PRESENT, STOPPING = "absent", "present", "stopping"
MAX_STEPS = 2_000_000

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
_NEVER = 1 << 62


class Op(msgspec.Struct):
    """One operation of one client. `end_ns` None: never answered, so it may have happened or not, at any time.

    `outcome`: ok, conflict, not found, or for a list the names that were in it.
    """

    client: int
    kind: str  # create, delete, list
    key: str
    begin_ns: int
    end_ns: int | None = None
    outcome: str = ""
    names: frozenset[str] = frozenset()
    index: int = 0


def check_history(history: Sequence[Op]) -> None:
    """Raises SimFailure when some key's history has no explanation, or an index went back."""
    _check_indexes([op for op in history if op.kind == "list" and op.outcome == "ok"])
    keys = sorted({op.key for op in history if op.kind != "list"})
    lists = [op for op in history if op.kind == "list" and op.outcome == "ok"]
    for key in keys:
        own = [op for op in history if op.key == key and op.kind in ("create", "delete")]
        reads = [
            Op(op.client, "seen" if key in op.names else "unseen", key, op.begin_ns, op.end_ns, "ok")
            for op in lists
        ]
        check_key(key, [*own, *reads])


def _check_indexes(lists: list[Op]) -> None:
    """A linearizable read shows an index at least as high as every one that was answered before it began."""
    by_end = sorted(lists, key=lambda op: op.end_ns or 0)
    highest, position = 0, 0
    for op in sorted(lists, key=lambda op: op.begin_ns):
        while position < len(by_end) and (by_end[position].end_ns or 0) < op.begin_ns:
            highest = max(highest, by_end[position].index)
            position += 1
        if op.index < highest:
            raise SimFailure(
                "linearizable reads", f"a read showed index {op.index} after another had shown {highest}: {op}"
            )


def check_key(key: str, ops: Iterable[Op]) -> None:
    ordered = sorted(ops, key=lambda op: (op.begin_ns, op.end_ns or _NEVER))
    if not _explained(ordered):
        story = "\n".join(
            f"  {op.begin_ns / 1e9:.6f}..{(op.end_ns or 0) / 1e9:.6f} client{op.client} {op.kind} {op.outcome}"
            for op in ordered
        )
        raise SimFailure("linearizable history", f"no order of the operations on {key} explains them:\n{story}")


def _explained(ops: list[Op]) -> bool:
    """Depth-first over (operations done, state); `done` is a prefix length and the set of those done beyond it, so
    that long histories with few at a time stay cheap."""
    count = len(ops)
    answered = sum(1 for op in ops if op.end_ns is not None)
    seen: set[tuple[int, frozenset[int], str]] = set()
    stack: list[tuple[int, frozenset[int], str, int]] = [(0, frozenset(), ABSENT, 0)]
    steps = 0
    while stack:
        first, beyond, state, done = stack.pop()
        if done == answered:
            return True
        mark = (first, beyond, state)
        if mark in seen:
            continue
        seen.add(mark)
        steps += 1
        if steps > MAX_STEPS:
            return True  # too tangled to judge: not a failure
        if state == STOPPING:
            stack.append((first, beyond, ABSENT, done))
        horizon = _NEVER  # nothing that begins after the earliest open end can come next
        for at in range(first, count):
            op = ops[at]
            if op.begin_ns > horizon:
                break
            if at in beyond:
                continue
            for after in _STEPS[op.kind, op.outcome].get(state, ()):
                now_first, now_beyond = _advance(first, beyond | {at}, count)
                stack.append((now_first, now_beyond, after, done + (op.end_ns is not None)))
            if op.end_ns is not None:
                horizon = min(horizon, op.end_ns)
    return False


def _advance(first: int, beyond: frozenset[int], count: int) -> tuple[int, frozenset[int]]:
    while first < count and first in beyond:
        beyond -= {first}
        first += 1
    return first, beyond
