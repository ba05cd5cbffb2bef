"""Commands as people type them who come from Docker, Compose and Kubernetes."""

import pytest

from orion.cli.shared import other_tools, whole_jobs
from orion.model.errors import NotFound
from orion.state.tables.deployment_rows import Deployments
from unit.api.fake_service import task_view

NIGHTLY = "{name: nightly, image: backup, kind: cron, schedule: {expression: '@daily'}}"


@pytest.fixture
def web(orion, api, tmp_path):
    path = tmp_path / "web.yaml"
    path.write_text("{name: web, image: nginx, count: 2}")
    assert orion("deploy", "--no-wait", str(path))[0] == 0
    return api.service.jobs.state


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("up", "here it is 'orion deploy FILE'"),
        ("kill", "here it is 'orion rm NAME'"),
        ("describe", "here it is 'orion inspect TASK'"),
        ("service", "here it is 'orion jobs'"),
        ("build", "images are made elsewhere, as with 'docker build'"),
        ("volumes", "here it is 'orion volume ls'"),
        ("depoly", "did you mean deploy?"),
    ],
)
def test_a_command_of_another_tool_is_told_what_it_is_here(orion, typed, words):
    code, _, err = orion(typed, "x")
    assert (code, err) == (2, f"orion: '{typed}' is not a command: {words} (see 'orion --help')\n")


def test_what_is_said_of_other_tools_is_no_command_here_and_points_at_one():
    from orion.cli.app import COMMANDS, found

    here = {*COMMANDS, *found()}
    assert not here & {*other_tools._HERE, *other_tools._NOT_HERE}
    assert all(words.split()[0] in here or words.startswith("--") for words in other_tools._HERE.values())


@pytest.mark.parametrize("words", [["web", "3"], ["web=3"], ["web", "--replicas", "3"], ["--count", "3", "web"]])
def test_a_job_is_scaled_as_other_tools_write_it(orion, web, words):
    assert orion("scale", "--no-wait", *words)[0] == 0
    assert web.jobs["web"].job.count == 3


@pytest.mark.parametrize("words", [["web"], ["web=3", "3"], ["web=", "--count"], ["web=x"], ["web=-1"]])
def test_how_many_is_said_once(orion, web, words):
    assert orion("scale", *words)[0] == 2
    assert web.jobs["web"].job.count == 2


def test_deployments_of_a_job(orion, web):
    row = web.of(Deployments).latest("web")
    assert f"{row.id} " in orion("deployments", "web")[1]
    assert f"{row.id} " in orion("deployments", str(row.id))[1]
    code, _, err = orion("deployments", "other")
    assert code == 1
    assert "other" in err


def test_what_went_with_another_is_removed_and_what_was_never_there_is_not_found(capsys):
    def ask(name):
        raise NotFound(f"there is no task {name}")

    assert whole_jobs.change(["nightly-1"], ask, known={"nightly-1"}) == ([], 0)
    assert whole_jobs.change(["typo"], ask, known={"nightly-1"}) == ([], 1)
    out, err = capsys.readouterr()
    assert (out, err) == ("nightly-1\n", "orion: there is no task typo\n")


def test_nobody_waits_for_the_end_of_a_cron_job(orion, api, tmp_path):
    path = tmp_path / "nightly.yaml"
    path.write_text(NIGHTLY)
    assert orion("deploy", str(path))[0] == 0
    api.service.tasks_by_id["nightly/0"] = task_view("nightly", state="pending")
    words = "orion: nightly is a cron job, which goes on for ever: wait for one of 'orion cron runs nightly'\n"
    assert orion("wait", "nightly") == (1, "", words)
