"""What `orion top` says above and below its rows, and where they stay."""

from textual.events import Key

from orion.model.api.watch import Noun
from unit.tui.rows import node
from unit.tui.scripted import piloted, press, text_on, until
from unit.tui.told import Told, top


@piloted
async def test_a_filter_that_comes_in_one_burst_is_typed_into_the_text_that_is_seen():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "question_mark")
        await until(pilot, lambda: "keys of jobs" in text_on(app))
        for character in "/wide":
            app.post_message(Key("slash" if character == "/" else character, character))
        app.post_message(Key("enter", None))
        app.post_message(Key("w", "w"))
        await until(pilot, lambda: "/wide" in text_on(app) and "describe" not in text_on(app))
        assert "more columns" in text_on(app) or "in wide mode" in text_on(app)
        await press(pilot, "escape")
        await until(pilot, lambda: "describe" in text_on(app) or "all that is known" in text_on(app))
        await press(pilot, "escape")
        await until(pilot, lambda: "jobs [4]" in text_on(app))


@piloted
async def test_nothing_of_a_row_stays_that_a_filter_hides_and_the_cursor_goes_to_the_first_that_passes():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks", "enter", "end")
        assert "no node has 4 GiB" in text_on(app)
        await press(pilot, "slash", *"web", "enter")
        assert app.browser.table.key == "web/0"
        await press(pilot, "slash", *"(")
        assert "is no regular expression" in text_on(app)
        await press(pilot, *"nothing)")
        assert "is no regular expression" not in text_on(app)
        assert "no tasks pass the filter" in text_on(app)
        assert app.browser.chosen == []
        await press(pilot, "escape")
        await press(pilot, "0")
        assert "there are no namespaces" in text_on(app)


@piloted
async def test_a_long_sentence_is_said_to_its_end():
    app = top()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        app.say(" ".join(["nobody"] * 30) + " the end", wrong=True)
        await until(pilot, lambda: "the end" in text_on(app))
        await press(pilot, "down")
        assert "the end" not in text_on(app)


@piloted
async def test_a_node_that_dies_and_another_one_that_leads_are_said():
    cluster = Told()
    app = top(cluster)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        assert "node3 is dead" not in text_on(app), "it was so before"
        cluster.store.leader = "node2"
        cluster.change(Noun.NODES, node("node1", status="dead"), node("node3"))
        await until(pilot, lambda: "node1 is dead; node3 is back; node2 leads now" in text_on(app))


@piloted
async def test_in_wide_mode_the_name_stays_in_sight():
    app = top()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "colon", *"tasks", "enter", "ctrl+w", "right", "right")
        line = next(line for line in text_on(app).splitlines() if "nightly-1/0" in line)
        assert line.startswith("  nightly-1/0  ")
        assert "running" not in line
