"""What actions call, over the real client and a server that answers from memory."""

import pytest
from msgspec.structs import replace

from orion.client import Client, JobRequest, NotFound
from orion.model.api.history import ChangeView
from orion.model.api.jobs import VersionView
from orion.model.api.plans import FieldChange, PlanView
from orion.model.api.tasks import ShownFields
from orion.model.api.watch import Noun
from orion.model.errors import Conflict, OrionError, Refused, Unavailable
from orion.tui.actions import calls
from orion.tui.actions.action import Begun
from orion.tui.actions.table import ACTIONS
from orion.tui.lines import text_of
from orion.tui.texts.asking import describe, why, yaml_of
from orion.tui.texts.versions import version_lines
from unit.api.fake_service import running, task_view
from unit.tui.scripted import Client as Asked
from unit.tui.scripted import Scripted, deployment, job, job_view, node, task, volume

PLAN = PlanView(
    job="web",
    kind="update",
    version=2,
    changes=[],
    order="",
    order_reason="",
    starts=3,
    start_nodes={"node1": 3},
    stops=3,
    waits=0,
    ends="done",
    reason="",
    warnings=[],
    token="t",
)


@pytest.fixture(scope="module")
def _server():
    with running() as server:
        yield server


@pytest.fixture
def service(_server):
    """As new, with a job of two versions, a task, a config, a network and a volume."""
    _server.service.__init__()
    return _server.service


@pytest.fixture
def client(_server, service):
    with Client(f"127.0.0.1:{_server.port}") as client:
        client.put_job("web", JobRequest(image="nginx:1", count=2))
        client.put_job("web", JobRequest(image="nginx:2", count=2))
        client.put_config("app/url", b"http://db\n")
        client.create_network("backend")
        client.create_volume("data")
        service.tasks_by_id["web/0"] = task_view("web")
        yield client


def words(lines):
    return "\n".join(map(text_of, lines))


@pytest.mark.parametrize(
    ("call", "key", "wished", "said"),
    [
        (calls.scale_job, "web", "5", "web goes to 5 tasks (deployment"),
        (calls.scale_job, "web", "1", "web goes to 1 task (deployment"),
        (calls.restart_job, "web", "", "web is restarted (deployment"),
        (calls.restart_job_of, "web/1", "", "web is restarted (deployment"),
        (calls.roll_back, "web", "0", "web goes back to what was version 0 (deployment"),
        (calls.stop_job, "web", "", "web is stopped; its tasks end"),
        (calls.delete_job, "web", "", "web is gone once its last task has ended"),
        (calls.stop_task, "web/0", "", "web/0 is stopped"),
        (calls.start_task, "web/0", "", "web/0 is started"),
        (calls.delete_task, "web/0", "", "web is gone once web/0 has ended"),
        (calls.drain, "node1", "", "node1 gets no more work"),
        (calls.ready, "node1", "", "node1 takes work again"),
        (calls.forget_node, "node2", "", "node2 is forgotten"),
        (calls.lead, "node2", "", "leads in term"),
        (calls.label_node, "node1", "disk=ssd id-", "node1 has disk=ssd"),
        (calls.rebalance, "node1", "", "on the way"),
        (calls.delete_network, "backend", "", "backend is gone"),
        (calls.delete_config, "app/url", "", "app/url is gone"),
        (calls.delete_volume, "data", "", "data is gone"),
    ],
)
def test_a_call_does_it_and_says_so(client, call, key, wished, said):
    told = call(client, key, wished)
    assert said in (told.words if isinstance(told, Begun) else told)


def test_a_job_that_was_stopped_is_started(client):
    client.stop_job("web")
    assert calls.start_job(client, "web", "") == "web is started"


def test_a_deployment_s_call_is_one_of_its_job(client):
    number = str(client.deployments()[0].id)
    assert "web goes back" in calls.of_job(calls.roll_back)(client, number, "0").words
    with pytest.raises(OrionError):
        calls.of_job(calls.promote)(client, "999", "")


def test_what_would_follow_is_shown_first(client):
    assert "Back to version 0: nginx:1" in words(calls.would_roll_back(client, "web", "0"))
    assert "→" in words(calls.would_move(client, "node1", ""))


def test_a_rollback_says_to_which_version_it_goes_and_refuses_one_that_is_not_kept():
    kept = [version_view(2, current=True), version_view(1), version_view(0, healthy=True)]
    answers = {"job": job_view("web"), "plan_job": Unavailable("nobody leads")}
    client = Asked(Scripted(job_versions=kept, **answers))
    assert "Back to version 0, the last healthy one: nginx:0" in words(calls.would_roll_back(client, "web", ""))
    client = Asked(Scripted(job_versions=kept[:2], **answers))
    assert "Back to version 1, the one before" in words(calls.would_roll_back(client, "web", ""))
    for wished, refusal in (
        ("2", "web is at version 2 already"),
        ("7", "version 7 of web is not kept; kept are 1, 2"),
    ):
        with pytest.raises(Refused, match=refusal):
            calls.would_roll_back(client, "web", wished)
    with pytest.raises(Refused, match="has none to go back to"):
        calls.would_roll_back(Asked(Scripted(job_versions=kept[:1])), "web", "")


