"""`orion top` as it is used: keys in, a screen out, over a cluster that the test plays."""

import os

import pytest
from textual.events import Key

from orion.model.api.watch import Noun
from orion.tui.actions import actions_of
from orion.tui.keys import KEYS, MOVES, canonical
from orion.tui.views import VIEWS
from unit.tui.rows import job, task
from unit.tui.scripted import piloted, press, text_on, until
from unit.tui.told import Told, top


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


@piloted
async def test_keys_of_a_burst_are_understood_one_after_the_other():
    """As they come over a slow line: none of what is typed for the command bar is taken for an action."""
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        for character in ":tasks web":
            app.post_message(Key("colon" if character == ":" else character, character))
        for key in ("enter", "down", "down", "enter"):
            app.post_message(Key(key, None))
        await until(pilot, lambda: "allocations of task web/2" in text_on(app))
        assert app.cluster.asked == []


@piloted
async def test_escape_and_a_key_in_one_packet_are_two_keys():
    """A terminal writes Alt and a key in the same way."""
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"nod")
        app.post_message(Key("alt+colon", ":"))
        for character in "volumes":
            app.post_message(Key(character, character))
        app.post_message(Key("enter", None))
        await until(pilot, lambda: "volumes [2]" in text_on(app))
        await press(pilot, "slash", *"spare", "enter")
        app.post_message(Key("alt+upper_s", "S"))
        await until(pilot, lambda: "STATE↑" in text_on(app))
        assert "volumes [2]" in text_on(app)


@piloted
async def test_what_is_typed_before_comes_again():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"nodes", "enter", "colon", *"volumes", "enter")
        assert "volumes [2]" in text_on(app)
        await press(pilot, "colon", "up", "up", "enter")
        assert "nodes [3]" in text_on(app)
        await press(pilot, "colon", *"jo", "escape")
        assert "nodes [3]" in text_on(app)


@piloted
async def test_what_may_be_typed_stands_below():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon")
        await until(pilot, lambda: "nodes  jobs  cron  tasks" in text_on(app))
        await press(pilot, *"tasks ")
        await until(pilot, lambda: "tasks web" in text_on(app))
        await press(pilot, "escape", "slash")
        await until(pilot, lambda: "-l state=failed" in text_on(app))
        await press(pilot, "escape")
        await until(pilot, lambda: "<d> describe" in text_on(app))


@piloted
async def test_what_is_no_command_is_said_below():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"nodez", "enter")
        assert "there is no view 'nodez': did you mean" in text_on(app)
        await press(pilot, "down")
        assert "nodez" not in text_on(app)


@piloted
async def test_rows_lead_to_their_owner_and_their_node():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks node2", "enter")
        assert "tasks of node node2 [2 of 5]" in text_on(app)
        await press(pilot, "J")
        assert "jobs [4]" in text_on(app)
        assert app.browser.table.key == "nightly-1"
        await press(pilot, "J")
        assert "cron [1]" in text_on(app)
        await press(pilot, "J")
        assert "it belongs to nothing" in text_on(app)
        await press(pilot, "escape", "escape", "n")
        assert app.browser.table.key == "node2"
        assert "nodes [3]" in text_on(app)


@piloted
async def test_dash_leads_to_the_last_view_and_back():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "minus")
        assert "no other view yet" in text_on(app)
        await press(pilot, "colon", *"nodes", "enter", "minus")
        assert "jobs [4]" in text_on(app)
        await press(pilot, "minus")
        assert "nodes [3]" in text_on(app)


@pytest.mark.parametrize(
    ("first", "title"), [("nodes", "nodes [3]"), ("tasks web", "tasks of job web"), ("", "jobs [4]")]
)
def test_the_first_view_may_be_named(first, title):
    @piloted
    async def named():
        app = top(first=first)
        async with app.run_test(size=(100, 24)) as pilot:
            await until(pilot, lambda: title in text_on(app))

    named()


@piloted
async def test_a_first_view_of_rows_waits_for_them():
    cluster = Told({})
    cluster.store.index = 0
    app = top(cluster, first="tasks web")
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "jobs [0]" in text_on(app))
        cluster.change(Noun.JOBS, job("web"))
        await until(pilot, lambda: "tasks of job web [0]" in text_on(app))


