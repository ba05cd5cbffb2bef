"""node/network/published.py on a worker: voters that can't be had end nothing."""

import asyncio
from types import SimpleNamespace

from orion.model.errors import Unavailable
from orion.model.published import Told
from orion.node.consensus.applied import AppliedWatch
from orion.node.network import published
from orion.node.network.published import Published
from orion.node.rpc.registry import Registry


class Voters:
    """Each stream says something, and then that nobody is there."""

    def __init__(self):
        self.asked = 0

    async def from_voters(self, _request, _receiver):
        self.asked += 1
        yield Told((), ())
        raise Unavailable("10.0.0.2:7000 has said nothing for 3 s")


def test_a_stream_that_fails_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(published, "AGAIN_S", 0.0)

    async def main():
        voters, driver = Voters(), SimpleNamespace(is_member=False, watch=AppliedWatch())
        told = Published(
            driver=driver,
            directory=SimpleNamespace(version=1),
            forward=voters,
            registry=Registry("node1", lambda: False),
        )
        runner = asyncio.create_task(told.run())
        async with asyncio.timeout(120):
            while voters.asked < 3:  # noqa: ASYNC110 -- any state of the streams
                await asyncio.sleep(0)
        assert not runner.done()
        assert told.told == Told((), ())
        runner.cancel()

    asyncio.run(main())