def version_view(number, *, env=None, **more):
    fields = {"current": False, "healthy": False, "running": 0, "failed": False}
    shown = ShownFields(image=f"nginx:{number}", env=env or {})
    return VersionView(version=number, task=shown, **{**fields, **more})


def test_a_rollback_says_what_it_changes_as_a_plan():
    asked = []

    def plan_job(name, request):
        asked.append(request)
        changes = [FieldChange("env.DEBUG", '"1"', "")]
        return replace(PLAN, changes=changes)

    kept = [version_view(2, env={"DEBUG": "1"}, current=True), version_view(1, healthy=True)]
    answers = {"job": job_view("web", env={"DEBUG": "1"}, memory=64), "plan_job": plan_job, "job_versions": kept}
    told = words(calls.would_roll_back(Asked(Scripted(**answers)), "web", ""))
    assert 'env.DEBUG: "1" -> (none)' in told
    assert "stops 3" in told
    assert (asked[0].image, asked[0].env) == ("nginx:1", {})


def test_a_rollback_is_shown_also_where_there_is_no_plan():
    kept = [version_view(2, env={"A": "1"}, current=True, running=1), version_view(1, healthy=True)]
    answers = {"job": job_view("web"), "plan_job": Unavailable("nobody leads"), "job_versions": kept}
    told = words(calls.would_roll_back(Asked(Scripted(**answers)), "web", ""))
    assert "changes: image, env" in told
    assert "1 task of other versions ends" in told
    assert "nobody leads" in told


def test_versions_are_shown_with_what_each_has_changed():
    kept = [version_view(1), version_view(3, env={"A": "1"}, current=True), version_view(2, failed=True)]
    history = [
        ChangeView(7, "2020-01-01T00:00:00Z", "updated", 5, 3, 1, "x"),
        ChangeView(1, None, "created", 2, 3, 1, "x"),
    ]
    told = [line.split() for line in words(version_lines(kept, history)).splitlines()]
    assert [line[0] for line in told] == ["version", "3", "2", "1"]
    assert told[1][2:] == ["ago", "0", "current", "image,", "env", "nginx:3"]
    assert told[2][1:] == ["0", "failed", "image", "nginx:2"]


def test_a_volume_is_moved(client):
    assert calls.move_volume(client, "data", "node2") == "data goes to node2"


def test_a_refusal_is_the_clusters(client):
    for call in (calls.stop_job, calls.restart_job, calls.promote):
        with pytest.raises((NotFound, Conflict)):
            call(client, "nothing", "")


ROWS = {
    Noun.NODES: ("node1", node("node1")),
    Noun.JOBS: ("web", job("web")),
    Noun.TASKS: ("web/0", task("web/0", state="pending", reason="no room")),
    Noun.VOLUMES: ("data", volume("data")),
}


@pytest.mark.parametrize("noun", ROWS)
def test_rows_are_described_and_shown_as_yaml(client, noun):
    key = ROWS[noun][0]
    store = Scripted([row for _, row in ROWS.values()]).store
    assert words(describe(store, noun, key)(client))
    assert yaml_of(store, noun, key)(client)
    assert words(why(store, noun, key)(client))


@pytest.mark.parametrize(
    ("row", "noun", "key"),
    [
        (job("web", reason="update to version 3 was rolled back"), Noun.JOBS, "web"),
        (deployment(7, "web", reason="update to version 3 was rolled back"), Noun.DEPLOYMENTS, "7"),
        (node("node1", reason="update to version 3 was rolled back"), Noun.NODES, "node1"),
    ],
)
def test_why_says_what_the_row_itself_says(client, row, noun, key):
    store = Scripted([row, task("web/0")]).store
    assert words(why(store, noun, key)(client)).strip() == "update to version 3 was rolled back"


def test_things_without_tasks_are_described(client):
    store = Scripted([deployment(1, "web")]).store
    assert "http://db" in words(describe(store, Noun.CONFIGS, "app/url")(client))
    assert "internal" in words(describe(store, Noun.NETWORKS, "backend")(client))
    number = str(client.deployments()[0].id)
    assert "to version" in words(describe(store, Noun.DEPLOYMENTS, number)(client))
    assert "backend" in yaml_of(store, Noun.NETWORKS, "backend")(client)
    with pytest.raises(NotFound):
        describe(store, Noun.ALLOCATIONS, "gone")(client)
    with pytest.raises(NotFound):
        yaml_of(store, Noun.CONFIGS, "gone")(client)


def test_every_call_is_of_the_table():
    used = {action.calls for actions in ACTIONS.values() for action in actions}
    assert {calls.scale_job, calls.move_volume, calls.forget_node} <= used
