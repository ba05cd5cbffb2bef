"""Is a history of operations linearizable? For the simulator and for real runs alike: pure, of plain values.

The search of Wing and Gong (1993) with Lowe's memory (2017): is there an order of the operations that respects real
time (what was answered before another began comes first) and explains every answer? One key at a time, because
linearizability is local (Herlihy and Wing 1990, theorem 1).

An operation that was never answered (`end` None) may have happened at any time after its beginning, or never; so
every write that ends in a timeout, a broken connection or a 503 must be given as such. Reads without an answer, and
writes that surely did nothing (the connection was refused), are best left out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

S = TypeVar("S")

MAX_STEPS = 1_000_000
UNKNOWN_VERSION = -1
_NEVER = 1 << 62
_STORY = 40  # operations around the place where an explanation gets stuck


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`begin` and `end` on one clock, in any unit, the same for all clients (time.monotonic_ns on one machine).

    What `kind` and `outcome` may be, and what the rest means, is the model's; see Register.
    """

    client: str | int
    kind: str
    key: str
    begin: int
    end: int | None
    outcome: str
    value: bytes | None = None
    version: int | None = None
    if_version: int | None = None


class Model(Protocol[S]):
    """`S` must be hashable."""

    def initial(self) -> S: ...

    def after(self, state: S, operation: Operation) -> Iterable[S]:
        """The states that the operation may leave, none when it can't have been answered so in this one. For one
        without an answer: what it does when it happens.
        """

    def drift(self, state: S) -> Iterable[S]:
        """The states that this one may become by itself."""

    def blind(self, operation: Operation) -> bool:
        """Whether it leaves the same state whatever was before: then one without an answer right before it might as
        well never have happened, which spares most of the search.
        """

    def alike(self, operation: Operation) -> object:
        """Of operations without an answer for which this is equal, any may stand for any other that began later."""

    def reads(self, operation: Operation) -> bool:
        """Whether it changes nothing in any state, but for what it tells of it."""

    def rank(self, operation: Operation) -> int | None:
        """What never falls along any explanation, so that the search need not try; None where nothing is known."""


class Verdict(msgspec.Struct, frozen=True):
    """`explained` None: given up after MAX_STEPS. `story`: how far the best explanation comes, and what it can't
    explain; empty when all is explained.
    """

    key: str
    explained: bool | None
    steps: int
    story: str = ""


# --- configs -----------------------------------------------------------------------------------------------

# (value, None when absent; its version; the highest version that is known to be passed)
Held = tuple[bytes | None, int, int]


