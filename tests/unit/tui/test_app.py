"""`orion top` as it is used: keys in, a screen out, over a cluster that the test plays."""

from orion.model.api.watch import Noun
from unit.tui.rows import task
from unit.tui.scripted import piloted, text_on, until
from unit.tui.told import Told, top


async def press(pilot, *keys):
    await pilot.press(*keys)
    await pilot.pause()


@piloted
async def test_jobs_are_shown_first_with_the_cluster_above():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "c0ffee00" in text_on(app))
        text = text_on(app)
        print(text)
        assert "leader node1" in text
        assert "jobs [4]" in text
        assert "web" in text
        assert "1 of 3 tasks waits for" in text
    assert app.cluster.closed


@piloted
async def test_enter_leads_down_and_escape_up():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        await press(pilot, "end", "enter")
        assert "tasks of job web [3 of 5]" in text_on(app)
        await press(pilot, "enter")
        assert "allocations of task web/0 [2 of 4]" in text_on(app)
        await press(pilot, "escape")
        await press(pilot, "escape")
        assert "jobs [4]" in text_on(app)
        assert app.browser.table.key == "web"


@piloted
async def test_a_command_is_typed_completed_and_done():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        await press(pilot, "colon", *"ta", "tab", "enter")
        assert "tasks [5]" in text_on(app)
        await press(pilot, "colon", *"no", "enter")
        assert "nodes [3]" in text_on(app)
        await press(pilot, "left_square_bracket")
        assert "tasks [5]" in text_on(app)
        await press(pilot, "right_square_bracket")
        assert "nodes [3]" in text_on(app)


@piloted
async def test_a_filter_narrows_as_it_is_typed():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks", "enter")
        await press(pilot, "slash", *"node2")
        assert "tasks [2 of 5]" in text_on(app)
        await press(pilot, "enter")
        assert "/node2" in text_on(app)
        await press(pilot, "escape")
        assert "tasks [5]" in text_on(app)


@piloted
async def test_a_change_comes_to_the_screen_and_the_cursor_stays_on_its_row():
    cluster = Told()
    app = top(cluster)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks web", "enter", "down")
        assert app.browser.table.key == "web/1"
        cluster.change(Noun.TASKS, task("web/1", state="starting", ready=False), gone=["web/0"])
        await until(pilot, lambda: "starting" in text_on(app))
        assert app.browser.table.key == "web/1"
        assert "tasks of job web [2 of 4]" in text_on(app)
