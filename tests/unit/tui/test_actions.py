"""All that can be done to rows: questions, calls, and what is said."""

import pytest

from orion.client import Conflict
from orion.model.api.rebalance import MoveView, RebalanceView
from orion.model.api.watch import Noun
from orion.model.errors import Refused
from orion.tui.actions import Stage, actions_of, perform, questions, wishes
from orion.tui.actions.table import ACTIONS
from orion.tui.lines import text_of
from orion.tui.screens.confirm import Ask, Confirm
from orion.tui.screens.forwards import Forwards
from orion.tui.screens.logs import Logs
from unit.api.fake_service import node_view
from unit.tui.scripted import (
    Bare,
    Scripted,
    allocation,
    deployment,
    job,
    job_view,
    node,
    piloted,
    task,
    text_on,
    until,
    volume,
)
from unit.tui.test_calls import PLAN, version_view


def words(question):
    return " ".join([question.title, *map(text_of, question.lines)])


def web(*nodes):
    return [job("web", count=len(nodes)), *(task(f"web/{n}", node_id=where) for n, where in enumerate(nodes))]


# --- the table ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", list(Noun))
def test_no_key_means_two_things_and_each_action_is_one_thing(noun):
    keys = [action.key for action in ACTIONS[noun]]
    assert len(set(keys)) == len(keys)
    for action in ACTIONS[noun]:
        assert sum(each is not None for each in (action.opens, action.calls, action.takes)) == 1
        assert action.does
        assert action.word


def test_read_only_leaves_what_changes_nothing():
    for noun in Noun:
        left = actions_of(noun, read_only=True)
        assert left
        assert all(action.opens is not None for action in left)


def test_what_ends_tasks_or_loses_data_asks():
    asks = {action.word for actions in ACTIONS.values() for action in actions if action.destroys or action.takes}
    assert asks >= {
        "delete",
        "stop",
        "restart",
        "scale",
        "rollback",
        "drain",
        "drain and stop",
        "forget",
        "rebalance",
    }


# --- questions ----------------------------------------------------------------------------------------------


def test_a_question_says_how_many_tasks_end_and_where():
    store = Scripted(web("node1", "node1", "node2")).store
    assert "3 tasks of web end: 2 on node1, 1 on node2." in words(questions.delete_job(store, "web", ""))
    assert "1 task of web ends: 1 on node2." in words(questions.scale_job(store, "web", "2"))
    assert questions.scale_job(store, "web", "4") is None
    assert "1 task of web ends: 1 on node1." in words(questions.stop_task(store, "web/1", ""))


def test_who_deletes_the_only_task_of_a_job_is_told_that_the_job_goes_and_what_replaces_the_task():
    store = Scripted(web("node2")).store
    asked = words(questions.delete_task(store, "web/0", ""))
    assert asked.startswith("Delete web/0 and its job web?")
    assert "A new task in its place: r." in asked
    of_job = questions.delete_job(store, "web", "").lines
    assert questions.delete_task(store, "web/0", "").lines[-len(of_job) :] == of_job
    replaces = next(action for action in ACTIONS[Noun.TASKS] if action.key == "r")
    assert replaces.word == "restart job"


def test_a_cron_job_that_is_deleted_takes_its_runs_with_it_and_one_that_is_stopped_leaves_them():
    run = job("nightly-1", kind="batch", run_of="nightly")
    store = Scripted([job("nightly", kind="cron"), run, task("nightly-1/0", node_id="node2")]).store
    assert "1 task of nightly-1 ends: 1 on node2." in words(questions.delete_job(store, "nightly", ""))
    stopped = words(questions.stop_job(store, "nightly", ""))
    assert "No run begins any more. One that is under way goes on." in stopped
    assert "ends" not in stopped


def test_a_drain_says_what_goes_and_what_stays():
    rows = [*web("node1", "node2"), node("node1"), task("db/0"), volume("data", used_by=["db"])]
    store = Scripted(rows).store
    asked = words(questions.drain(store, "node1", ""))
    assert "1 task goes to other nodes, if they fit: 1 of web." in asked
    assert "Tasks with volumes here end, and wait for the node: db." in asked
    assert "2 tasks go to other nodes, if they fit: 1 of db, 1 of web." in words(
        questions.drain_volumes(store, "node1", "")
    )
    assert "1 volume on it is copied to other nodes: data." in words(questions.drain_volumes(store, "node1", ""))


