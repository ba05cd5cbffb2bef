"""node/network/shared_look.py: however many are told, state is looked at once."""

import asyncio

import pytest

from orion.model.errors import Unavailable
from orion.node.consensus.applied import AppliedWatch
from orion.node.network.shared_look import SharedLook
from orion.node.rpc.request import ALIVE


class Driver:
    """What a look needs of one."""

    def __init__(self):
        self.watch = AppliedWatch()
        self.installs = 0
        self.is_member = True


def test_all_who_want_the_same_state_share_a_look():
    async def main():
        driver, looks = Driver(), []

        async def look():
            looks.append(driver.watch.index)
            await asyncio.sleep(0)
            return len(looks)

        shared = SharedLook(driver, look)
        assert await asyncio.gather(*(shared.now() for _ in range(5))) == [1] * 5
        driver.watch.advance(7)
        assert await shared.now() == 2
        driver.installs += 1
        assert await shared.now() == 3
        assert looks == [0, 7, 7]

    asyncio.run(main())


def test_a_set_comes_again_only_when_it_is_another(monkeypatch):
    monkeypatch.setattr("orion.node.network.shared_look.PAUSE_S", 0)
    monkeypatch.setattr("orion.node.network.shared_look.SIGN_OF_LIFE_S", 0.001)

    async def main():
        driver, found = Driver(), ["one"]

        async def look():
            return found[0]

        sets = SharedLook(driver, look).sets()
        assert await anext(sets) == "one"
        assert await anext(sets) is ALIVE
        driver.watch.advance(1)  # nothing of it
        assert await anext(sets) is ALIVE
        found[0] = "two"
        driver.watch.advance(2)
        assert await anext(sets) == "two"
        driver.is_member = False
        with pytest.raises(Unavailable):
            await anext(sets)

    asyncio.run(main())


class Voters:
    """Sends these, in place of a Forward."""

    def __init__(self, items):
        self.items, self.closed = items, False

    async def from_voters(self, _request, receiver):
        take = receiver("10.0.0.1:7000")
        try:
            for item in self.items:
                yield item if item is ALIVE else take(item)
        finally:
            self.closed = True


def test_what_is_cut_into_chunks_is_put_together_by_whoever_is_told():
    class Receiver:
        def __init__(self, _address):
            self._numbers = []

        def __call__(self, chunk):
            numbers, last = chunk
            self._numbers += numbers
            if not last:
                return ALIVE
            whole, self._numbers = self._numbers, []
            return whole

    def cut(numbers):
        for at in range(0, len(numbers), 2):
            yield numbers[at : at + 2], at + 2 >= len(numbers)

    async def main():
        driver = Driver()

        async def look():
            return [1, 2, 3]

        shared = SharedLook(driver, look)
        chunks = shared.chunks(cut)
        sent = [await anext(chunks), ALIVE, await anext(chunks)]
        await chunks.aclose()
        assert sent == [([1, 2], False), ALIVE, ([3], True)]
        driver.is_member = False
        voters = Voters(sent * 2)
        assert [each async for each in shared.told(voters, None, Receiver)] == [[1, 2, 3], [1, 2, 3]]
        driver.is_member = True
        voters = Voters(sent)
        assert [each async for each in shared.told(voters, None, Receiver)] == []
        assert voters.closed

    asyncio.run(main())