def first_column(app):
    return [line.key for line in app.browser.table._lines]


@piloted
async def test_shift_and_a_letter_sorts_and_again_turns_it_round():
    app = top()
    async with app.run_test(size=(120, 24)) as pilot:
        await press(pilot, "colon", *"tasks", "enter", "S")
        assert first_column(app)[:2] == ["web/2", "db/0"]
        assert "STATE↑" in text_on(app)
        await press(pilot, "S")
        assert first_column(app)[-1] == "web/2"
        await press(pilot, "shift+left")
        assert "ID↑" in text_on(app)
        await press(pilot, "shift+up")
        assert "ID↓" in text_on(app)
        await press(pilot, "colon", *"jobs", "enter", "left_square_bracket")
        assert "ID↓" in text_on(app)


@piloted
async def test_wide_shows_more_and_faults_less():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks", "enter", "ctrl+w")
        assert "ADDRESS" in text_on(app)
        await press(pilot, *["right"] * 12)
        assert "8080->80/tcp" in text_on(app)
        assert "no node has 4 GiB" in text_on(app)
        await press(pilot, "ctrl+w", "ctrl+z")
        assert "faults only" in text_on(app)
        assert first_column(app) == ["db/0", "web/2"]


@piloted
async def test_marked_rows_are_chosen_and_copied(monkeypatch):
    app, copied = top(), []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "c", "space", "down", "space", "c")
        assert copied == ["db", "db\nnightly"]
        assert "2 marked" in text_on(app)
        assert "* nightly" in text_on(app)
        await press(pilot, "down", "down", "ctrl+@", "c")
        assert copied[-1] == "db\nnightly\nnightly-1\nweb"
        await press(pilot, "escape")
        assert "marked" not in text_on(app)


@piloted
async def test_what_is_shown_is_saved(monkeypatch, tmp_path):
    monkeypatch.setattr("orion.tui.screens.text_pane.FOLDER", tmp_path)
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks web", "enter", "ctrl+s")
        (file,) = tmp_path.iterdir()
        rows = file.read_text().splitlines()
        assert rows[0].startswith("ID,STATE")
        assert [row.partition(",")[0] for row in rows[1:]] == ["web/0", "web/1", "web/2"]
        assert str(tmp_path) in text_on(app).replace("\n", "")


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (20, 5)])
def test_every_view_is_drawn_in_every_terminal(size):
    @piloted
    async def drawn():
        app = top()
        async with app.run_test(size=size) as pilot:
            for view in VIEWS:
                app.run_command(view)
                await until(pilot, lambda: first_column(app))
                assert app.browser.desk.view.name == view
                text = text_on(app)
                assert max(map(len, text.splitlines())) <= size[0]
                assert size == (20, 5) or (f"{view} [" in text and first_column(app)[0] in text)

    drawn()


@piloted
async def test_help_says_what_keys_do_here():
    app = top()
    async with app.run_test(size=(100, 60)) as pilot:
        await press(pilot, "question_mark")
        text = text_on(app)
        assert "keys of jobs" in text
        assert "Have another number of tasks".lower() in text.lower()
        assert "Shift-N" in text
        await press(pilot, "escape", "ctrl+a")
        assert ":tasks" in text_on(app)
        await press(pilot, "colon", *"nodes", "enter")
        assert "nodes [3]" in text_on(app)


@piloted
async def test_read_only_has_no_actions_that_change():
    app = top(read_only=True)
    async with app.run_test(size=(100, 60)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        assert "read-only" in text_on(app)
        await press(pilot, "ctrl+d", "r", "s", "h", "t")
        assert app.screen is app.browser
        assert "run now: nothing is changed from here, this is read-only" in text_on(app)
        await press(pilot, "question_mark")
        await until(pilot, lambda: "keys of jobs" in text_on(app))
        assert "restart" not in text_on(app).lower()
        assert app.cluster.asked == []


def write(path, text):
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


@piloted
async def settings_live(tmp_path):
    path = tmp_path / "top.toml"
    write(path, "view = 'tasks'\n[columns]\ntasks = ['NODE', 'ID']\n[keys]\nz = ':volumes'")
    app = top(tmp_path=tmp_path)
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "tasks [5]" in text_on(app))
        assert "STATE" not in text_on(app)
        write(path, "[columns]\ntasks = ['NODE', 'IDEE']")
        app._look()
        await pilot.pause()
        assert "there is no 'IDEE'" in text_on(app)
        await press(pilot, "down")
        assert "STATE" not in text_on(app)
        write(path, "skin = 'mono'\n[aliases]\nmine = 'tasks web'")
        app._look()
        await pilot.pause()
        assert "STATE" in text_on(app)
        await press(pilot, "colon", *"mine", "enter")
        assert "tasks of job web" in text_on(app)
        await press(pilot, "z")
        assert "tasks of job web" in text_on(app)
        write(path, "[keys]\nz = ':volumes'")
        app._look()
        await press(pilot, "z")
        assert "volumes [2]" in text_on(app)