def test_many_rows_are_asked_for_at_once():
    store = Scripted([*web("node1"), job("db"), task("db/0", node_id="node2")]).store
    asked = questions.together([questions.stop_job(store, name, "") for name in ("web", "db")])
    assert asked.title == "Stop 2 at once?"
    assert "1 task of db ends: 1 on node2." in words(asked)


def test_what_is_wished_is_checked():
    assert wishes.VERSION.check("") is None
    assert wishes.labels("disk=ssd zone-") == {"disk": "ssd", "zone": None}
    store = Scripted([task("web/0", ports={"53/udp": "a:1", "80/tcp": "a:2"})]).store
    assert wishes.PORTS.first(store, "web/0") == "0:80"
    for check, wrong in ((wishes.COUNT.check, "-1"), (wishes.VERSION.check, "x"), (wishes.labels, "")):
        with pytest.raises(Refused):
            check(wrong)


# --- done ---------------------------------------------------------------------------------------------------


class Doing:
    """A bare app in which actions are performed."""

    def __init__(self, cluster):
        self.app = Bare(Confirm("below", (), "yes"))
        self.said = []
        self.begun = []
        told = lambda text, error: self.said.append((text, error))  # noqa: E731
        self.stage = Stage(self.app, cluster, told, self.begun.append)

    def do(self, noun, word, *keys):
        action = next(action for action in ACTIONS[noun] if action.word == word)
        return self.app.run_worker(perform(self.stage, action, noun, keys))


def names(cluster):
    return [name for name, _, _ in cluster.asked]


@piloted
async def test_a_job_is_deleted_once_it_is_agreed_to_and_enter_alone_does_nothing():
    cluster = Scripted(web("node1"), delete_job=job_view)
    doing = Doing(cluster)
    async with doing.app.run_test(size=(80, 24)) as pilot:
        for key in ("enter", "escape", "n"):
            doing.do(Noun.JOBS, "delete", "web")
            await until(pilot, lambda: "Delete web?" in text_on(doing.app))
            assert "1 task of web ends: 1 on node1." in text_on(doing.app)
            await pilot.press(key)
            await until(pilot, lambda: "Delete web?" not in text_on(doing.app))
        assert cluster.asked == []
        doing.do(Noun.JOBS, "delete", "web")
        await until(pilot, lambda: "Delete web?" in text_on(doing.app))
        await pilot.press("right", "enter")
        await until(pilot, lambda: doing.said)
    assert names(cluster) == ["delete_job"]
    assert doing.said == [("web is gone once its last task has ended", False)]


@piloted
async def test_what_fails_is_told_and_the_others_are_done():
    def stop(name):
        if name == "web":
            raise Conflict("web is being removed")
        return job_view(name)

    doing = Doing(Scripted([*web("node1"), job("db")], stop_job=stop))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.JOBS, "stop", "web", "db")
        await until(pilot, lambda: "Stop 2 at once?" in text_on(doing.app))
        await pilot.press("y")
        await until(pilot, lambda: "Stop: 1 done, 1 not" in text_on(doing.app))
        assert "web is being removed" in text_on(doing.app)
        assert "db is stopped; its tasks end" in text_on(doing.app)
        await pilot.press("escape")
        await until(pilot, lambda: "1 done" not in text_on(doing.app))


@piloted
async def test_what_is_refused_of_one_task_of_several_is_not_offered():
    rows = [
        *web("node1", "node2"),
        job("db", active=1),
        task("db/0"),
        job("old", stopped=True),
        task("old/0", state="stopped"),
    ]
    doing = Doing(cluster := Scripted(rows, start_task=None))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        cluster.tell(task("web/1", state="stopped"))
        for word in ("stop", "start", "delete"):
            doing.do(Noun.TASKS, word, "web/1")
            await until(pilot, lambda: doing.said)
            said, failed = doing.said.pop()
            assert failed
            assert "web/1 is one of 2 tasks of web" in said
            assert "Shift-J goes to web" in said
        doing.do(Noun.TASKS, "start", "db/0")
        await until(pilot, lambda: doing.said == [("db/0 runs already", True)])
        doing.do(Noun.JOBS, "start", "db")
        await until(pilot, lambda: doing.said[1:] == [("db is not stopped: it runs already", True)])
        assert cluster.asked == []
        doing.do(Noun.TASKS, "start", "db/0", "old/0")
        await until(pilot, lambda: "Start: 1 done, 1 not" in text_on(doing.app))
    assert names(cluster) == ["start_task"]


