"""A job edited as a file: what is wrong is edited again, the plan is shown, and that alone is done."""

from pathlib import Path

import pytest

from orion.model.api.configs import ConfigView
from orion.model.api.plans import FieldChange, PlanView
from orion.model.api.watch import Noun
from orion.model.errors import Refused
from orion.tui.actions import Stage, perform
from orion.tui.actions.edit import read, unset, with_faults
from orion.tui.actions.table import ACTIONS
from orion.tui.screens.confirm import Confirm
from orion.tui.texts.yaml_text import job_yaml
from unit.tui.scripted import Bare, Scripted, deployment, job, job_view, piloted, text_on, until

EDIT_CONFIG = next(action for action in ACTIONS[Noun.CONFIGS] if action.word == "edit")
EDIT = next(action for action in ACTIONS[Noun.JOBS] if action.word == "edit")


def plan(**values):
    fixed = {"job": "web", "kind": "update", "version": 1, "changes": [FieldChange("image", '"a"', '"b"')]}
    more = {"order": "", "order_reason": "", "starts": 1, "start_nodes": {"node1": 1}, "stops": 1, "waits": 0}
    last = {"ends": "done", "reason": "", "warnings": [], "token": "t0ken"}
    return PlanView(**{**fixed, **more, **last, **values})


class Editing:
    """A bare app, and an editor that writes what `texts` say of the file, one after the other."""

    def __init__(self, monkeypatch, *texts, **answers):
        self.files = []
        self._texts = iter(texts)
        self.said = []
        self.begun = []
        self.cluster = Scripted([job("web")], job=job_view("web", count=3), **answers)
        self.app = Bare(Confirm("below", (), "yes"))
        told = lambda text, error: self.said.append((text, error))  # noqa: E731
        self.stage = Stage(self.app, self.cluster, told, self.begun.append)
        monkeypatch.setattr("orion.tui.actions.edit.give_terminal", self._give)

    def _give(self, app, words, *, errors=False):
        file = Path(words[-1])
        self.files.append(file.read_text())
        file.write_text(next(self._texts)(file.read_text()))
        return 0, ""

    def begin(self):
        self.app.run_worker(perform(self.stage, EDIT, Noun.JOBS, ["web"]))


def to_five(text):
    return text.replace("count: 3", "count: 5")


@piloted
async def test_what_the_plan_says_is_done_with_its_token(monkeypatch):
    put = job_view("web", version=2, deployment=deployment(7, "web"))
    editing = Editing(monkeypatch, to_five, plan_job=plan(), put_job=put)
    async with editing.app.run_test(size=(80, 24)) as pilot:
        editing.begin()
        await until(pilot, lambda: "Update web?" in text_on(editing.app))
        assert 'image: "a" -> "b"' in text_on(editing.app)
        assert "stops 1" in text_on(editing.app)
        await pilot.press("y")
        await until(pilot, lambda: editing.said)
    assert "count: 3" in editing.files[0]
    (_, (name, request), how) = editing.cluster.asked[-1]
    assert (name, request.count, how) == ("web", 5, {"if_version": 1, "plan": "t0ken"})
    assert editing.said == [("web is on its way to version 2", False)]
    assert editing.begun == [7]


@piloted
async def test_what_is_wrong_is_edited_again_with_the_faults_above(monkeypatch):
    def wrong(text):
        return text.replace("count: 3", "cuont: 3")

    def right(text):
        return text.replace("cuont: 3", "count: 4")

    editing = Editing(monkeypatch, wrong, right, plan_job=plan(), put_job=job_view("web"))
    async with editing.app.run_test(size=(80, 24)) as pilot:
        editing.begin()
        await until(pilot, lambda: "web can't be like that" in text_on(editing.app))
        assert "count" in text_on(editing.app)
        await pilot.press("y")
        await until(pilot, lambda: "Update web?" in text_on(editing.app))
        await pilot.press("n")
        await until(pilot, lambda: editing.said)
    assert editing.files[1].startswith("#! web.yaml:")
    assert "cuont: 3" in editing.files[1]
    assert editing.said == [("web is left as it is", False)]
    assert "put_job" not in [name for name, _, _ in editing.cluster.asked]