def test_settings_count_at_once(tmp_path):
    settings_live(tmp_path)


@piloted
async def test_a_mistake_in_the_settings_is_said_at_the_start(tmp_path):
    (tmp_path / "top.toml").write_text("skin = 'pink'")
    app = top(tmp_path=tmp_path)
    async with app.run_test(size=(200, 24)) as pilot:
        await until(pilot, lambda: "there is no 'pink'" in text_on(app))


@piloted
async def test_another_node_and_an_old_state_are_said(monkeypatch):
    cluster = Told()
    app = top(cluster)
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        cluster.moves, cluster.address = 1, "192.0.2.2:8000"
        cluster.on_news(set())
        await until(pilot, lambda: "another node is asked now: 192.0.2.2:8000" in text_on(app))
        cluster.old_s = 75.0
        cluster.trouble = "no node answers"
        app._look()
        await pilot.pause()
        assert text_on(app).splitlines()[0] == " as of 75s ago: no node answers"
        assert "leader node1" in text_on(app)
        await press(pilot, "ctrl+r")
        assert cluster.asked_to_move


@piloted
async def test_before_anything_is_heard_the_whole_trouble_is_told():
    cluster = Told({})
    cluster.store.heard_s = None
    cluster.trouble = (
        "no node answers at any of 10.0.0.1:8000, 10.0.0.2:8000, 10.0.0.3:8000: is one running? so it is"
    )
    app = top(cluster)
    async with app.run_test(size=(60, 24)) as pilot:
        await until(pilot, lambda: "10.0.0.3:8000: is one" in text_on(app))
        cluster.change(Noun.JOBS, job("web"))
        await until(pilot, lambda: "jobs [1]" in text_on(app))
        assert "10.0.0.3" not in text_on(app).partition("jobs [1]")[2]


@piloted
async def test_what_changes_behind_another_screen_is_there_when_one_comes_back():
    cluster = Told()
    app = top(cluster)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", *"tasks", "enter", "colon", *"packing", "enter")
        cluster.change(Noun.TASKS, gone=["web/0", "web/1"])
        await press(pilot, "escape")
        await until(pilot, lambda: "tasks [3]" in text_on(app))


@piloted
async def test_screens_open_and_close_by_command():
    app = top(Told(metrics="", events=iter(())))
    async with app.run_test(size=(100, 24)) as pilot:
        for name in ("events", "packing", "xray", "xray web", "forwards", "aliases", "help", "raft", "pulses"):
            app.run_command(name)
            await until(pilot, lambda: app.screen is not app.browser)
            await press(pilot, "escape")
            await until(pilot, lambda: app.screen is app.browser)


@piloted
async def test_quit_ends_it():
    app = top()
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "colon", "q", "enter")
        await until(pilot, lambda: app._exit)
    assert app.cluster.closed


def test_words_of_actions_and_of_keys_are_not_the_same():
    words = {action.word for noun in Noun for action in actions_of(noun)}
    assert not words & {key.does for key in (*KEYS, *MOVES)}


@pytest.mark.parametrize("noun", Noun)
def test_keys_of_actions_are_free(noun):
    taken = {key.key for key in (*KEYS, *MOVES)}
    letters = {column.letter for view in VIEWS.values() if view.noun is noun for column in view.columns}
    keys = [canonical(action.key) for action in actions_of(noun)]
    assert all(keys)
    assert len(set(keys)) == len(keys)
    assert not set(keys) & (taken | letters)
    assert not letters & taken