class Register:
    """A key of /configs.

    | kind   | outcome   | value    | version       | if_version |
    |--------|-----------|----------|---------------|------------|
    | put    | ok        | put      | answered      | None, 0, N |
    | put    | conflict  | put      |               | 0, N       |
    | put    | unknown   | put      |               | None, 0, N |
    | get    | ok        | answered | answered      |            |
    | get    | not found |          |               |            |
    | seen   | ok        |          | answered      |            |  in a list, which shows no values
    | delete | ok        |          | what was there| None, N    |
    | delete | conflict  |          |               | N          |
    | delete | not found |          |               | None, N    |
    | delete | unknown   |          |               | None, N    |

    Versions of a key only grow. A put without an answer has some version above those before it; whoever reads it
    first tells which.
    """

    def prepared(self, operations: Sequence[Operation]) -> list[Operation]:
        """The same history, with what it tells of unanswered puts: one whose value somebody read, and nobody else
        put, has happened, at the version that was read; and of values that nobody read it matters not which it was.
        """
        read = {op.value: op.version for op in operations if op.kind == "get" and op.outcome == "ok"}
        puts = Counter(op.value for op in operations if op.kind == "put" and op.outcome != "conflict")
        unseen = b"(a value that nobody read)"
        while unseen in read:
            unseen += b"!"
        found = []
        for op in operations:
            if (op.kind, op.outcome) != ("put", "unknown"):
                found.append(op)
            elif op.value not in read:
                found.append(msgspec.structs.replace(op, value=unseen))
            elif puts[op.value] == 1:
                found.append(msgspec.structs.replace(op, outcome="ok", end=_NEVER, version=read[op.value]))
            else:
                found.append(op)
        return found

    def initial(self) -> Held:
        return (None, 0, 0)

    def drift(self, state: Held) -> Iterable[Held]:
        del state
        return ()

    def blind(self, operation: Operation) -> bool:
        # An answered delete tells what was there.
        return operation.if_version is None and (operation.kind == "put" or operation.outcome == "unknown")

    def alike(self, operation: Operation) -> object:
        return (operation.kind, operation.value, operation.if_version)

    def reads(self, operation: Operation) -> bool:
        return operation.kind in ("get", "seen") or operation.outcome in ("conflict", "not found")

    def rank(self, operation: Operation) -> int | None:
        """By version; a delete shows the version that it ends."""
        if operation.version is None:
            return None
        return 2 * operation.version + (operation.kind == "delete")

    def after(self, state: Held, operation: Operation) -> Iterable[Held]:
        value, version, high = state
        op = operation
        match op.kind, op.outcome:
            case "put", "ok":
                assert op.version is not None
                newer = op.version > max(high, op.if_version or 0)
                return [(op.value, op.version, op.version)] if newer and _takes(state, op) else []
            case "put", "unknown":
                return [(op.value, UNKNOWN_VERSION, max(high, op.if_version or 0))] if _takes(state, op) else []
            case "get" | "seen", "ok":
                if value is None or (op.kind == "get" and value != op.value) or not _is_at(state, op.version):
                    return []
                return [(value, op.version or 0, op.version or 0)]
            case "delete", "ok":
                if value is None or not _is_at(state, op.version) or not _takes(state, op):
                    return []
                return [(None, 0, op.version or 0)]
            case "delete", "unknown":
                if value is None or not _takes(state, op):
                    return []
                return [(None, 0, max(high, op.if_version or 0))]
            case "get" | "delete", "not found":
                return [state] if value is None else []
            case "put" | "delete", "conflict":
                assert op.if_version is not None, f"without a version to compare there is no conflict: {op}"
                refused = version == UNKNOWN_VERSION and op.if_version > 0
                return [state] if refused or not _takes(state, op) else []
        raise ValueError(f"no operation on a config: {op}")


def _is_at(state: Held, version: int | None) -> bool:
    """Whether the config may be at this version."""
    assert version is not None
    return version == state[1] or (state[1] == UNKNOWN_VERSION and version > state[2])


def _takes(state: Held, operation: Operation) -> bool:
    """Whether the compare may hold."""
    if operation.if_version is None:
        return True
    if operation.if_version == 0:
        return state[0] is None
    return state[0] is not None and _is_at(state, operation.if_version)


# --- the search --------------------------------------------------------------------------------------------


def check(
    operations: Iterable[Operation], model: Model[S] | None = None, *, max_steps: int = MAX_STEPS
) -> list[Verdict]:
    """A verdict for each key, by key. Without a model: of /configs."""
    by_key: dict[str, list[Operation]] = {}
    for operation in operations:
        by_key.setdefault(operation.key, []).append(operation)
    if model is None:
        register = Register()
        return [_Search(key, register.prepared(by_key[key]), register, max_steps).run() for key in sorted(by_key)]
    return [_Search(key, by_key[key], model, max_steps).run() for key in sorted(by_key)]


class _Point(msgspec.Struct, Generic[S], frozen=True):
    """So far: the answered operations before `first` are done, and those `beyond` (bit 0 is `first`); of the others
    those in `used`. `order` is the way here, newest first, as a linked list.
    """

    first: int
    beyond: int
    used: int
    state: S
    after_unanswered: bool
    order: "tuple[Operation, object] | None"


