import asyncio
import contextlib

from orion.node.membership.quorum_watch import LOOK_EVERY_S, _Lookout


def test_a_look_at_a_deadline_that_has_passed_changes_nothing():
    """What was cut short may take its time to end; the next look comes meanwhile."""
    complaints = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        looks = asyncio.Event()

        def find():
            looks.set()
            return "somebody"

        lookout = _Lookout(find, 0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S * 1.5) as scope:
                lookout.watch(scope)
                await looks.wait()
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(LOOK_EVERY_S * 3)

    asyncio.run(main())
    assert complaints == []
