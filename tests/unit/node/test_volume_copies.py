"""Copies of volumes to a node, into real directories. The node that they come from is played."""

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from orion.adapters.volumes.local import LocalVolumes
from orion.model.errors import NotFound, OrionError, Unavailable
from orion.model.ids import NodeId
from orion.node.agent.volume_copies import VolumeCopies
from orion.node.routing.volume_data import AskCopy, CopyData, CopyState
from orion.node.rpc.registry import Registry

KEY = "data.7"
WAITED_S = 120.0


class Source:
    """`pieces`: what it sends; `error`: why not. It goes on once `goes_on` is set."""

    def __init__(self):
        self.pieces = []
        self.error = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.asked = []

    async def stream_of_node(self, node, request):
        self.asked.append((node, request.data))
        for piece in self.pieces:
            yield piece
            await self.goes_on.wait()
        if self.error is not None:
            raise self.error


class Here:
    """The node that the volumes come to, asked as a leader asks."""

    def __init__(self, root):
        self.source = Source()
        self.registry = Registry(NodeId("node2"), lambda: True)
        self.store = LocalVolumes(root)
        self.copies = VolumeCopies(
            me=NodeId("node2"),
            store=self.store,
            forward=self.source,
            registry=self.registry,
            agent=SimpleNamespace(containers=()),
            source=SimpleNamespace(latest=None),
        )

    async def ask(self, data):
        return await self.registry.answer(CopyData(KEY, NodeId("node1"), "first", data))

    async def look(self, data):
        return await self.registry.answer(AskCopy(KEY, data))

    async def until(self, look, holds):
        async with asyncio.timeout(WAITED_S):
            while not holds(found := await look()):  # noqa: ASYNC110 - what it says has no event
                await asyncio.sleep(0)
        return found


@contextlib.asynccontextmanager
async def running(root):
    here = Here(root)
    runner = asyncio.create_task(here.copies.run())
    try:
        yield here
    finally:
        runner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await runner


@pytest.fixture
def packed(tmp_path):
    """Returns the stream of a volume with one file."""

    async def made():
        store = LocalVolumes(tmp_path / "packed")
        await store.make(KEY, "first")
        (tmp_path / "packed" / KEY / "data" / "rows").write_text("1\n2\n")
        return [piece async for piece in store.pack(KEY)]

    return asyncio.run(made())


def test_a_copy_is_begun_and_done(tmp_path, packed):
    async def scenario():
        async with running(tmp_path) as here:
            here.source.pieces = packed
            assert await here.ask("second") == CopyState()
            await here.until(lambda: here.ask("second"), lambda state: state.done)
            assert here.source.asked == [("node1", "first")]
            assert await here.store.data_of(KEY) == "second"
            assert (tmp_path / KEY / "data" / "rows").read_text() == "1\n2\n"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "missing"), [(NotFound("the data is not there"), True), (Unavailable("the line was lost"), False)]
)
def test_data_that_is_not_there_is_told_from_a_try_that_failed(tmp_path, error: OrionError, missing):
    async def scenario():
        async with running(tmp_path) as here:
            here.source.error = error
            await here.ask("second")
            found = await here.until(lambda: here.ask("second"), lambda state: state.reason)
            assert (found.reason, found.missing, found.done) == (error.detail, missing, False)

    asyncio.run(scenario())


def test_how_a_former_move_ended_says_nothing_of_the_next(tmp_path, packed):
    async def scenario():
        async with running(tmp_path) as here:
            here.source.error = NotFound("the data is not there")
            await here.ask("second")
            await here.until(lambda: here.look("second"), lambda state: state.missing)
            here.source.error, here.source.pieces = None, packed
            assert await here.ask("third") == CopyState()
            assert (await here.look("second")).reason == "it has yet to begin"
            await here.until(lambda: here.ask("third"), lambda state: state.done)

    asyncio.run(scenario())


def test_one_copy_of_a_volume_comes_at_a_time(tmp_path, packed):
    """The first move was called off, which its copy does not hear of."""

    async def scenario():
        async with running(tmp_path) as here:
            here.source.pieces = packed
            here.source.goes_on.clear()
            await here.ask("second")
            await here.until(lambda: here.look("second"), lambda state: state.bytes)
            await here.ask("third")
            found = await here.until(lambda: here.look("third"), lambda state: state.reason)
            assert found == CopyState(reason="an earlier copy of volume data.7 is still coming to node2")
            here.source.goes_on.set()
            await here.until(lambda: here.ask("third"), lambda state: state.done)
            assert (tmp_path / KEY / "data" / "rows").read_text() == "1\n2\n"

    asyncio.run(scenario())
