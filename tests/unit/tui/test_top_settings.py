"""A person's own settings, and the keys that they name."""

import os

import pytest

from orion.tui.keys import KEYS, MOVES, Key, canonical, keymap, of_event, shown
from orion.tui.settings import MOST_BYTES, Settings, SettingsFile, Wrong, default_path, read_settings
from orion.tui.skins import PARTS, SKINS, skin

WHOLE = """
view = "tasks"
read_only = true
skin = "night"

[colours]
bad = "bold magenta"

[columns]
tasks = ["ID", "state", "NODE"]

[keys]
"Ctrl-T" = ":tasks web"
w = ""
F5 = "again"

[aliases]
pp = "tasks web"
"""


def test_all_that_may_stand_there():
    settings = read_settings(WHOLE)
    assert settings.view == "tasks"
    assert settings.read_only
    assert settings.columns == {"tasks": ["ID", "state", "NODE"]}
    assert settings.aliases == {"pp": "tasks web"}
    assert read_settings("") == Settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("view = 3", "view: expected `str`, got `int`"),
        ("viev = 'tasks'", "Object contains unknown field `viev`"),
        ("view = 'pods'", "view: there is no 'pods', but nodes, jobs"),
        ("skin = 'pink'", "skin: there is no 'pink', but terminal"),
        ("[colours]\nworse = 'red'", "colours: there is no 'worse', but plain"),
        ("[colours]\nbad = 'reddish'", "colours.bad: unable to parse"),
        ("[columns]\npods = ['ID']", "columns: there is no 'pods'"),
        ("[columns]\ntasks = ['IDEE']", "columns.tasks: there is no 'IDEE', but ID, STATE"),
        ("[keys]\nhyper-x = ':tasks'", "keys: 'hyper-x' is no key"),
        ("[keys]\nx = 'dance'", "keys.x: nothing is called 'dance'"),
        ("view = ", "Invalid value"),
    ],
)
def test_a_mistake_is_said_in_a_line(text, words):
    with pytest.raises(Wrong) as caught:
        read_settings(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_actions_have_names_for_keys_too():
    assert read_settings("[keys]\nx = 'scale'", lambda: frozenset({"scale"})).keys == {"x": "scale"}


def write(path, text):
    """With another time than before, however coarse the file system's are."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_a_file_is_read_again_when_it_changes_and_kept_where_it_is_wrong(tmp_path):
    path = tmp_path / "top.toml"
    file = SettingsFile(path)
    assert not file.look()
    assert file.settings == Settings()
    write(path, "skin = 'night'")
    assert file.look()
    assert not file.look()
    assert file.settings.skin == "night"
    write(path, "skin = 'pink'")
    assert file.look()
    assert file.settings.skin == "night"
    assert "there is no 'pink'" in file.wrong
    assert "as before until that is mended" in file.wrong
    write(path, "skin = 'mono'")
    assert file.look()
    assert (file.settings.skin, file.wrong) == ("mono", "")
    path.unlink()
    assert file.look()
    assert file.settings == Settings()


def test_a_file_that_can_not_be_read_is_said(tmp_path):
    path = tmp_path / "top.toml"
    file = SettingsFile(path)
    path.write_bytes(b"\xff\xfe")
    assert file.look()
    assert "top.toml" in file.wrong
    path.write_text("#" * (MOST_BYTES + 1))
    assert file.look()
    assert "more than 256 KiB" in file.wrong
    path.unlink()
    path.mkdir()
    assert file.look()
    assert "Is a directory" in file.wrong


def test_the_file_is_where_settings_are(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "orion" / "top.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".config" / "orion" / "top.toml"


@pytest.mark.parametrize("name", SKINS)
def test_skins_are_whole_and_their_styles_are_styles(name):
    from rich.style import Style

    styles = skin(name, {"bad": "red"})
    assert set(styles) == set(SKINS["terminal"])
    assert set(PARTS) <= set(styles)
    assert styles["bad"] == "red"
    assert all(Style.parse(each) is not None for each in styles.values())


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Ctrl-W", "ctrl-w"),
        ("ctrl+w", "ctrl-w"),
        ("Shift-A", "A"),
        ("A", "A"),
        ("a", "a"),
        ("F5", "f5"),
        ("Escape", "esc"),
        ("return", "enter"),
        ("-", "-"),
        ("/", "/"),
        (" ", "space"),
        ("shift-left", "shift-left"),
        ("alt-x", "alt-x"),
        ("PgDn", "pagedown"),
        ("hyper-x", ""),
        ("nonsense", ""),
        ("f99", ""),
        ("", ""),
    ],
)
def test_keys_are_written_in_many_ways(typed, key):
    assert canonical(typed) == key


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (("escape", None), "esc"),
        (("space", " "), "space"),
        (("ctrl+w", "\x17"), "ctrl-w"),
        (("ctrl+@", "\x00"), "ctrl-space"),
        (("ctrl+backslash", "\x1c"), "ctrl-\\"),
        (("left_square_bracket", "["), "["),
        (("upper_a", "A"), "A"),
        (("shift+left", None), "shift-left"),
        (("enter", "\r"), "enter"),
        (("pagedown", None), "pagedown"),
        (("alt+colon", ":"), "alt-:"),
        (("alt+upper_n", "N"), "alt-N"),
    ],
)
def test_keys_as_textual_tells_of_them(event, key):
    assert of_event(*event) == key


def test_all_keys_are_written_as_they_come():
    assert [each.key for each in (*KEYS, *MOVES) if canonical(each.key) != each.key] == []


def test_keys_of_ones_own_come_over_the_others_and_may_take_them_away():
    keys = keymap((Key("w", "why", ""), Key("d", "describe", "")), {"Ctrl-T": ":tasks", "w": "", "d": "why"})
    assert keys == {"ctrl-t": ":tasks", "d": "why"}


def test_keys_are_shown_as_people_say_them():
    assert [shown(key) for key in ("J", "j", "ctrl-w", "ctrl-\\", "esc", "/")] == [
        "Shift-J",
        "j",
        "Ctrl-W",
        "Ctrl-\\",
        "Esc",
        "/",
    ]
