"""Calls after a while."""

from textual.app import App

from orion.tui.later import Later
from unit.tui.scripted import piloted, until


@piloted
async def test_it_is_called_once_however_late():
    app, called = App(), []
    async with app.run_test() as pilot:
        Later(app, 0.0, lambda: called.append("at once"))
        Later(app, 0.001, lambda: called.append("soon"))
        await until(pilot, lambda: len(called) == 2)
        await pilot.pause()
    assert sorted(called) == ["at once", "soon"]


@piloted
async def test_what_is_cancelled_is_not_called_even_where_its_time_is_over():
    app, called = App(), []
    async with app.run_test() as pilot:
        early, late = (Later(app, 0.0, lambda: called.append("cancelled")) for _ in range(2))
        early.cancel()
        late._is_over()
        late.cancel()
        Later(app, 0.0, lambda: called.append("last"))
        await until(pilot, lambda: called)
        await pilot.pause()
    assert called == ["last"]
