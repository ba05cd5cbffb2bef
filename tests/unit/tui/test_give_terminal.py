"""The terminal, given to another program: whatever becomes of that, the app has it back."""

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from orion.model.api.watch import Noun
from orion.model.errors import Refused
from orion.tui.actions import Stage, perform
from orion.tui.actions.table import ACTIONS
from orion.tui.actions.terminal import give_terminal
from orion.tui.screens.confirm import Confirm
from unit.tui.scripted import Bare, Scripted, job, job_view, piloted, task, until


@pytest.fixture
def turns(monkeypatch):
    """Whose turn the terminal was, one after the other."""
    found = []
    monkeypatch.setattr(HeadlessDriver, "can_suspend", True)
    monkeypatch.setattr(HeadlessDriver, "suspend_application_mode", lambda _: found.append("theirs"), raising=False)
    monkeypatch.setattr(HeadlessDriver, "resume_application_mode", lambda _: found.append("ours"), raising=False)
    return found


def bare():
    return Bare(Confirm("below", (), "yes"))


@piloted
async def test_a_program_has_the_terminal_until_it_ends(turns):
    app = bare()
    async with app.run_test():
        assert give_terminal(app, ["sh", "-c", "echo no >&2; exit 3"], errors=True) == (3, "no")
    assert turns == ["theirs", "ours"]


@pytest.mark.parametrize("words", [["nope"], ["/"], ["sh", "a\0b"]])
@piloted
async def test_what_can_not_be_started_leaves_the_terminal_to_the_app(words, turns):
    app = bare()
    async with app.run_test():
        with pytest.raises((Refused, ValueError)):
            give_terminal(app, words)
    assert turns == ["theirs", "ours"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"EDITOR": "nope"}, "nope can't be started: No such file or directory; $EDITOR names it"),
        (
            {"EDITOR": "true", "VISUAL": "nope -w"},
            "nope can't be started: No such file or directory; $VISUAL names it",
        ),
        (
            {"EDITOR": " ", "PATH": "/nonexistent"},
            "vi can't be started: No such file or directory; neither $VISUAL nor $EDITOR names another editor",
        ),
    ],
)
@piloted
async def test_an_editor_that_is_not_there_is_said_with_what_names_it(variables, said, turns, monkeypatch):
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert await _told_of(Noun.JOBS, "edit", "web") == [(said, True)]
    assert turns == ["theirs", "ours"]


@piloted
async def test_a_shell_that_can_not_be_started_is_said(turns, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    assert await _told_of(Noun.TASKS, "shell", "web/0") == [
        ("/nonexistent/python can't be started: No such file or directory", True)
    ]
    assert turns == ["theirs", "ours"]


async def _told_of(noun, word, key):
    app, said = bare(), []
    cluster = Scripted([job("web"), task("web/0")], job=job_view("web"))
    stage = Stage(app, cluster, lambda *told: said.append(told), lambda _: None)
    action = next(action for action in ACTIONS[noun] if action.word == word)
    async with app.run_test() as pilot:
        app.run_worker(perform(stage, action, noun, [key]))
        await until(pilot, lambda: said)
    return said