@piloted
async def test_a_node_in_service_is_not_made_ready_again():
    doing = Doing(cluster := Scripted([node("node1")]))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.NODES, "ready", "node1")
        await until(pilot, lambda: doing.said == [("node1 takes work already", True)])
    assert cluster.asked == []


@piloted
async def test_a_deployment_is_rolled_back_by_the_name_of_its_job():
    view = deployment(7, "web", from_version=0, to_version=1)
    kept = [version_view(1, current=True), version_view(0, healthy=True)]
    answers = {"job": job_view("web"), "plan_job": PLAN, "history": []}
    doing = Doing(Scripted([view], deployment=view, job_versions=kept, **answers))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.DEPLOYMENTS, "rollback", "7")
        await until(pilot, lambda: "Rollback web: to which version?" in text_on(doing.app))
        assert "healthy" in text_on(doing.app)
        assert "nginx:0" in text_on(doing.app)
        await pilot.press("enter")
        await until(pilot, lambda: "Rollback web?" in text_on(doing.app))
        assert "Back to version 0: nginx:0" in text_on(doing.app)


@piloted
async def test_scale_asks_how_many_and_whether_where_tasks_end():
    doing = Doing(cluster := Scripted(web("node1", "node2"), set_count=lambda name, count: job_view(name)))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.JOBS, "scale", "web")
        await until(pilot, lambda: isinstance(doing.app.screen, Ask))
        await pilot.press("end", "backspace", "x", "enter")
        await until(pilot, lambda: "'x' is no number of tasks" in text_on(doing.app))
        await pilot.press("backspace", "1", "enter")
        await until(pilot, lambda: "Scale web from 2 to 1?" in text_on(doing.app))
        await pilot.press("y")
        await until(pilot, lambda: doing.said)
    assert cluster.asked == [("set_count", ("web", 1), {})]


@piloted
async def test_a_rebalance_shows_the_moves_first():
    moves = [MoveView("web/0", "node1", "node2")]
    cluster = Scripted([node("node1")], rebalance=lambda **_: RebalanceView(moves))
    doing = Doing(cluster)
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.NODES, "rebalance", "node1")
        await until(pilot, lambda: "web/0  node1 → node2" in text_on(doing.app))
        assert cluster.asked == [("rebalance", (), {"dry_run": True})]
        await pilot.press("y")
        await until(pilot, lambda: doing.said == [("1 task on the way", False)])


@piloted
async def test_a_long_question_is_scrolled_while_the_cursor_stays_on_no():
    moves = [MoveView(f"web/{n}", "node1", "node2") for n in range(40)]
    doing = Doing(cluster := Scripted([node("node1")], rebalance=lambda **_: RebalanceView(moves)))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.NODES, "rebalance", "node1")
        await until(pilot, lambda: "web/0 " in text_on(doing.app))
        assert "web/39" not in text_on(doing.app)
        await pilot.press(*["pagedown"] * 4)
        await until(pilot, lambda: "web/39" in text_on(doing.app))
        await pilot.press("enter")
        await until(pilot, lambda: "web/39" not in text_on(doing.app))
    assert names(cluster) == ["rebalance"]


@piloted
async def test_a_cron_job_is_run_now_and_a_service_is_not():
    doing = Doing(Scripted([job("nightly", kind="cron"), job("web")], run_job=lambda name: job_view(f"{name}-1")))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.JOBS, "run now", "nightly")
        await until(pilot, lambda: len(doing.said) == 1)
        doing.do(Noun.JOBS, "run now", "web")
        await until(pilot, lambda: len(doing.said) == 2)
    assert doing.said[0] == ("nightly-1 runs", False)
    assert doing.said[1] == ("web is neither a cron job nor a batch job: it runs already", True)


