import asyncio

import pytest

from sim.loop import Process, SimFailure, VirtualLoop, current_process


def run(main, loop=None):
    loop = loop or VirtualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.close()


def test_time_jumps_to_the_next_timer_and_keeps_whole_milliseconds():
    async def main(loop):
        for _ in range(3_000):
            await asyncio.sleep(0.001)
        return loop.now_ns

    assert run(main) == 3_000_000_000


def test_timers_of_one_instant_run_in_the_order_they_were_set():
    async def main(loop):
        seen = []
        for number in range(20):
            loop.call_at(1.0, seen.append, number)
        await asyncio.sleep(2)
        return seen

    assert run(main) == list(range(20))


def test_a_timeout_fires_in_virtual_time():
    async def main(loop):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        return loop.time()

    assert run(main) == 3600


def test_nothing_left_to_happen_is_a_failure():
    async def main(loop):
        await asyncio.Event().wait()

    with pytest.raises(SimFailure, match="nothing will ever happen again"):
        run(main)


def test_a_livelock_is_a_failure():
    async def main(loop):
        def again():
            loop.call_soon(again)

        again()
        await asyncio.Event().wait()

    with pytest.raises(SimFailure, match="livelock"):
        run(main, VirtualLoop(max_events_at_once=1_000))


def test_threads_are_refused():
    async def main(loop):
        await loop.run_in_executor(None, print)

    with pytest.raises(SimFailure, match="no threads"):
        run(main)


def test_a_killed_process_runs_nothing_more_not_even_finally():
    async def main(loop):
        seen = []
        process = Process(loop, "p")

        async def work():
            try:
                seen.append("began")
                assert current_process() is process
                await asyncio.sleep(1)
                seen.append("never")
            finally:
                seen.append("never either")

        process.spawn(work())
        await asyncio.sleep(0.5)
        process.kill()
        await asyncio.sleep(5)
        return seen

    assert run(main) == ["began"]


def test_a_stalled_process_finds_its_timers_due_when_it_resumes():
    async def main(loop):
        seen = []
        process = Process(loop, "p")

        async def work():
            while True:
                seen.append(loop.time())
                await asyncio.sleep(1)

        process.spawn(work())
        await asyncio.sleep(1.5)
        process.stall()
        await asyncio.sleep(5)
        process.resume()
        await asyncio.sleep(1.2)
        process.kill()
        return seen

    assert run(main) == [0, 1, 6.5, 7.5]


def test_sets_of_runners_are_ordered_by_birth():
    async def main(loop):
        order = []

        async def work(number):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                order.append(number)
                raise

        async def group():
            async with asyncio.TaskGroup() as tasks:
                for number in range(50):
                    tasks.create_task(work(number))

        runner = loop.create_task(group())
        await asyncio.sleep(1)
        runner.cancel()
        await asyncio.wait([runner])
        return order

    first = run(main)
    assert sorted(first) == list(range(50))
    assert run(main) == first


def test_the_hook_sees_every_callback_with_its_process():
    async def main(loop):
        process = Process(loop, "p")
        owners = []
        loop.on_event = owners.append
        process.post(lambda: None)
        await asyncio.sleep(0)
        loop.on_event = lambda _: None
        return owners, process

    owners, process = run(main)
    assert process in owners
