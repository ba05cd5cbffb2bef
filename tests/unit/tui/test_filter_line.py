"""The line in which a filter is typed, over the tables of the whole app."""

from unit.tui.scripted import piloted, press, text_on
from unit.tui.told import top


@piloted
async def test_a_new_filter_begins_as_an_empty_line_and_the_former_ones_come_with_up():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks", "enter", "slash", *"node2", "enter")
        await press(pilot, "slash")
        assert "tasks [2 of 5]" in text_on(app), "what is shown stays until something is typed"
        await press(pilot, *"db", "enter")
        assert "/db" in text_on(app)
        assert "tasks [1 of 5]" in text_on(app)
        await press(pilot, "slash", "up", "up", "enter")
        assert "tasks [2 of 5]" in text_on(app)


@piloted
async def test_a_cell_is_matched_as_well_as_the_whole_row():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "slash", *"^nightly$", "enter")
        assert "jobs [1 of 4]" in text_on(app)
        await press(pilot, "slash", *"^nightly.*cron", "enter")
        assert "jobs [1 of 4]" in text_on(app)