@piloted
async def test_what_is_begun_from_here_is_followed_to_its_end_and_what_ends_at_once_is_not():
    of = {"web": deployment(7, "web"), "db": deployment(8, "db", state="done")}
    rows = [*web("node1"), job("db"), task("db/0")]
    doing = Doing(Scripted(rows, restart_job=lambda name: job_view(name, deployment=of[name])))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.JOBS, "restart", "web", "db")
        await until(pilot, lambda: "Restart 2 at once?" in text_on(doing.app))
        await pilot.press("y")
        await until(pilot, lambda: doing.said == [("web is restarted (deployment 7); db is restarted", False)])
    assert doing.begun == [7]


@piloted
async def test_a_cron_job_that_is_stopped_is_not_said_to_end_tasks():
    doing = Doing(Scripted([job("nightly", kind="cron")], stop_job=lambda name: job_view(name, kind="cron")))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.JOBS, "stop", "nightly")
        await until(pilot, lambda: "Stop nightly?" in text_on(doing.app))
        await pilot.press("y")
        await until(pilot, lambda: doing.said == [("nightly is stopped; no run of it begins any more", False)])


@piloted
async def test_a_node_is_stopped_once_it_is_empty():
    cluster = Scripted([node("node1"), *web("node1")], drain=node_view, stop_node=node_view)
    doing = Doing(cluster)
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.NODES, "drain and stop", "node1")
        await until(pilot, lambda: "Drain node1 and stop it?" in text_on(doing.app))
        await pilot.press("y")
        await until(pilot, lambda: names(cluster) == ["drain"])
        cluster.tell(node("node1", status="draining", tasks=1))
        cluster.tell(node("node1", status="drained"))
        await until(pilot, lambda: names(cluster) == ["drain", "stop_node"])


@piloted
async def test_a_node_that_is_made_ready_meanwhile_is_not_stopped(monkeypatch):
    monkeypatch.setattr("orion.tui.actions.takes.LOOK_S", 0.01)
    cluster = Scripted([node("node1", status="draining", tasks=1)], drain=node_view)
    doing = Doing(cluster)
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.NODES, "drain and stop", "node1")
        await until(pilot, lambda: "Drain node1 and stop it?" in text_on(doing.app))
        await pilot.press("y")
        await until(pilot, lambda: doing.said)
        cluster.tell(node("node1"))
        await until(pilot, lambda: len(doing.said) == 2)
    assert doing.said[1] == ("node1 was made ready meanwhile, and is not stopped", True)
    assert names(cluster) == ["drain"]


@piloted
async def test_a_shell_takes_the_terminal_and_its_trouble_is_told(monkeypatch):
    given = []

    def give(app, command, *, errors=False):
        given.append(command)
        return 1, "orion: web/0 does not run now"

    monkeypatch.setattr("orion.tui.actions.takes.give_terminal", give)
    doing = Doing(Scripted([task("web/0"), allocation("r1", "web/0")]))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.ALLOCATIONS, "shell", "r1")
        await until(pilot, lambda: doing.said)
    assert given[0][1:8] == ["-m", "orion", "exec", "-it", "--addr", "192.0.2.1:8000", "web/0"]
    assert doing.said == [("orion: web/0 does not run now", True)]


@piloted
async def test_a_port_is_forwarded_until_the_app_ends():
    cluster = Scripted([task("web/0", ports={"80/tcp": "a:1"})], again=lambda: None)
    doing = Doing(cluster)
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.TASKS, "forward", "web/0")
        await until(pilot, lambda: isinstance(doing.app.screen, Ask))
        await pilot.press("enter")
        await until(pilot, lambda: doing.said)
    (forwarding,) = doing.stage.forwards
    ((here, port),) = forwarding.ports
    assert port == 80
    assert doing.said[0][0].startswith(f"127.0.0.1:{here} is port 80 of web/0")
    app = Bare(Forwards(cluster, doing.stage.forwards))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: f"127.0.0.1:{here} → web/0:80" in text_on(app))
        await pilot.press("ctrl+d")
        await until(pilot, lambda: "no port is forwarded" in text_on(app))
    assert list(doing.stage.forwards) == []


@piloted
async def test_a_screen_of_the_row_is_opened():
    doing = Doing(Scripted(web("node1"), logs=lambda *_, **__: ()))
    async with doing.app.run_test(size=(80, 24)) as pilot:
        doing.do(Noun.JOBS, "logs", "web")
        await until(pilot, lambda: isinstance(doing.app.screen, Logs))
