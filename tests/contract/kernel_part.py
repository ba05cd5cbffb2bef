"""What every port of a part of one machine's kernel must do: the firewall's, published ports' and guards', on the
kernel and in the simulator.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar, Protocol

DEADLINE_S = 20.0


class Part(Protocol):
    async def apply(self, rules: Any) -> None: ...

    async def matches(self, rules: Any) -> bool: ...

    def changes(self) -> AsyncGenerator[None, None]: ...

    async def remove(self) -> None: ...


class PartBench(Protocol):
    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits."""

    def part(self) -> Any:
        """Of a new process, on the same machine each time."""

    def harms(self) -> tuple[Callable[[], None], ...]:
        """Ways by which others take away all or some of it."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    def run(self: object, bench: PartBench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


@contextlib.asynccontextmanager
async def changes_of(part: Part) -> AsyncIterator[AsyncGenerator[None, None]]:
    """Entered when it listens."""
    async with contextlib.aclosing(part.changes()) as changes:
        await told(changes)
        yield changes


async def told(changes: AsyncGenerator[None, None]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await anext(changes)


class KernelPartContract:
    """Inherit, give a fixture `bench`, and all these are run. `rules` and `others` are different from each other;
    `none` says that there is nothing.
    """

    rules: ClassVar[Any]
    others: ClassVar[tuple[Any, ...]]
    none: ClassVar[Any]

    @checked
    async def test_it_is_as_applied_and_as_nothing_else_for_another_process_too(self, bench: PartBench) -> None:
        part, former = bench.part(), None
        for rules in (self.rules, *self.others, self.rules):
            assert not await part.matches(rules)
            await part.apply(rules)
            assert await part.matches(rules)
            assert await bench.part().matches(rules)
            assert former is None or not await part.matches(former)
            former = rules

    @checked
    async def test_the_same_again_changes_nothing(self, bench: PartBench) -> None:
        part = bench.part()
        await part.apply(self.rules)
        await part.apply(self.rules)
        assert await part.matches(self.rules)

    @checked
    async def test_what_others_take_away_is_told_and_put_right(self, bench: PartBench) -> None:
        part = bench.part()
        await part.apply(self.rules)
        for harm in bench.harms():
            async with changes_of(part) as changes:
                harm()
                await told(changes)
            assert not await part.matches(self.rules)
            await part.apply(self.others[-1])
            assert await part.matches(self.others[-1])
            await part.apply(self.rules)
            assert await part.matches(self.rules)

    @checked
    async def test_own_changes_are_told_too(self, bench: PartBench) -> None:
        part = bench.part()
        async with changes_of(part) as changes:
            for rules in (self.rules, self.others[-1]):
                await part.apply(rules)
                await told(changes)

    @checked
    async def test_removed_is_removed_however_often(self, bench: PartBench) -> None:
        part = bench.part()
        await part.remove()
        await part.apply(self.rules)
        for _ in range(2):
            await bench.part().remove()
            assert not await part.matches(self.rules)
        await part.apply(self.none)
        assert await part.matches(self.none)

    @checked
    async def test_many_at_once_end_with_one_of_them(self, bench: PartBench) -> None:
        part, choices = bench.part(), (self.rules, *self.others[:2])
        async with asyncio.TaskGroup() as group:
            for rules in choices * 3:
                group.create_task(part.apply(rules))
        assert [await part.matches(rules) for rules in choices].count(True) == 1
