"""Nodes as bars that their tasks fill."""

from hypothesis import given
from hypothesis import strategies as st

from orion.model.api.nodes import Amounts
from orion.tui.lines import text_of, width_of
from orion.tui.screens.packing import Packing
from orion.tui.texts.packing import Bar, Run, bars, packing_lines
from unit.tui.scripted import Bare, Scripted, allocation, node, piloted, task, text_on, until


def told(store, resource="memory", width=60, **how):
    return [text_of(line) for line in packing_lines(bars(store, resource, **how), width)]


def eight_gigabytes(name):
    return node(name, memory=Amounts(8e9, 0.0, None))


def on(where, key, memory, **values):
    return task(key, node_id=where, memory=int(memory)), allocation(f"r-{key}", key, node_id=where, **values)


def test_a_bar_is_filled_by_its_tasks_to_scale():
    rows = [
        *on("node1", "web/0", 2e9),
        *on("node1", "web/1", 2e9),
        *on("node1", "db/0", 1e9),
        *on("node1", "x/0", 0),
    ]
    first, *legend = told(Scripted([eight_gigabytes("node1"), *rows]).store, width=15 + 40)
    assert first == "node1 ▕Aaaaa" + "Bbbbbbbbbb" * 2 + "·" * 15 + "▏   62 % +1"
    assert "a db (1)  b web (2)  c x (1)  " in legend


def test_tasks_that_begin_and_end_are_told_apart():
    rows = [*on("node1", "web/0", 4e9, state="starting"), *on("node2", "web/1", 4e9, wanted=False)]
    store = Scripted([eight_gigabytes("node1"), eight_gigabytes("node2"), *rows]).store
    one, two, *_ = told(store, width=15 + 20)
    assert one == "node1 ▕++++++++++··········▏   50 %"
    assert two == "node2 ▕----------··········▏   50 %"


def test_the_fullest_may_come_first():
    store = Scripted([eight_gigabytes("a"), eight_gigabytes("b"), *on("b", "web/0", 1e9)]).store
    assert [line[0] for line in told(store, fullest=True)[:2]] == ["b", "a"]


@given(st.lists(st.floats(0, 5), max_size=30), st.floats(0, 20), st.integers(20, 200))
def test_no_bar_is_wider_than_the_others_whatever_is_on_it(sizes, total, width):
    runs = tuple(Run("web", f"web/{n}", size) for n, size in enumerate(sizes))
    shown = packing_lines([Bar(node("node1"), total, runs), Bar(node("node2"), 1.0, ())], width)
    full, empty = (text_of(line).rindex("▏") for line in shown[:2])
    assert full == empty
    assert width_of(shown[1]) <= max(width, 23)


@piloted
async def test_a_bar_moves_as_a_task_moves():
    cluster = Scripted([eight_gigabytes("node1"), eight_gigabytes("node2"), *on("node1", "web/0", 8e9)])
    app = Bare(Packing(cluster))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "node1 ▕Aaaa" in text_on(app) and "node2 ▕····" in text_on(app))
        cluster.tell(*on("node2", "web/0", 8e9))
        await until(pilot, lambda: "node1 ▕····" in text_on(app) and "node2 ▕Aaaa" in text_on(app))
        await pilot.press("m")
        await until(pilot, lambda: "packing  cpu" in text_on(app))