@piloted
async def test_another_count_alone_is_said_as_such_and_a_wrong_text_that_is_given_up_is_said(monkeypatch):
    def bad(text):
        return text.replace("count: 3", "count: lots")

    editing = Editing(monkeypatch, to_five, bad, plan_job=plan(kind="scale"), put_job=job_view("web"))
    async with editing.app.run_test(size=(80, 24)) as pilot:
        editing.begin()
        await until(pilot, lambda: "Scale web?" in text_on(editing.app))
        await pilot.press("y")
        await until(pilot, lambda: editing.said == [("web goes to 5 tasks", False)])
        editing.begin()
        await until(pilot, lambda: "web can't be like that" in text_on(editing.app))
        await pilot.press("escape")
        await until(pilot, lambda: editing.said[1:] == [("web is left as it is", False)])


def test_what_people_often_set_stands_there_as_an_example_until_it_is_set():
    assert "# memory: 512m\n" in unset(job_view("web"))
    assert "# memory" not in unset(job_view("web", memory=1 << 20))
    assert "count: 1\n" in job_yaml(job_view("web"), always=("count",))


@piloted
async def test_nothing_is_asked_for_a_text_that_is_the_same(monkeypatch):
    editing = Editing(monkeypatch, str)
    async with editing.app.run_test(size=(80, 24)) as pilot:
        editing.begin()
        await until(pilot, lambda: editing.said == [("web is left as it is", False)])
    assert [name for name, _, _ in editing.cluster.asked] == ["job"]


@piloted
async def test_an_editor_that_can_not_be_run_is_said(monkeypatch):
    editing = Editing(monkeypatch)
    monkeypatch.setenv("VISUAL", 'vim "')
    async with editing.app.run_test(size=(80, 24)) as pilot:
        editing.begin()
        await until(pilot, lambda: editing.said)
    ((said, failed),) = editing.said
    assert failed
    assert "can't be read" in said


@pytest.mark.parametrize("text", ["name: db\nimage: a\n", "jobs:\n  web: {image: a}\n  db: {image: b}\n"])
def test_a_job_keeps_its_name(text):
    with pytest.raises(Refused, match="a job keeps its name"):
        read(text, job_view("web"))


def test_faults_of_before_are_not_said_again():
    text = with_faults("a: 1\n", ["one", "two"])
    assert text == "#! one\n#! two\na: 1\n"
    assert with_faults(text, ["three"]) == "#! three\na: 1\n"


def config(**values):
    return ConfigView(
        **{"key": "app/greeting", "version": 3, "size": 5, "created_at": None, "changed_at": None, **values}
    )


def editing_config(monkeypatch, change, value=b"hello\nyou\n", **values):
    view = config(**values)
    editing = Editing(monkeypatch, change, config_and_view=(value, view), put_config=config(version=4))
    editing.cluster.tell(view)
    editing.begin = lambda: editing.app.run_worker(
        perform(editing.stage, EDIT_CONFIG, Noun.CONFIGS, ["app/greeting"])
    )
    return editing


@piloted
async def test_a_configs_value_is_put_once_what_differs_was_seen(monkeypatch):
    editing = editing_config(monkeypatch, lambda text: text.replace("you", "there"))
    async with editing.app.run_test(size=(80, 24)) as pilot:
        editing.begin()
        await until(pilot, lambda: "Put app/greeting?" in text_on(editing.app))
        assert "-you" in text_on(editing.app)
        assert "+there" in text_on(editing.app)
        await pilot.press("y")
        await until(pilot, lambda: editing.said)
    assert editing.cluster.asked[-1] == ("put_config", ("app/greeting", b"hello\nthere\n"), {"if_version": 3})
    assert editing.said == [("app/greeting is at version 4; tasks that start from now on have it", False)]


@pytest.mark.parametrize(("value", "folder", "words"), [(b"\xff", False, "is no text"), (b"", True, "is a folder")])
def test_what_is_no_text_is_not_edited(monkeypatch, value, folder, words):
    editing = editing_config(monkeypatch, str, value, folder=folder)

    @piloted
    async def begin():
        async with editing.app.run_test(size=(80, 24)) as pilot:
            editing.begin()
            await until(pilot, lambda: editing.said)

    begin()
    ((said, failed),) = editing.said
    assert failed
    assert words in said
    assert editing.files == []
