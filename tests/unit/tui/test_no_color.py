"""NO_COLOR: nothing on the screen has a colour, and all of it is there."""

from unit.tui.scripted import piloted, text_on, until
from unit.tui.told import top


@piloted
async def test_without_colours_all_is_there(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = top()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        await pilot.press("colon", *"packing", "enter")
        await until(pilot, lambda: "begins" in text_on(app))
        strips = app.screen._compositor.render_strips()
        used = {segment.style.color for strip in strips for segment in strip if segment.style is not None}
    assert {each.name for each in used if each is not None} <= {"default"}
