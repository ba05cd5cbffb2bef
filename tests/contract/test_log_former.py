"""Data directories beside a node's own that were its before."""

import asyncio

import pytest

from orion.adapters.lmdb_log import LmdbLog
from orion.adapters.lmdb_log.former import former_directories
from orion.model.ids import NodeId, RaftId
from orion.ports.log import Identity

ME = NodeId("node1")


async def make(path, node=ME, cluster=7):
    log = await LmdbLog.open(path)
    await log.set_identity(Identity(node, RaftId(5), cluster))
    return log


def made(path, **identity):
    async def make_and_close():
        await (await make(path, **identity)).close()

    asyncio.run(make_and_close())
    return path


def found(tmp_path):
    return [path.name for path, _ in former_directories(tmp_path / "node1", ME)]


def test_a_former_directory_of_the_same_node_is_found(tmp_path):
    made(tmp_path / "node1")
    made(tmp_path / "node1.old", cluster=8)
    made(tmp_path / "node2", node=NodeId("node2"))
    made(tmp_path / "node1.new", cluster=0)
    ((path, identity),) = former_directories(tmp_path / "node1", ME)
    assert (path, identity.cluster) == (tmp_path / "node1.old", 8)


def test_a_directory_in_use_is_left_out(tmp_path):
    async def check():
        log = await make(tmp_path / "other")
        assert found(tmp_path) == []
        await log.close()
        assert found(tmp_path) == ["other"]

    asyncio.run(check())


@pytest.mark.parametrize("content", [b"", b"garbage" * 1_000, None], ids=["empty", "garbage", "cut"])
def test_a_directory_that_can_t_be_read_is_left_out(tmp_path, content):
    data = made(tmp_path / "old") / "log" / "data.mdb"
    data.write_bytes(data.read_bytes()[:9_000] if content is None else content)
    assert found(tmp_path) == []


def test_a_directory_that_is_no_data_directory_is_left_out(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder" / "log").mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert found(tmp_path) == []
    assert former_directories(tmp_path / "nowhere" / "node1", ME) == []
