"""What exit codes say: 0 as asked, 1 not so, 2 bad usage, 4 timed out, 130 interrupted; else the program's own."""

import signal

import click
import pytest

from orion.cli import main
from orion.model.api.tasks import AllocationView
from orion.model.errors import NotFound, Unavailable
from orion.model.logs import LogEnd, LogNotice
from unit.api.fake_service import task_view


def ended(state="failed", code=None, reason="", name="web"):
    run = AllocationView("a", "n", state, reason, 0, code, None, "2025-01-01T00:00:00Z", None)
    return task_view(name, state=state, reason=reason, node_id="n", allocations=[run])


def tell(api, monkeypatch, *views):
    """Each look at a task shows the next of `views`, the last for ever; None is that it is not there."""
    story, service = list(views), api.service

    async def task(self, name, read):
        service.index += 1
        if (view := story.pop(0) if len(story) > 1 else story[0]) is None:
            raise NotFound(f"there is no task {name}")
        return view, service.index

    monkeypatch.setattr(type(service), "task", task)


def create_as(api, monkeypatch, view):
    """What is created is this."""

    async def create(self, request, **given):
        self.tasks_by_id[view.id] = view
        return view

    monkeypatch.setattr(type(api.service), "create_task", create)


@pytest.mark.parametrize(
    ("view", "code", "words"),
    [
        (ended("completed", 0), 0, ""),
        (ended("failed", 7, "exit code 7: no database"), 7, ""),
        (ended("failed", 137, "exit code 137, out of memory"), 137, "orion: web/0: exit code 137, out of memory\n"),
        (ended("failed", None, "no such image"), 1, "orion: web/0 failed: no such image\n"),
        (ended("stopped", 143), 143, "orion: web/0 was stopped\n"),
        (ended("stopped", 0), 0, "orion: web/0 was stopped\n"),
        (task_view("web", state="stopped", stopped=True), 1, "orion: web/0 was stopped\n"),
    ],
)
def test_wait_gives_the_programs_exit_code(orion, api, monkeypatch, view, code, words):
    tell(api, monkeypatch, task_view("web", state="running"), task_view("web", state="running"), view)
    assert orion("wait", "web") == (code, f"{code}\n", words)


def test_of_several_the_first_that_failed_counts(orion, api):
    tasks = (ended("completed", 0, name="a"), ended("failed", 3, name="b"), ended("failed", 4, name="c"))
    api.service.tasks_by_id = {task.id: task for task in tasks}
    assert orion("wait", "a", "b", "c")[:2] == (3, "0\n3\n4\n")
    assert orion("wait", "a", "nope") == (1, "0\n", "orion: there is no task nope; 'orion ps' lists them\n")


def test_wait_for_what_is_removed_meanwhile(orion, api, monkeypatch):
    running = task_view("web", state="running", created_index=5)
    tell(api, monkeypatch, running, running, None)
    assert orion("wait", "web") == (1, "1\n", "orion: web/0 was removed\n")
    tell(api, monkeypatch, running, running, task_view("web", state="running", created_index=9))
    assert orion("wait", "web") == (1, "1\n", "orion: web/0 was removed\n")


def test_wait_has_an_end_where_one_is_given(orion, api):
    api.service.tasks_by_id["web/0"] = task_view("web", state="running")
    assert orion("wait", "--timeout", "0.2", "web") == (4, "", "orion: web/0 is still running after 0.2 s\n")


# --- run --rm ----------------------------------------------------------------------------------------------


def test_the_foreground_shows_what_the_program_writes_and_no_more(orion, api, monkeypatch):
    ran = ended("failed", 3, "exit code 3: two", name="web-00001")
    tell(api, monkeypatch, task_view("web-00001", state="running"), ran, ran, None)
    api.service.log_items = [b"one\n", b"two", LogNotice("web/0 was lost"), LogEnd("web/0 failed: exit code 3")]
    assert orion("run", "--rm", "nginx") == (3, "one\ntwo", "web/0 was lost\n")
    assert api.service.creates[0]["request"].restart_policy == "no"


def test_what_never_ran_in_the_foreground_says_why(orion, api, monkeypatch):
    tell(api, monkeypatch, ended("failed", None, "no such image"))
    api.service.log_items = [NotFound("it has not run")]
    removed = []
    monkeypatch.setattr("orion.cli.shared.foreground._remove", lambda client, task: removed.append(task.id))
    assert orion("run", "--rm", "nginx") == (1, "", "orion: web/0 failed: no such image\n")
    assert removed == ["web-00001/0"]


def test_what_has_ended_before_its_output_was_shown_is_not_looked_at_again(orion, api, monkeypatch):
    """A look waits for a change, and none comes any more."""
    ran = ended("failed", 3, name="web-00001")
    tell(api, monkeypatch, ran, ran, None)
    api.service.log_items = [b"one\n", LogEnd("")]
    assert orion("run", "--rm", "nginx") == (3, "one\n", "")