class _Search(Generic[S]):
    def __init__(self, key: str, operations: Sequence[Operation], model: Model[S], max_steps: int) -> None:
        self._key = key
        self._model = model
        self._max_steps = max_steps
        ordered = sorted(operations, key=lambda op: (op.begin, _NEVER if op.end is None else op.end))
        self._answered = [op for op in ordered if op.end is not None]
        self._others = [op for op in ordered if op.end is None]
        self._alike = [model.alike(op) for op in self._others]
        ranks = [model.rank(op) for op in self._answered]
        self._ranks = [_NEVER if rank is None else rank for rank in ranks]
        self._lowest = [*self._ranks, _NEVER]  # the lowest rank from here on
        for at in range(len(ranks) - 1, -1, -1):
            self._lowest[at] = min(self._lowest[at], self._lowest[at + 1])
        self._best: _Point[S] | None = None

    def run(self) -> Verdict:
        """Depth first; answered operations are tried before the others."""
        stack = [_Point(0, 0, 0, self._model.initial(), False, None)]
        seen: set[tuple[int, int, int, S, bool]] = set()
        while stack:
            point = stack.pop()
            if point.first == len(self._answered):
                return Verdict(self._key, True, len(seen))
            mark = (point.first, point.beyond, point.used, point.state, point.after_unanswered)
            if mark in seen:
                continue
            seen.add(mark)
            if len(seen) > self._max_steps:
                return Verdict(self._key, None, len(seen), self._story())
            if self._best is None or _done(point) > _done(self._best):
                self._best = point
            stack.extend(reversed(self._next(point)))
        return Verdict(self._key, False, len(seen), self._story())

    def _next(self, point: _Point[S]) -> list[_Point[S]]:
        open_ends, horizon, lowest = self._open(point)
        points: list[_Point[S]] = []
        for _, at in open_ends:
            op = self._answered[at]
            if point.after_unanswered and self._model.blind(op):
                continue
            states = list(self._model.after(point.state, op))
            first, beyond = _advance(point.first, point.beyond | 1 << (at - point.first))
            if states == [point.state] and self._model.reads(op):
                # It has to come some time, and can come now: then it may as well.
                order = (op, point.order)
                return [_Point(first, beyond, point.used, point.state, False, order)]
            if self._ranks[at] == _NEVER or self._ranks[at] <= lowest:
                points += [_Point(first, beyond, point.used, state, False, (op, point.order)) for state in states]
        tried: set[object] = set()
        for at, op in enumerate(self._others):
            if op.begin > horizon:
                break
            if point.used >> at & 1 or self._alike[at] in tried:
                continue
            tried.add(self._alike[at])
            if point.after_unanswered and self._model.blind(op):
                continue
            points += [
                _Point(point.first, point.beyond, point.used | 1 << at, state, True, (op, point.order))
                for state in self._model.after(point.state, op)
            ]
        points += [
            _Point(point.first, point.beyond, point.used, state, point.after_unanswered, point.order)
            for state in self._model.drift(point.state)
        ]
        return points

    def _open(self, point: _Point[S]) -> tuple[list[tuple[int, int]], int, int]:
        """(end, position) of the answered operations that real time lets come next, the earliest end first; that
        end; and the lowest rank of all that are still to come.
        """
        found: list[tuple[int, int]] = []
        horizon = lowest = _NEVER  # nothing that begins after the earliest open end can come next
        at = point.first
        while at < len(self._answered) and self._answered[at].begin <= horizon:
            op = self._answered[at]
            if not point.beyond >> (at - point.first) & 1:
                assert op.end is not None
                horizon = min(horizon, op.end)
                lowest = min(lowest, self._ranks[at])
                found.append((op.end, at))
            at += 1
        found.sort()
        return found, horizon, min(lowest, self._lowest[at])

    # --- telling ------------------------------------------------------------------------------------------

    def _story(self) -> str:
        assert self._best is not None
        point, order = self._best, []
        link = point.order
        while link is not None and len(order) < _STORY:
            order.append(link[0])
            link = link[1]  # type: ignore[assignment]
        order.reverse()
        lines = [f"{self._key}: the longest explanation ends so:"]
        lines += [f"  {_told(op)}" for op in order]
        lines.append(f"which leaves {point.state!r}; none of these can come next:")
        open_ends, horizon, lowest = self._open(point)
        lines += [f"  {_told(self._answered[at])}" for _, at in open_ends]
        late = [op for at, op in enumerate(self._answered) if self._ranks[at] == lowest and op.begin > horizon]
        if lowest < _NEVER and late:
            lines += ["because this, which began too late, has to come before they do:", f"  {_told(late[0])}"]
        return "\n".join(lines)


def _done(point: _Point[S]) -> int:
    return point.first + point.beyond.bit_count()


def _advance(first: int, beyond: int) -> tuple[int, int]:
    while beyond & 1:
        beyond >>= 1
        first += 1
    return first, beyond


def _told(op: Operation) -> str:
    parts = [f"{op.begin}..{'?' if op.end in (None, _NEVER) else op.end} client {op.client}: {op.kind}"]
    if op.if_version is not None:
        parts.append(f"if at {op.if_version}")
    if op.value is not None:
        parts.append(repr(op.value[:60]))
    parts.append(f"-> {op.outcome}")
    if op.version is not None:
        parts.append(f"at {op.version}")
    return " ".join(parts)
