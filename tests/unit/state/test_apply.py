import pytest
from state_kit import World, creation, registration

from orion.model.errors import Corrupt
from orion.model.events import Event
from orion.state.apply import apply
from orion.state.commands import encode_command
from orion.state.tables import State


def test_events_have_the_same_ids_on_every_node():
    one, two = World(), World()
    for world in (one, two):
        world.create(count=2)
    registered = registration("node1", engine_down="no answer")
    assert one.do(registered).events == two.do(registered).events
    applied = one.register("node2", engine_down="no answer")
    assert [event.id for event in applied.events] == ["4.0", "4.1"]
    assert applied.events[0] == Event(4, 0, 10, "NodeJoined", "node2", "node2 joined")


def test_a_command_may_come_decoded():
    state = State()
    assert apply(state, 5, creation()).result == "web"
    assert state.view.index == 5


def test_an_empty_entry_only_moves_the_index():
    state = State()
    applied = apply(state, 7, b"")
    assert (applied.result, applied.events, state.index) == (None, (), 7)


def test_an_entry_is_applied_once():
    state = State()
    apply(state, 7, b"")
    with pytest.raises(AssertionError, match="applied before"):
        apply(state, 7, b"")


@pytest.mark.parametrize("data", [b"\xc1", b"garbage", encode_command(creation())[:-1], b"\x92\x63\x01"])
def test_bytes_that_are_no_command_stop_the_node(data):
    state = State()
    with pytest.raises(Corrupt, match="log entry 3"):
        apply(state, 3, data)
    assert state.index == 0