def test_output_that_can_t_be_had_for_a_moment_is_shown_after_it(orion, api, monkeypatch):
    running = task_view("web-00001", state="running")
    ran = ended("failed", 3, name="web-00001")
    tell(api, monkeypatch, running, running, running, ran, ran, None)
    logs, refusals = type(api.service).logs, iter([Unavailable("no leader")])

    def now_and_then(self, *args, **named):
        self.log_items = [next(refusals, b"one\n"), LogEnd("")]
        return logs(self, *args, **named)

    monkeypatch.setattr(type(api.service), "logs", now_and_then)
    assert orion("run", "--rm", "nginx") == (3, "one\n", "orion: no leader; trying again\n")


def test_output_that_can_t_be_had_at_all_is_said_and_the_exit_code_counts(orion, api, monkeypatch):
    ran = ended("failed", 3, name="web-00001")
    tell(api, monkeypatch, ran, ran, ran, ran, None)
    api.service.log_items = [Unavailable("node2 is dead")]
    code, out, err = orion("run", "--rm", "nginx")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1] == "orion: what web-00001/0 has written can't be shown: node2 is dead"


def test_a_signal_that_is_ignored_stays_so(orion, api, monkeypatch):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seen = []
    monkeypatch.setattr(
        "orion.cli.shared.foreground._follow", lambda *args: seen.append(signal.getsignal(signal.SIGHUP)) or 0
    )
    try:
        assert orion("run", "--rm", "nginx")[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIG_IGN]


def test_the_foreground_is_removed_though_its_output_can_t_be_written(orion, api, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    create_as(api, monkeypatch, task_view("web", state="running"))
    monkeypatch.setattr("orion.cli.shared.foreground._show_output", fail)
    assert orion("run", "--rm", "nginx")[0] == 1
    assert not api.service.tasks_by_id


def test_the_programs_exit_code_counts_though_it_can_t_be_removed(orion, api, monkeypatch):
    def fail(*args, **kwargs):
        raise Unavailable("no leader")

    tell(api, monkeypatch, ended("failed", 3))
    monkeypatch.setattr("orion.client.Client.delete_task", fail)
    api.service.log_items = [LogEnd("")]
    words = "orion: web-00001/0 could not be removed: no leader; 'orion rm web-00001/0' does it\n"
    assert orion("run", "--rm", "nginx") == (3, "", words)


@pytest.mark.parametrize("options", [["-o", "json"], ["--restart", "always"]], ids=lambda options: options[0])
def test_what_does_not_go_with_the_foreground(orion, api, options):
    code, out, err = orion("run", "--rm", *options, "nginx")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not api.service.creates


def test_the_foreground_gives_up_what_does_not_start_in_time(orion, api, monkeypatch):
    stuck = task_view(
        "web", state="pulling", reason="pulling nginx; the last try: no route to host", allocations=[]
    )
    create_as(api, monkeypatch, stuck)
    code, out, err = orion("run", "--rm", "--wait-timeout", "0.2", "nginx")
    assert (code, out) == (4, "")
    assert (
        err
        == "orion: web/0 does not run after 0.2 s: it is pulling; pulling nginx; the last try: no route to host\n"
    )
    assert "web/0" not in api.service.tasks_by_id


def test_leaving_the_foreground_twice_leaves_the_rest_to_the_cluster(orion, api, monkeypatch):
    def leave(*args, **kwargs):
        raise KeyboardInterrupt

    create_as(api, monkeypatch, task_view("web-00001", state="running"))
    monkeypatch.setattr("orion.client.Client.logs", leave)
    monkeypatch.setattr("orion.client.Client.delete_task", leave)
    code, out, err = orion("run", "--rm", "nginx")
    assert (code, out) == (130, "")
    assert err.splitlines() == [
        "orion: web-00001/0 is being removed",
        "orion: web-00001/0 goes on ending; 'orion ps' shows whether it is gone",
    ]


# --- left with Ctrl-C --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [["ps"], ["logs", "-f", "web"], ["events", "-f"], ["stop", "--wait", "web"], ["rm", "web"], ["wait", "web"]],
    ids=lambda command: command[0],
)
def test_an_interrupted_command_is_130_and_quiet(orion, api, monkeypatch, command):
    def leave(*args, **kwargs):
        raise KeyboardInterrupt

    for method in ("tasks", "logs", "events", "poll_task"):
        monkeypatch.setattr(f"orion.client.Client.{method}", leave)
    api.service.tasks_by_id["web/0"] = task_view("web", state="running")
    code, out, err = orion(*command)
    assert (code, out, err.strip()) == (130, "", "")


def test_a_question_that_is_left_with_ctrl_c_changes_nothing(orion, monkeypatch, tmp_path):
    def leave(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("click.termui.visible_prompt_func", leave)
    monkeypatch.setattr("orion.process.offline.recover", lambda *args, **kwargs: click.confirm("Really?", err=True))
    code, _, err = orion("raft", "recover", "--data-dir", str(tmp_path))
    assert code == 130
    assert err.endswith("\norion: nothing was changed\n")


def test_a_command_that_is_interrupted_before_it_is_loaded(monkeypatch):
    def leave(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("orion.cli.app.run", leave)
    assert main() == 130
