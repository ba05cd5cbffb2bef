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
