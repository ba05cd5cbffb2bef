"""Widths of columns, and texts of cells."""

import pytest

from orion.tui.columns import age_text, natural
from orion.tui.frame import hints_of
from orion.tui.keys import KEYS, Key, keymap
from orion.tui.layout import GAP, fit, shown
from orion.tui.views import VIEWS
from unit.tui.rows import BORN, BORN_S, tables

TASKS = VIEWS["tasks"]


def titles(columns):
    return [column.title for column in columns]


def test_wide_columns_are_in_wide_mode_only():
    assert "ADDRESS" not in titles(shown(TASKS, wide=False))
    assert "ADDRESS" in titles(shown(TASKS, wide=True))


def test_columns_that_a_person_has_chosen_come_in_that_order_and_the_rest_in_wide_mode():
    assert titles(shown(TASKS, wide=False, chosen=("state", "ID", "nonsense"))) == ["STATE", "ID"]
    wide = titles(shown(TASKS, wide=True, chosen=("state", "ID")))
    assert wide[:2] == ["STATE", "ID"]
    assert set(wide) == {column.title for column in TASKS.columns}


def test_the_column_that_rows_are_sorted_by_is_there_in_any_case():
    memory, restarts = TASKS.column("MEM ASKED"), TASKS.column("RESTARTS")
    assert memory in shown(TASKS, wide=False, by=memory)
    assert titles(shown(TASKS, wide=False, chosen=("STATE",), by=memory)) == ["STATE", "MEM ASKED"]
    assert titles(shown(TASKS, wide=False, chosen=("STATE",), by=TASKS.column("ID"))) == ["STATE"]
    columns = shown(TASKS, wide=False)
    without, with_it = (
        titles(column for column, _ in fit(columns, [20] * len(columns), 90, wide=False, by=by))
        for by in (None, restarts)
    )
    assert "RESTARTS" not in without
    assert "RESTARTS" in with_it


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("room", [78, 120, 200])
def test_a_small_cluster_fits_into_a_small_terminal(name, room):
    columns, rows = shown(VIEWS[name], wide=False), tables()[VIEWS[name].noun].values()
    natural = [max(len(c.title) + 1, *(len(c.text(row, BORN_S + 300)) for row in rows)) for c in columns]
    kept = fit(columns, natural, room, wide=False)
    assert kept[0][0] is columns[0]
    assert sum(width for _, width in kept) + GAP * (len(kept) - 1) <= room


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("room", [58, 78, 98, 118, 160, 200])
def test_no_column_goes_or_comes_with_what_a_reason_says(name, room):
    columns = shown(VIEWS[name], wide=False)
    kept = []
    for last in (7, 20, 60):
        natural = [*(max(len(each.title) + 1, 10) for each in columns[:-1]), last]
        kept.append(titles(column for column, _ in fit(columns, natural, room, wide=False)))
    assert columns[-1].title != "REASON" or kept[0] == kept[1] == kept[2]


def test_what_is_spare_goes_first():
    columns = shown(TASKS, wide=False)
    kept = fit(columns, [20] * len(columns), 90, wide=False)
    gone = [column for column in columns if column not in [c for c, _ in kept]]
    assert gone
    assert min(column.spare for column in gone) >= max(c.spare for c, _ in kept)


def test_the_last_takes_what_is_left():
    columns = shown(TASKS, wide=False)
    kept = fit(columns, [5] * len(columns), 200, wide=False)
    assert sum(width for _, width in kept) + GAP * (len(kept) - 1) == 200


def test_wide_mode_cuts_nothing():
    columns = shown(TASKS, wide=True)
    assert [width for _, width in fit(columns, [30] * len(columns), 80, wide=True)] == [30] * len(columns)


@pytest.mark.parametrize(
    ("later_s", "text"),
    [(0, "0s"), (59, "59s"), (300, "5m"), (7200, "2h"), (86_400 * 12, "12d"), (-300, "in 5m")],
)
def test_ages(later_s, text):
    assert age_text(BORN, BORN_S + later_s) == text


@pytest.mark.parametrize("when", [None, "", "not a time"])
def test_no_time_has_no_age(when):
    assert age_text(when, BORN_S) == ""


def test_texts_of_other_programs_do_not_steer_the_terminal():
    from unit.tui.rows import task

    column = TASKS.column("reason")
    assert column.text(task(reason="exit 1\n\x1b[31mboom\x07"), 0) == "exit 1 boom?"


def test_numbers_in_names_count_as_numbers():
    assert sorted(["n10", "n9", "n", "9", "10"], key=natural) == ["9", "10", "n", "n9", "n10"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "1 task yet to leave; gets no work until 'orion ready node2'",
            "1 task yet to leave; gets no work until <u>",
        ),
        ("its 2 canaries are ready: 'orion promote web' has the rest follow", "<a> has the rest follow"),
        ("'orion rm web' or another", "'orion rm web' or another"),
    ],
)
def test_reasons_name_the_key_in_the_place_of_a_command(said, told):
    from unit.tui.rows import node

    assert VIEWS["nodes"].column("REASON").text(node(reason=said), 0).endswith(told)


@pytest.mark.parametrize("width", range(0, 140, 7))
def test_the_last_line_has_whole_keys_and_more_at_its_end(width):
    keys = (Key("d", "describe", "all of it", "describe"), Key("x", "x", "locked", "x", locked=True), *KEYS)
    spans = hints_of(keys, keymap(keys, {}), width)
    text = "".join(words for words, _ in spans)
    assert text.endswith(" <?> more")
    assert len(text) <= max(width, len(" <?> more"))
    assert text.startswith(" <d> describe") or width < 23
    assert "locked" not in text
