import msgspec
import pytest
from msgspec.structs import replace
from state_kit import ANY, NO_ROOM, WEB, World, creation, tables

from orion.model.allocation import Allocation
from orion.model.configs import MAX_VALUE_BYTES, Config, ConfigStat
from orion.model.errors import Corrupt, Outdated
from orion.model.ids import JobName
from orion.model.levels import LEVEL
from orion.model.placement import PlacementFailure, PortShortage
from orion.model.resources import Resources
from orion.state.check import check, rebuilt, state_hash
from orion.state.core.frames import CHUNK_BYTES, FORMAT, MAX_FRAME_BYTES, End, Header, encode_into
from orion.state.restore import Restorer
from orion.state.snapshot import MAX_CHUNK_BYTES, capture, encode
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.configs import ConfigsFrame as Configs
from orion.state.tables.job_rows import AllocationsFrame as Allocations
from orion.state.tables.job_rows import JobsFrame as Jobs
from orion.state.tables.nodes import NodesFrame as Nodes


def busy():
    """A state with something in every table."""
    world = World(nodes=4)
    world.create("web", count=4, key="key", ports=(WEB, ANY), resources=Resources(10, 10, 10), env=(("A", "1"),))
    world.place("web", (0, "node1"), (1, "node2"), (2, "node3"), ports=[(8080, 20_000)] * 3)
    world.update("running", started_at_ms=5, address="172.17.0.2")
    taken = PortShortage(8080, "tcp", 4, own=True)
    world.refuse("web", PlacementFailure(1, 2, 3, 4, 5, NO_ROOM.memory, ports=(taken,)))
    world.create("gone", key="other")
    world.rm("gone")
    world.create("old", count=2)
    world.place("old", (0, "node4"), (1, "node4"))
    world.down("node4")
    world.remove("node4")
    world.place("old", (0, "node1"))
    world.create("stopping")
    world.place("stopping", (0, "node2"))
    world.rm("stopping")
    world.drain("node3")
    world.put("b", b"\x00\xff")
    world.put("a/b", b"")
    world.put("a/b", b"again", if_version=5)
    world.put("gone")
    world.delete("gone")
    return world


def stream(state):
    return b"".join(encode(capture(state)))


def restored(data, size=1_000_000):
    restorer = Restorer()
    for at in range(0, len(data), size):
        restorer.feed(data[at : at + size])
    return restorer.finish()


def test_a_restored_state_is_the_same_and_gives_the_same_bytes():
    world = busy()
    again = restored(stream(world.state))
    check(again)
    assert stream(again) == stream(world.state)
    assert state_hash(again) == state_hash(world.state)
    assert tables(again) == tables(world.state)
    assert again.view.index == world.index
    assert again.view.jobs_to_place() == world.view.jobs_to_place()
    assert again.view.jobs_refused() == world.view.jobs_refused()
    assert again.view.work_index("node1") == world.index


@pytest.mark.parametrize("size", [1, 3, 100, 4_096])
def test_it_may_be_cut_anywhere(size):
    world = busy()
    data = stream(world.state)
    assert stream(restored(data, size)) == data


def test_an_empty_state_is_a_state():
    world = World()
    assert stream(restored(stream(world.state))) == stream(world.state)


def test_a_restored_state_goes_on_as_one_that_never_was():
    one, two = busy(), busy()
    two.state = restored(stream(two.state))
    for world in (one, two):
        world.register("node5", level=LEVEL)
        world.create("more", count=2)
        world.place("more", (0, "node5"), (1, "node1"))
        world.down("node1")
        world.rm("web")
        world.update("stopped", "stopping")
    assert stream(one.state) == stream(two.state)


def test_a_capture_is_not_touched_by_what_comes_after():
    world = busy()
    expected = stream(world.state)
    captured = capture(world.state)
    world.update("completed", "web", 1)
    world.down("node1")
    world.rm("web")
    world.create("later")
    assert b"".join(encode(captured)) == expected


