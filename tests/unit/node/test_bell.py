import asyncio

from orion.node.runtime.bell import Bell


async def _turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_runner_goes_on_once_for_all_rings_before_it_has_run():
    async def body():
        bell, went_on = Bell(), []

        async def run():
            while True:
                await bell.rung()
                went_on.append(len(went_on))

        runner = asyncio.create_task(run())
        await _turns()
        assert went_on == []
        bell.ring()
        bell.ring()
        await _turns()
        assert went_on == [0]
        bell.ring()
        await _turns()
        assert went_on == [0, 1]
        runner.cancel()
        await asyncio.wait([runner])

    asyncio.run(body())


def test_a_ring_that_nobody_waits_for_is_kept():
    async def body():
        bell = Bell()
        bell.ring()
        async with asyncio.timeout(60):
            await bell.rung()

    asyncio.run(body())


def test_a_runner_that_was_cancelled_leaves_the_bell_to_the_next():
    async def body():
        bell = Bell()
        first = asyncio.create_task(bell.rung())
        await _turns()
        first.cancel()
        await asyncio.wait([first])
        second = asyncio.create_task(bell.rung())
        await _turns()
        bell.ring()
        async with asyncio.timeout(60):
            await second

    asyncio.run(body())
