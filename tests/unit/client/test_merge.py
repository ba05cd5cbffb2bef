"""Lines of several sources in the order of their times."""

from hypothesis import given
from hypothesis import strategies as st

from orion.client.merge import Reordering


def test_what_comes_late_by_less_than_the_window_is_put_in_its_place():
    lines = Reordering(window_s=1.0)
    lines.add("05", "web/0", 0.0)
    lines.add("03", "web/1", 0.9)
    assert list(lines.due(0.9)) == []
    assert lines.wait_s(0.9) == 1.0 - 0.9
    assert list(lines.due(1.0)) == ["web/1", "web/0"]
    assert lines.wait_s(1.0) is None


def test_a_source_whose_clock_is_behind_holds_nobody_up():
    lines, seen = Reordering(window_s=1.0), []
    for now in range(20):
        lines.add(f"9{now:02}", f"right {now}", now)
        lines.add(f"1{now:02}", f"behind {now}", now)
        seen += lines.due(now + 0.5)
    assert [line for line in seen if line.startswith("right")] == [f"right {now}" for now in range(19)]


def test_no_more_are_held_than_there_is_room_for():
    lines = Reordering(window_s=1e9, most_held=3)
    for number in range(5):
        lines.add(f"{number}", number, 0.0)
    assert list(lines.due(0.0)) == [0, 1]
    assert list(lines.rest()) == [2, 3, 4]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 20)), max_size=60))
def test_all_come_once_and_none_waits_longer_than_the_window(steps):
    lines, out, now = Reordering(window_s=5.0), [], 0
    for number, (at, pause) in enumerate(steps):
        now += pause
        out += lines.due(now)
        waited = lines.wait_s(now)
        assert waited is None or waited > 0
        lines.add(f"{at:02}", number, now)
    out += lines.rest()
    assert sorted(out) == list(range(len(steps)))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5)), max_size=60))
def test_what_is_late_by_no_more_than_the_window_comes_in_the_order_of_its_times(lines):
    """Whatever its source: a line that was written at a time comes up to a window later."""
    window = 5
    held, out = Reordering(window_s=window), []
    for now, at in sorted((at + late, at) for at, late in lines):
        out += held.due(now)
        held.add(f"{at:02}", at, now)
    out += held.rest()
    assert out == sorted(at for at, _ in lines)
