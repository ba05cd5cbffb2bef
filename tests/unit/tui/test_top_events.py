"""The cluster's events on the screen."""

from orion.client import EventView
from orion.tui.screens.events import AGAIN_S, Events
from unit.tui.scripted import Bare, Scripted, piloted, text_on, until


def event(number, text, kind="TaskStarted"):
    return EventView(f"{number}.0", f"2025-01-01T00:00:{number:02}.000Z", kind, "web/0", text)


@piloted
async def test_events_come_live_and_it_goes_on_where_it_was_when_the_node_goes(monkeypatch):
    monkeypatch.setattr("orion.tui.screens.events.AGAIN_S", 0)  # a moment that is over as soon as it begins
    assert AGAIN_S > 0
    cluster = Scripted(events=lambda *_, **__: ())
    app = Bare(Events(cluster, ["web"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(event(1, "web/0 runs on node1"), event(2, "node1 went down", "NodeWentDown"))
        await until(pilot, lambda: "node1 went down" in text_on(app))
        assert "events of web" in text_on(app)
        cluster.streams[0].end("node1 does not answer")
        await until(pilot, lambda: len(cluster.streams) == 2)
        await until(pilot, lambda: "node1 does not answer; trying again" in text_on(app))
        cluster.streams[1].give(None, event(9, "web/0 runs on node2"))
        await until(pilot, lambda: "runs on node2" in text_on(app))
        assert "some events between are forgotten" in text_on(app)
        assert "trying again" not in text_on(app)
        await pilot.press("t")
        await until(pilot, lambda: "2025-01-01T00:00:09.000Z  web/0 runs on node2" in text_on(app))
    (_, (first,), first_asked), (_, (second,), second_asked) = cluster.asked
    assert (first, second) == ("0.0", "2.0")
    assert first_asked["subjects"] == second_asked["subjects"] == ("web",)
    assert cluster.streams[1].closed
