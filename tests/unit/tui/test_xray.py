"""Jobs as a tree."""

from orion.model.api.watch import Noun
from orion.tui.lines import text_of
from orion.tui.screens.describe import Describe
from orion.tui.screens.xray import Xray
from orion.tui.texts.xray import tree
from unit.api.fake_service import task_view
from unit.tui.scripted import Bare, Scripted, allocation, job, node, piloted, press, task, text_on, until

ROWS = (
    node("node1"),
    node("node2", status="dead"),
    job("web", count=2, ready=1, reason="one is lost"),
    job("db"),
    task("web/0"),
    task("web/10", state="pending", reason="no room"),
    task("web/9"),
    task("db/0"),
    allocation("a1", "web/0", created_at="2025-01-01T00:00:01Z", state="lost", node_id="node2"),
    allocation("a2", "web/0", created_at="2025-01-01T00:00:02Z"),
)


def shown(store, job="", turned=()):
    return [text_of(each.line) for each in tree(store, job, turned)]


def test_a_job_alone_is_open_down_to_the_nodes():
    first, *rest = shown(Scripted(ROWS).store, "web")
    assert first == "▾ web  service  1/2 ready  nginx:1.27  one is lost"
    assert [line.split("  ")[0] for line in rest] == ["├─ web/0", "│", "│", "├─ web/9", "└─ web/10"]
    assert "├─ a2  running" in rest[1]
    assert rest[1].endswith("→ node1 alive")
    assert rest[2].endswith("→ node2 dead")
    assert rest[-1] == "└─ web/10  pending  no room"


def test_of_several_jobs_those_are_open_that_were_opened():
    store = Scripted(ROWS).store
    assert [line[:5] for line in shown(store)] == ["▸ db ", "▸ web"]
    assert [line[:5] for line in shown(store, turned={"db"})] == ["▾ db ", "└─ db", "▸ web"]


@piloted
async def test_the_tree_is_walked_and_opened_and_the_cursor_stays_with_its_row():
    cluster = Scripted(ROWS, task=lambda key: task_view("web", state="pending"))
    screen = Xray(cluster)
    app = Bare(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "▸ web" in text_on(app))
        await press(pilot, "down", "right", "down")
        assert screen.picker.key == (Noun.TASKS, "web/0")
        cluster.tell(job("a"))  # another one, above
        await until(pilot, lambda: "▸ a " in text_on(app))
        assert screen.picker.key == (Noun.TASKS, "web/0")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Describe) and "pending" in text_on(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await press(pilot, "left")
        assert screen.picker.key == (Noun.JOBS, "web")
        await press(pilot, "enter")
        await until(pilot, lambda: "web/9" not in text_on(app))
        await pilot.press("a")
        await until(pilot, lambda: "db/0" in text_on(app) and "web/9" in text_on(app))
