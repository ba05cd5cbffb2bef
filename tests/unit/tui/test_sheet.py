"""The part of a listing that is in sight, and the lines above it."""

import pytest

from orion.client.watch import Current, Rows
from orion.model.api.watch import Noun
from orion.tui.cells import cell
from orion.tui.columns import Tone
from orion.tui.listing import Listing
from orion.tui.sheet import Sheet
from orion.tui.store import Store
from orion.tui.summary import Asked, first_line, old_line, second_line, within
from orion.tui.views import VIEWS
from unit.tui.rows import BORN_S, deployment, job, table, tables, task

NOW_S = BORN_S + 60


def sheet(count=100, height=10, width=100):
    rows = table(Noun.TASKS, *(task(f"web/{at}") for at in range(count)))
    listing = Listing(VIEWS["tasks"])
    listing.take(rows)
    made = Sheet(listing)
    made.resize(width, height)
    made.follow()
    return made, rows


def keys(made):
    return [line.key for line in made.lines(NOW_S)]


def test_only_what_is_in_sight_is_made():
    made, _ = sheet()
    assert keys(made) == [f"web/{at}" for at in range(10)]
    assert [line.cursor for line in made.lines(NOW_S)] == [True] + [False] * 9


def test_the_cursor_takes_the_sight_with_it():
    made, _ = sheet()
    made.move(12)
    assert (made.key, made.top) == ("web/12", 3)
    made.move(-12)
    assert (made.key, made.top) == ("web/0", 0)
    made.go(1000)
    assert (made.key, made.top) == ("web/99", 90)
    made.move(-10_000)
    assert made.key == "web/0"


def test_the_cursor_stays_on_its_row_and_the_row_in_its_place():
    made, rows = sheet()
    made.go(50)
    place = made.at - made.top
    for at in range(20):
        del rows[f"web/{at}"]
    made.listing.take(rows)
    made.follow()
    assert made.key == "web/50"
    assert made.at - made.top == place


def test_the_cursor_stays_in_its_place_when_its_row_goes():
    made, rows = sheet(count=5)
    made.go(2)
    del rows["web/2"]
    made.listing.take(rows)
    made.follow()
    assert made.key == "web/3"
    del rows["web/3"], rows["web/4"]
    made.listing.take(rows)
    made.follow()
    assert made.key == "web/1"


def test_the_cursor_waits_for_a_row_that_has_not_come():
    made, rows = sheet(count=0)
    made.show(made.listing, wide=False, chosen=(), key="web/7")
    assert keys(made) == []
    rows.update(table(Noun.TASKS, *(task(f"web/{at}") for at in range(20))))
    made.listing.take(rows)
    made.follow()
    assert made.key == "web/7"


def test_equal_rows_make_equal_lines_and_others_do_not():
    made, rows = sheet(count=3)
    before = made.lines(NOW_S)
    assert made.lines(NOW_S) == before
    rows["web/1"] = task("web/1", state="failed")
    made.listing.take(rows)
    after = made.lines(NOW_S)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    assert after[1].tone is Tone.BAD


def test_widths_grow_and_do_not_shrink():
    made, rows = sheet(count=3, width=200)
    made.lines(NOW_S)
    before = {column.title: width for column, width in made.columns}
    rows["web/1"] = task("web/1", node_id="a-node-with-a-long-name")
    made.listing.take(rows)
    made.lines(NOW_S)
    wider = {column.title: width for column, width in made.columns}
    assert wider["NODE"] == len("a-node-with-a-long-name") > before["NODE"]
    rows["web/1"] = task("web/1")
    made.listing.take(rows)
    made.lines(NOW_S)
    assert {column.title: width for column, width in made.columns} == wider


def test_sideways_ends_where_the_columns_do():
    made, _ = sheet(width=40)
    made.show(made.listing, wide=True, chosen=())
    made.lines(NOW_S)
    made.sideways(10_000)
    end = made.left
    made.sideways(8)
    assert made.left == end > 0
    made.sideways(-10_000)
    assert made.left == 0


def test_what_is_saved_is_all_of_it_uncut():
    made, _ = sheet(count=40, width=60)
    made.lines(NOW_S)
    saved = made.texts(NOW_S)
    assert len(saved) == 41
    assert saved[0][0] == "ID"
    assert saved[40][0] == "web/39"


