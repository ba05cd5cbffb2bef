"""A command: one change of the state, as an entry of the log has it, and what is declared of it."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from orion.state.core.dedup import DedupTable
from orion.state.core.step import Step
from orion.state.core.table import TableSet


class Command(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Imperative, versioned by its tag, the whole of one change. An array on the wire, so fields are only ever
    added at the end, with a default.

    `at_ms`: wall clock of the node that proposed it; shown to people, and compared for equality at most.
    """

    at_ms: int


Kind = TypeVar("Kind", bound=Command)
Kind_contra = TypeVar("Kind_contra", bound=Command, contravariant=True)
Set = TypeVar("Set", bound=TableSet)


class Once(msgspec.Struct, Generic[Kind_contra], frozen=True):
    """Copies of a client's command are answered as the first was; it has a field `since`. `mark`: the same for
    copies of one command and for no others; "" has it carried out every time. `subject` is what an error names.
    """

    memory: type[DedupTable]
    mark: Callable[[Kind_contra], str]
    subject: Callable[[Kind_contra], str]


def once_about(memory: type[DedupTable], verb: str, subject: Callable[[Kind], str]) -> Once[Kind]:
    """For commands of this verb about one subject, and no others: an idempotency key is the caller's own, and may
    be used again elsewhere.
    """

    def mark(command: Any) -> str:
        return f"{verb} {command.idempotency_key} {subject(command)}"

    return Once(memory, mark, subject)


class Declared(Generic[Set, Kind]):
    """All that is known of one kind of command. `change` is what it does, `fault` what is wrong with one that may
    not enter a log; "" is nothing.
    """

    __slots__ = ("change", "fault", "kind", "once")

    def __init__(
        self,
        kind: type[Kind],
        change: Callable[[Set, Step, Kind], object],
        fault: Callable[[Kind], str],
        once: Once[Kind] | None,
    ) -> None:
        self.kind = kind
        self.change = change
        self.fault = fault
        self.once = once

    def apply(self, state: Set, step: Step, command: Kind) -> object:
        once = self.once
        mark = once.mark(command) if once else ""
        if not once or not mark:
            return self.change(state, step, command)
        since: int = command.since  # type: ignore[attr-defined]
        memory = state.of(once.memory)
        return memory.once(
            step.index, mark, since, once.subject(command), lambda: self.change(state, step, command)
        )


def command(
    kind: type[Kind], *, fault: Callable[[Kind], str], once: Once[Kind] | None = None
) -> Callable[[Callable[[Set, Step, Kind], object]], Declared[Set, Kind]]:
    """Declares what a kind of command does: the function that it decorates."""

    def declare(change: Callable[[Set, Step, Kind], object]) -> Declared[Set, Kind]:
        return Declared(kind, change, fault, once)

    return declare


AnyDeclared = Declared[Any, Any]
