import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.allocation import Allocation
from orion.model.errors import TooLarge, Unavailable
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import TaskSpec
from orion.node.agent import assignment_stream
from orion.node.agent.assignment_stream import (
    Assignment,
    AssignmentReceiver,
    AssignmentSender,
    AssignmentSet,
    Chunk,
)
from orion.wire.frames import Kind, encode_frame

ME = NodeId("node1")


def spec(size=0, image="x"):
    return TaskSpec(image, env=(("A", "a" * size),))


def work(index, assigned, neighbours=()):
    allocations = tuple(
        Assignment(Allocation(AllocationId(number), JobName(job), version, 0, ME), how)
        for number, (job, version, how) in enumerate(assigned)
    )
    return AssignmentSet(index, 7, registered=True, assigned=allocations, neighbours=neighbours)


def through(sender, receiver, sent):
    """What comes of it; all but the last piece complete nothing."""
    *before, last = [receiver.take(item) for item in _framed(sender, sent)]
    assert before == [None] * len(before)
    return last


def _framed(sender, sent):
    for item in sender.chunks(sent):
        encode_frame(Kind.ITEM, item)  # raises when it is over the limit
        yield item


def test_much_work_comes_whole_in_frames_that_can_be_sent():
    many = work(5, [(f"job{n}", 0, spec(900_000)) for n in range(30)], (NodeId("node2"),))
    assert through(AssignmentSender(), AssignmentReceiver("v"), many) == many
    crowd = work(6, [("job", 0, spec(10))] * 100_000)
    assert through(AssignmentSender(), AssignmentReceiver("v"), crowd) == crowd
    nothing = AssignmentSet(1, 7, registered=False, assigned=(), neighbours=())
    assert through(AssignmentSender(), AssignmentReceiver("v"), nothing) == nothing


def test_a_spec_is_sent_once():
    sender, receiver = AssignmentSender(), AssignmentReceiver("v")
    one, other = spec(1_000), spec(1_000)
    first = work(5, [("a", 0, one), ("a", 0, one), ("b", 0, other)])
    (item,) = sender.chunks(first)
    assert [s.job for s in msgspec.msgpack.decode(item, type=Chunk).specs] == ["a", "b"]
    assert receiver.take(item) == first
    again = work(6, [("b", 0, other), ("a", 0, one)])
    (item,) = sender.chunks(again)
    assert len(item) < 200
    assert receiver.take(item) == again


def test_another_spec_under_the_same_name_is_sent():
    """The job was forgotten and made anew."""
    sender, receiver = AssignmentSender(), AssignmentReceiver("v")
    through(sender, receiver, work(5, [("a", 0, spec(image="x"))]))
    anew = work(6, [("a", 0, spec(image="y"))])
    assert through(sender, receiver, anew) == anew


_WORKS = st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 2)), max_size=8))


@given(_WORKS, st.integers(1, 300))
def test_whatever_follows_whatever(works, piece_bytes):
    """`works`: job, version, and which of three specs it has at that time."""
    specs = [spec(50 * n) for n in range(3)]
    sender, receiver = AssignmentSender(), AssignmentReceiver("v")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignment_stream, "PIECE_BYTES", piece_bytes)
        for index, assigned in enumerate(works):
            at_once = {(job, version): specs[n] for job, version, n in assigned}
            sent = work(index, [(job, version, at_once[job, version]) for job, version, _ in assigned])
            assert through(sender, receiver, sent) == sent
    assert receiver._held_bytes == sum(h.size_bytes for h in receiver._specs.values())
    assert receiver._specs.keys() == sender._sent.keys()


def test_no_more_is_taken_on_than_the_limit(monkeypatch):
    monkeypatch.setattr(assignment_stream, "MAX_WORK_BYTES", 5_000_000)
    big = [(f"job{n}", 0, spec(900_000)) for n in range(6)]
    with pytest.raises(TooLarge, match="more than 5,000,000 bytes"):
        through(AssignmentSender(), AssignmentReceiver("v"), work(5, big))
    sender, receiver = AssignmentSender(), AssignmentReceiver("v")
    through(sender, receiver, work(5, big[:5]))
    with pytest.raises(TooLarge):  # one by one as well
        through(sender, receiver, work(6, big))
    sender, receiver = AssignmentSender(), AssignmentReceiver("v")
    for index in range(20):  # what is gone counts no longer
        through(sender, receiver, work(index, [(f"job{index}", 0, spec(900_000))]))


def test_an_allocation_without_its_spec_is_not_understood():
    sender = AssignmentSender()
    sent = work(5, [("a", 0, spec())])
    list(sender.chunks(sent))
    with pytest.raises(Unavailable, match="v did not say how allocation 00000000 is to run"):
        through(sender, AssignmentReceiver("v"), sent)