def test_chunks_are_small():
    world = World(nodes=1)
    world.state.level = LEVEL
    for n in range(40):
        world.put(f"k{n:02}", bytes(MAX_VALUE_BYTES))
    world.create("web", count=2_000)
    world.place("web", *((n, "node1") for n in range(2_000)))
    reason = "\N{SNOWMAN}" * 2_000  # three bytes each
    status = replace(world.newest().status, state="failed", reason=reason)
    updates = tuple((a.id, status) for a in world.view.allocations_of_job("web")[:500])
    world.do(UpdateAllocations(1, "node1", updates))
    # as large as the API lets a job be, and then some
    world.do(creation("big", env=(("X", "y" * 3_000_000),)))
    chunks = list(encode(capture(world.state)))
    assert max(map(len, chunks)) <= MAX_CHUNK_BYTES
    assert len(chunks) > sum(map(len, chunks)) // MAX_CHUNK_BYTES
    restorer = Restorer()
    for chunk in chunks:
        restorer.feed(chunk)
    assert state_hash(restorer.finish()) == state_hash(world.state)
    assert len(list(encode(capture(World().state)))) == 1
    assert CHUNK_BYTES < MAX_CHUNK_BYTES


def test_equal_values_become_one_object_again():
    world = World(nodes=1)
    world.create("web", count=3)
    world.place("web", *((n, "node1") for n in range(3)))
    again = rebuilt(world.state)
    first, second, _ = again.view.allocations_of_job("web")
    assert first.node is second.node is again.records["node1"].node.id
    assert first.status is second.status
    assert first.job is again.jobs[JobName("web")].job.name


# --- damage ------------------------------------------------------------------------------------------------


def test_a_snapshot_that_is_not_whole_is_noticed():
    data = stream(busy().state)
    for end in (0, 1, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(Corrupt):
            restored(data[:end])


def test_more_than_a_snapshot_is_noticed():
    data = stream(busy().state)
    with pytest.raises(Corrupt):
        restored(data + b"\x00")
    with pytest.raises(Corrupt):
        restored(data + data)


def test_any_damaged_byte_is_noticed_or_harmless():
    """Never another exception than these, whatever the bytes say."""
    world = busy()
    data = bytearray(stream(world.state))
    for at in range(len(data)):
        damaged = bytes(data[:at]) + bytes([data[at] ^ 0x55]) + bytes(data[at + 1 :])
        try:
            restored(damaged)
        except (Corrupt, Outdated):
            continue


def test_a_frame_of_an_impossible_length_is_refused_before_its_bytes_come():
    with pytest.raises(Corrupt, match="a frame of"):
        Restorer().feed((MAX_FRAME_BYTES + 1).to_bytes(4))


def test_another_format_is_named():
    data = stream(World().state)
    length = int.from_bytes(data[:4])
    header = msgspec.msgpack.decode(data[4 : 4 + length], type=Header)
    with pytest.raises(Corrupt, match=f"format {FORMAT + 1}"):
        restored(frames(replace(header, format=FORMAT + 1)) + data[4 + length :])


def config(key, **stat):
    return Config(replace(ConfigStat(key, 3, 3, 1, 1), **stat), b"one")


def frames(*bodies):
    buffer = bytearray()
    for frame in bodies:
        encode_into(frame, buffer, LEVEL)
    return bytes(buffer)


def test_rows_that_can_not_be_are_damage():
    header, job = Header(FORMAT, 5, 1, 2, 0), creation().job
    node = registered().nodes["node1"]
    fine = Allocation(1, "web", 0, 0, "node1")
    good = (header, Nodes([node]), Jobs([(job, "")]), Allocations([fine]), End(1, 1, 1))
    assert restored(frames(*good)).view.task("web", 0).allocation == fine
    for at, bad in (
        (0, Nodes([node])),
        (1, header),
        (1, Nodes([node, node])),
        (1, Nodes([node, replace(node, id="other")])),
        (1, Nodes([replace(node, number=2)])),  # the next that a node will get
        (2, Jobs([(job, ""), (job, "")])),
        (2, Jobs([(replace(job, count=-1), "")])),
        (2, Jobs([(replace(job, count=10**18), "")])),
        (3, Allocations([fine, fine])),
        (3, Allocations([replace(fine, index=-1)])),
        (3, Allocations([replace(fine, index=1)])),
        (3, Allocations([replace(fine, job="other")])),
        (3, Allocations([replace(fine, node="other")])),
        (3, Allocations([replace(fine, ports=(80,))])),
        (4, End(1, 1, 2)),
        (4, End(1, 1, 1, 1)),
        (3, Configs([config("a"), config("a")])),
        (3, Configs([config("b"), config("a")])),
        (3, Configs([config("a", size_bytes=4)])),
    ):
        rows = [*good]
        rows[at] = bad
        with pytest.raises(Corrupt):
            restored(frames(*rows))


def registered():
    return World(nodes=1).state