def test_cells_have_their_width_whatever_is_in_them():
    assert cell("abc", 5) == "abc  "
    assert cell("abc", 5, right=True) == "  abc"
    assert cell("abcdef", 5) == "abcd…"
    assert cell("long-name/12", 9, tail=True) == "long-…/12"
    assert cell("日本語", 7) == "日本語 "
    assert cell("日本語", 5) == "日本…"
    assert cell("ab", 1) == "a"


def store():
    made = Store()
    for noun, rows in tables().items():
        made.take(Rows(noun, list(rows.values()), begins=True), 0.0)
    made.take(Current(1234, "node1"), 0.0)
    return made


def words(spans):
    return "".join(text for text, _ in spans)


def test_the_first_line_says_who_is_asked_and_how_old_that_is():
    asked = Asked("10.0.0.1:8000", "node1", "c0ffee00aa", 0.5, "")
    assert words(first_line(store(), asked)) == (
        "orion top  cluster c0ffee00  asks node1 10.0.0.1:8000  leader node1  index 1,234"
    )
    old = asked._replace(age_s=75.0, trouble="10.0.0.1:8000 says nothing")
    assert words(old_line(old)) == " as of 75s ago: 10.0.0.1:8000 says nothing "
    assert "read-only" in words(first_line(store(), asked._replace(read_only=True)))


def test_before_anything_is_heard_it_says_so():
    asked = Asked("10.0.0.1:8000", "", "", None, "")
    assert "asking 10.0.0.1:8000" in words(first_line(Store(), asked))
    assert "is one running?" in words(first_line(Store(), asked._replace(trouble="nobody: is one running?")))


def test_no_leader_is_said():
    told = store()
    told.leader = ""
    assert "no leader" in words(first_line(told, Asked("a:1", "", "", 0.0, "")))


def test_the_second_line_counts():
    assert words(second_line(store())) == ("  nodes 3 (1)  jobs 4 (1)  tasks 5 (2)  3 running  1 pending  1 failed")


def test_lines_are_cut_where_there_is_no_room():
    assert words(within([("abc", "plain"), ("defgh", "bad")], 6)) == "abcde…"
    assert words(within([("abc", "plain")], 3)) == "abc"


def test_a_long_name_leaves_room_for_the_rest():
    listing = Listing(VIEWS["jobs"])
    listing.take(table(Noun.JOBS, job("a-" * 30)))
    made = Sheet(listing)
    made.resize(200, 10)
    made.follow()
    assert made.lines(NOW_S)[0].cells[0].rstrip() == "a-" * 15 + "a…"
    made.show(listing, wide=True, chosen=())
    assert made.lines(NOW_S)[0].cells[0].rstrip() == "a-" * 30


@pytest.mark.parametrize(
    ("view", "title", "arrow"),
    [
        ("tasks", "AGE", "AGE↑"),  # the youngest first: ages grow
        ("deployments", "TOOK", "TOOK↓"),
        ("cron", "NEXT", "NEXT↑"),
        ("tasks", "RESTARTS", "RESTARTS↓"),
        ("tasks", "ID", "ID↑"),
    ],
)
def test_the_arrow_says_how_what_is_shown_grows(view, title, arrow):
    listing = Listing(VIEWS[view])
    column = listing.view.column(title)
    listing.sort(column, reverse=column.down)
    made = Sheet(listing)
    made.resize(200, 10)
    made.lines(NOW_S)
    assert arrow in [text.strip() for text, by in made.titles() if by]


def test_what_takes_longest_comes_first_and_what_goes_on_before_all():
    rows = [
        deployment(1, started_at="2026-01-01T00:00:00Z", ended_at="2026-01-01T00:00:09Z"),
        deployment(2, started_at="2026-01-01T00:00:00Z", ended_at="2026-01-01T00:01:00Z"),
        deployment(3),
    ]
    listing = Listing(VIEWS["deployments"])
    listing.sort(listing.view.column("TOOK"), reverse=True)
    listing.take(table(Noun.DEPLOYMENTS, *rows))
    assert list(listing.keys()) == ["3", "2", "1"]
