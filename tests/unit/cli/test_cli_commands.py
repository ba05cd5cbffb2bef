"""Each command against a real API on a service that answers from memory."""

import io
import json
import re
from datetime import UTC, datetime, timedelta

import click
import pytest
from msgspec.structs import replace

from orion import __version__
from orion.model.api.after_fields import AfterRequest
from orion.model.api.checks import CheckView, RunChecksView
from orion.model.api.health_fields import (
    DockerCheckRequest,
    ExecCheckRequest,
    HealthCheckRequest,
    HttpCheckRequest,
    TcpCheckRequest,
)
from orion.model.api.ingress_fields import IngressRequest
from orion.model.api.network_fields import NetworkAliasRequest as Alias
from orion.model.api.nodes import Amounts
from orion.model.api.placement_fields import AffinityRequest, AlongsideRequest, PlacementRequest
from orion.model.api.reasons import JobWaitView, PlacementFailureView
from orion.model.api.tasks import AllocationView, ProgressView, TaskRequest
from orion.model.api.volume_fields import VolumeRequest
from orion.model.errors import NoMajority, NotFound, Unavailable
from orion.model.events import Event, EventChoice
from orion.model.logs import LogEnd
from orion.process.running import RunningNode
from unit.api.fake_service import node_view, task_view


@pytest.fixture
def tasks(api):
    long = "needs 100 GB of memory; the largest node has 15.2 GB free; " * 5
    api.service.tasks_by_id = {
        "big/0": task_view("big", reason=long.strip()),
        "web/0": task_view("web", state="running", node_id="node1", ports={"80/tcp": "127.0.0.1:8080"}),
    }
    return api.service.tasks_by_id


def lines(out):
    return [line.split() for line in out.splitlines()]


def test_ps(orion, tasks):
    code, out, err = orion("ps")
    assert (code, err) == (0, "")
    head, big, web = lines(out)
    assert head == ["ID", "IMAGE", "STATE", "NODE", "PORTS", "RESTARTS", "AGE", "REASON"]
    assert big[:5] == ["big/0", "nginx", "pending", "-", "-"]
    assert web[:5] == ["web/0", "nginx", "running", "node1", "0.0.0.0:8080->80/tcp"]
    assert len(web) == 7
    assert out.splitlines()[1].endswith(tasks["big/0"].reason)  # not cut where no terminal is
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("binding", "answers", "shown"),
    [
        ("8080", "127.0.0.1:8080", "0.0.0.0:8080->80/tcp"),
        ("", "127.0.0.1:20001", "0.0.0.0:20001->80/tcp"),
        ("0.0.0.0:8080", "[::1]:8080", "0.0.0.0:8080->80/tcp"),
        ("127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080->80/tcp"),
        ("[::1]:", "[::1]:20001", "[::1]:20001->80/tcp"),
        ("8080", "10.0.0.1:8080", "10.0.0.1:8080->80/tcp"),
        ("8080", "[fd00::1]:8080", "[fd00::1]:8080->80/tcp"),
    ],
)
def test_a_port_is_shown_where_it_can_be_reached(orion, api, binding, answers, shown):
    view = task_view("web", ports={"80/tcp": answers}, port_bindings={"80/tcp": binding})
    api.service.tasks_by_id = {view.id: view}
    assert shown in orion("ps")[1].split()


@pytest.mark.parametrize(
    ("text", "port", "binding"),
    [
        ("127.0.0.1:8085:80", "80/tcp", "127.0.0.1:8085"),
        ("127.0.0.1::80", "80/tcp", "127.0.0.1:"),
        ("[::1]:53:53/udp", "53/udp", "[::1]:53"),
        (":80", "80/tcp", ""),
    ],
)
def test_a_port_may_be_published_on_one_address(orion, api, text, port, binding):
    assert orion("run", "-p", text, "nginx")[0] == 0
    assert api.service.creates[-1]["request"].port_bindings == {port: binding}


def test_ps_is_cut_and_coloured_on_a_terminal(orion, tasks, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    _, out, _ = orion("ps")
    assert "…" in out
    assert "\x1b[33mpending" in out
    assert tasks["big/0"].reason in orion("ps", "--no-trunc")[1]


def test_ps_wide(orion, api):
    ran = AllocationView("a", "node1", "running", "", 3, None, None, None, None)
    task = task_view("web", state="running", node_id="node1", allocations=[ran], memory=512_000_000, cpu=0.5)
    api.service.tasks_by_id = {"web/0": task}
    assert lines(orion("ps")[1])[1][5] == "3"
    head, row = orion("ps", "-o", "wide")[1].splitlines()
    assert "NODE ADDRESS" in head
    assert row.split() == [
        *("web/0", "nginx", "running", "node1", "127.0.0.1", "-", "3"),
        *(row.split()[7], "2025-01-01T00:00:00Z", "on-failure", "512", "MB", "0.5"),
    ]


def test_what_is_printed_for_programs(orion, api, tasks):
    assert json.loads(orion("inspect", "web", "-o", "json")[1])["id"] == "web/0"
    assert json.loads(orion("version", "-o", "json")[1]) == {"version": __version__}
    assert json.loads(orion("run", "--name", "new", "-o", "json", "nginx")[1])["id"] == "new/0"
    waited = ("--name", "w", "--wait", "--wait-timeout", "0.1", "-o", "json")
    assert json.loads(orion("run", *waited, "nginx")[1])["id"]


def test_help(orion):
    assert orion("help") == orion("--help")
    assert orion("help", "run") == orion("run", "--help")
    assert orion("help", "nodes", "rm") == orion("nodes", "rm", "--help")
    assert orion("help", "nope")[0] == 2
    assert "did you mean help?" in orion("hlep")[2]


def test_ps_says_how_long_a_task_has_waited_for_other_jobs(orion, api):
    since = (datetime.now(UTC) - timedelta(minutes=3, seconds=5)).isoformat()
    later = datetime.now(UTC).isoformat()
    waits = [JobWaitView("db", "healthy", "not yet", later), JobWaitView("app", "started", "absent", since)]
    failure = PlacementFailureView(nodes=0, nodes_filtered={}, resources_short={}, ports_taken=[], waits_for=waits)
    task = task_view("web", state="waiting", reason="waits for db", placement_failure=failure)
    api.service.tasks_by_id["web/0"] = task
    assert orion("ps")[1].splitlines()[1].endswith("waits for db (3m)")


def test_ps_when_nothing_runs(orion):
    assert lines(orion("ps")[1]) == [["ID", "IMAGE", "STATE", "NODE", "PORTS", "RESTARTS", "AGE", "REASON"]]


def test_ps_for_programs(orion, tasks):
    found = json.loads(orion("ps", "-o", "json")[1])
    assert [(task["id"], task["nodeId"]) for task in found] == [("big/0", None), ("web/0", "node1")]
    assert orion("ps", "-q")[1] == "big/0\nweb/0\n"


def test_ps_of_some(orion, api):
    views = [
        task_view("web", id="web/0", node_id="node1"),
        task_view("web", id="web/1", node_id="node2"),
        task_view("db", id="db/0", node_id="node1"),
    ]
    api.service.tasks_by_id = {view.id: view for view in views}
    assert orion("ps", "-q", "web") == (0, "web/0\nweb/1\n", "")
    assert orion("ps", "-q", "web/1", "db")[1] == "db/0\nweb/1\n"
    assert orion("ps", "-q", "--node", "node1")[1] == "db/0\nweb/0\n"
    assert orion("ps", "-q", "web", "--node", "node1")[1] == "web/0\n"


def test_ps_of_what_does_not_exist_says_so(orion, tasks):
    code, out, err = orion("ps", "-q", "nope", "web")
    assert (code, out, err) == (1, "web/0\n", "orion: there is no job nope; 'orion ps' lists all tasks\n")
    assert orion("ps", "-q", "--node", "node2") == (0, "", "")
    assert orion("ps", "--node", "node9")[0] == 1


def test_how_fresh(orion, api):
    orion("ps", "--stale")
    orion("nodes", "--stale")
    orion("members")
    orion("ps")
    assert [read.stale for read in api.service.reads] == [True, True, True, False]


def test_inspect(orion, tasks):
    assert json.loads(orion("inspect", "web")[1])["ports"] == {"80/tcp": "127.0.0.1:8080"}
    code, out, err = orion("inspect", "nope")
    assert (code, out, err) == (1, "", "orion: there is no task nope; 'orion ps' lists them\n")


def test_inspect_shows_the_results_of_health_checks_beside_each_run(orion, api):
    runs = [AllocationView(name, "node1", "running", "", 0, None, None, None, None) for name in ("a1", "a2", "a3")]
    check = HealthCheckRequest(tcp=TcpCheckRequest(80))
    api.service.tasks_by_id = {
        "web/0": task_view("web", allocations=runs, health_check=check),
        "bare/0": task_view("bare", allocations=runs),
        "was/0": task_view("was", allocations=[replace(runs[0], health="healthy")]),
    }
    results = [CheckView("2025-01-01T00:00:05.000Z", False, 0.25, "503")]
    gone = RunChecksView("a2", "node2", None, [], "node2 is dead")
    api.service.checks_of = {
        "web/0": [gone, RunChecksView("a3", "node1", "2025-01-01T00:00:00.000Z", results)],
        "bare/0": Unavailable("not to be asked"),
        "was/0": Unavailable("too busy"),
    }
    code, out, _ = orion("inspect", "web")
    one, two, three = json.loads(out)["allocations"]
    assert code == 0
    assert "checks" not in one
    assert (two["checks"], two["checksReason"]) == ([], "node2 is dead")
    shown = {"at": "2025-01-01T00:00:05.000Z", "ok": False, "seconds": 0.25, "output": "503"}
    assert (three["checks"], three["checksReason"]) == ([shown], "")
    for task, *rest, said in (
        ("bare", ""),
        ("web", "--stale", ""),
        ("was", "orion: the results of health checks are not shown: too busy\n"),
    ):
        code, out, err = orion("inspect", task, *rest)
        assert (code, err) == (0, said)
        assert all("checks" not in run for run in json.loads(out)["allocations"])


def test_stop(orion, tasks):
    code, out, err = orion("stop", "web", "nope", "big/0")
    assert (code, out) == (1, "web/0\nbig/0\n")
    assert "nope" in err
    assert [task.stopped for task in tasks.values()] == [True, True]
    assert orion("start", "big") == (0, "big/0\n", "")
    assert [task.stopped for task in tasks.values()] == [False, True]


def test_rm(orion, tasks):
    code, out, err = orion("rm", "web", "nope", "big/0")
    assert (code, out) == (1, "web/0\nbig/0\n")
    assert "nope" in err
    assert not tasks


STOPPING = {"state": "running", "reason": "stopping", "stopped": True}


def test_stop_and_wait(orion, api, monkeypatch):
    tell(api, monkeypatch, [STOPPING, STOPPING, STOPPING | {"state": "stopped", "reason": ""}])
    assert orion("stop", "--wait", "web-00001") == (0, "web-00001/0\n", "")


def test_stop_and_wait_for_too_long(orion, api, monkeypatch):
    tell(api, monkeypatch, [STOPPING])
    assert orion("stop", "--wait", "--wait-timeout", "0.2", "web-00001") == (
        4,
        "",
        "orion: web-00001/0 is still running after 0.2 s: stopping; it goes on ending, see 'orion ps'\n",
    )


def test_stop_and_wait_for_what_somebody_starts_again(orion, api, monkeypatch):
    tell(api, monkeypatch, [STOPPING, STOPPING, {"state": "running"}])
    assert orion("stop", "--wait", "web-00001") == (1, "", "orion: web-00001/0 was started again\n")


def test_rm_waits_for_the_one_that_it_was_told_of(orion, api, monkeypatch):
    tell(api, monkeypatch, [{"created_index": 5}, {"created_index": 5}, {"created_index": 5}, {"created_index": 9}])
    assert orion("rm", "web-00001") == (0, "web-00001/0\n", "")


def test_waiting_goes_on_where_a_node_does_not_answer_for_a_moment(orion, api, monkeypatch):
    tell(api, monkeypatch, [STOPPING, STOPPING, STOPPING | {"state": "stopped"}])
    service, answers = api.service, iter([Unavailable("no leader")] * 2)
    task = type(service).task

    async def now_and_then(self, name, read):
        if (failure := next(answers, None)) is not None:
            raise failure
        return await task(self, name, read)

    monkeypatch.setattr(type(service), "task", now_and_then)
    monkeypatch.setattr("orion.cli.shared.waiting.AGAIN_S", 0.0)
    assert orion("stop", "--wait", "web-00001") == (
        0,
        "web-00001/0\n",
        "orion: no leader; trying again\n",
    )


def test_logs(orion, api, tasks):
    assert orion("logs", "web", "-n", "3", "--since", "1735689600", "--stream", "stdout")[0] == 0
    query = api.service.log_queries[0]
    assert (query.follow, query.tail, query.stderr) == (False, 3, False)
    assert orion("logs", "nope")[0] == 1


def test_logs_are_bytes(orion, api, tasks):
    import subprocess
    import sys

    api.service.log_items = [b"\xff\x00 as it was\n"]
    command = [sys.executable, "-m", "orion", "logs", "web", "--port", str(api.port)]
    assert subprocess.run(command, capture_output=True, check=True, timeout=180).stdout == b"\xff\x00 as it was\n"


def test_logs_with_their_times(orion, api, tasks):
    assert orion("logs", "web", "-t") == (
        0,
        "2025-01-01T00:00:01.000000000Z one\n2025-01-01T00:00:02.000000000Z two\n",
        "",
    )


def test_logs_as_json_are_an_object_a_line(orion, api, tasks):
    code, out, _ = orion("logs", "web", "-o", "json")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert (first["task"], first["stream"], first["text"]) == ("web", "stdout", "one\n")
    assert second["at"] == "2025-01-01T00:00:02.000000000Z"
    assert first["nodeId"]
    assert first["allocation"]


def test_logs_of_several_tasks_come_in_the_order_of_their_times(orion, api, tasks):
    code, out, err = orion("logs", "web", "big/0", "web", "nope")
    assert code == 1
    assert err.startswith("orion: there is no task nope")
    assert out == "web@node1 | one\nbig/0@node1 | one\nweb@node1   | two\nbig/0@node1 | two\n"


def test_followed_logs_of_several_tasks(orion, api, tasks):
    """Each line is whole, whoever else writes; what happened is told beside the output."""
    api.service.log_items = [b"one\n", LogEnd("it has completed")]
    code, out, err = orion("logs", "-f", "web", "big/0", "nope")
    assert code == 1
    assert sorted(line.replace(" ", "") for line in out.splitlines()) == ["big/0@node1|one", "web@node1|one"]
    assert sorted(err.splitlines())[:2] == ["it has completed", "it has completed"]


def test_a_line_that_has_not_ended_is_ended_for_another_task_s(orion, api, tasks):
    api.service.log_items = [b"half", b" a line"]
    assert (
        orion("logs", "web", "big/0")[1]
        == "web@node1 | half\nbig/0@node1 | half\nweb@node1   |  a line\nbig/0@node1 |  a line"
    )


@pytest.mark.parametrize("since", ["yesterday", "10", "10x", "2025-01-01T00:00:00Z", "2025-01-01", "1h30m"])
def test_since(orion, api, tasks, since):
    code, _, err = orion("logs", "web", "--since", since)
    if since in ("yesterday", "10x"):
        assert (code, "write how long ago" in err) == (2, True)
    else:
        assert code == 0


def test_events(orion, api):
    api.service.event_items = [
        Event(1, 0, 0, "NodeJoined", "node1", "node1 joined"),
        None,
        Event(2, 0, 0, "X", "y", "z"),
    ]
    code, out, err = orion("events")
    assert (code, err) == (0, "orion: some events between are forgotten\n")
    assert [line.split("  ")[1] for line in out.splitlines()] == ["node1 joined", "z"]
    assert json.loads(orion("events", "-o", "json")[1].splitlines()[0])["kind"] == "NodeJoined"
    assert api.service.events_asked[0] == ((0, 0), False)


def test_events_with_their_times(orion, api):
    api.service.event_items = [Event(1, 0, 1_735_689_600_007, "NodeJoined", "node1", "node1 joined")]
    assert orion("events", "-t")[1] == "2025-01-01T00:00:00.007Z node1 joined\n"


def test_chosen_events(orion, api):
    assert orion("events", "web", "node1", "-n", "5", "--since", "1735689600")[0] == 0
    assert api.service.events_chosen == [EventChoice(1_735_689_600_000, 5, ("web", "node1"))]
    assert orion("events", "-f", "--new", "-n", "5")[0] == 2


def test_new_events_are_those_after_the_newest(orion, api, monkeypatch):
    """By its id, which any node can go on from."""
    monkeypatch.setattr("orion.cli.commands.events.time.sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    api.service.event_items = [Event(4, 2, 0, "NodeJoined", "node1", "node1 joined")]
    orion("events", "-f", "--new", "node1")
    assert api.service.events_asked == [((0, 0), False), ((4, 2), True)]
    assert api.service.events_chosen == [EventChoice(tail=1), EventChoice(subjects=("node1",))]


def test_following_events_goes_on_after_a_break(orion, api, monkeypatch):
    class LeftError(Exception):
        pass

    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            raise LeftError

    monkeypatch.setattr("orion.cli.commands.events.time.sleep", pause)
    api.service.event_items = [Event(4, 2, 0, "NodeJoined", "node1", "node1 joined")]
    with pytest.raises(LeftError):
        orion("events", "-f")
    assert api.service.events_asked == [((0, 0), True), ((4, 2), True)]


def test_a_break_is_told_once(orion, monkeypatch, capsys):
    class LeftError(Exception):
        pass

    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            raise LeftError

    monkeypatch.setattr("orion.cli.commands.events.time.sleep", pause)
    with pytest.raises(LeftError):
        orion("events", "-f", "--port", "1")
    assert capsys.readouterr().err.count("trying again") == 1


def test_members(orion, api):
    code, out, _ = orion("members")
    assert code == 0
    assert lines(out) == [
        ["NAME", "ROLE", "STATUS", "ADDRESS", "VERSION"],
        ["node1", "voter", "alive", "127.0.0.1:8000", "0.1.0"],
        ["node2", "voter", "alive", "127.0.0.1:8000", "0.1.0"],
    ]
    assert json.loads(orion("members", "-o", "json")[1])[0] == {
        "name": "node1",
        "role": "voter",
        "status": "alive",
        "apiAddress": "127.0.0.1:8000",
        "version": "0.1.0",
    }


def test_nodes(orion, api):
    amounts = Amounts(16_000_000_000, 1_500_000_000, None)
    api.service.nodes_by_name = {"node1": node_view("node1", memory=amounts, tasks=3, reason="no engine here")}
    _, out, _ = orion("nodes")
    assert "1.4 of 14.9 GiB" in out
    assert "0 of 93.1 GiB" in out
    assert "0.5 of 2" in out
    assert "no engine here" in out
    assert "id=node1" not in out
    assert "id=node1" in orion("nodes", "-o", "wide")[1]
    assert json.loads(orion("nodes", "-o", "json")[1])[0]["tasks"] == 3


def test_nodes_inspect(orion, api):
    assert json.loads(orion("nodes", "inspect", "node1")[1])["apiAddress"] == "127.0.0.1:8000"
    assert orion("nodes", "inspect", "node1", "-o", "json")[0] == 0
    assert orion("nodes", "inspect", "node9")[0] == 1


def test_nodes_label(orion, api):
    api.service.nodes_by_name = {"node1": node_view("node1", labels={"id": "node1", "old": "x"})}
    assert orion("nodes", "label", "node1", "disk=ssd", "old-") == (0, "node1 has id=node1 disk=ssd\n", "")
    assert api.service.nodes_by_name["node1"].label_changes == {"disk": "ssd", "old": None}
    assert orion("nodes", "label", "node9", "a=b")[0] == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["node1"], "missing argument"),
        (["node1", "disk"], "neither name=value, to set a label, nor name-"),
        (["node1", "disk=a b"], "is not a label's value"),
        (["node1", "a=1", "a-"], "given twice"),
    ],
)
def test_what_is_no_change_of_labels(orion, args, words):
    code, _, err = orion("nodes", "label", *args)
    assert code == 2
    assert words in err


def test_nodes_rm(orion, api):
    assert orion("nodes", "rm", "node1", "node2") == (0, "node1\nnode2\n", "")
    assert orion("nodes", "rm", "node1")[0] == 1


def test_the_address_before_a_subcommand_counts(orion, api):
    assert orion("nodes", "--port", "1", "rm", "node1")[0] == 1
    assert orion("nodes", "--addr", "127.0.0.1:1", "rm", "--port", str(api.port), "node1")[0] == 0
    assert orion("raft", "--port", str(api.port), "transfer")[0] == 0


def test_drain_and_ready(orion, api):
    api.service.nodes_by_name["node1"] = node_view("node1", tasks=2)
    assert "2 tasks to move" in orion("drain", "node1")[1]
    assert api.service.nodes_by_name["node1"].status == "draining"
    api.service.nodes_by_name["node2"] = node_view("node2", status="drained")
    assert "drained" in orion("nodes")[1]
    assert orion("drain", "--undo", "node1")[1] == "node1 takes work again\n"
    orion("drain", "node1")
    assert orion("ready", "node1")[1] == "node1 takes work again\n"
    assert api.service.nodes_by_name["node1"].status == "alive"


def test_a_drain_that_leaves_a_task_without_a_place_says_so_and_is_no_success(orion, api):
    ran = AllocationView("a", "node1", "lost", "", 0, None, None, None, None)
    waits = task_view("pin", state="pending", reason="no node has the label id=node1", allocations=[ran])
    api.service.tasks_by_id = {"pin/0": waits}
    api.service.nodes_by_name["node1"] = node_view("node1", tasks=0)
    code, _, err = orion("drain", "--wait", "node1")
    assert (code, err) == (1, "orion: pin/0 runs nowhere now: no node has the label id=node1\n")


def seen_in_turn(api, monkeypatch, *views):
    """A node as it is each time that somebody looks."""
    views, service = list(views), api.service

    async def node(self, name, read):
        service.index += 1
        return views.pop(0), service.index

    async def drain(self, name, *, draining, timeout_s):
        return node_view(name, tasks=2)

    monkeypatch.setattr(type(service), "node", node)
    monkeypatch.setattr(type(service), "drain", drain)


@pytest.mark.parametrize(("option", "left"), [("--wait", ""), ("--stop", "; it is not stopped")])
@pytest.mark.parametrize(
    ("view", "words"),
    [
        (node_view("node1", tasks=1), "somebody has given node1 work again, so its tasks stay"),
        (node_view("node1", tasks=0, status="dead", reason="down since 9:00"), "node1 is dead: down since 9:00"),
        (node_view("node1", tasks=1, status="left", reason="stopped"), "node1 has left: stopped"),
    ],
)
def test_a_drain_that_ends_otherwise_is_told_and_the_node_is_not_stopped(
    orion, api, monkeypatch, view, words, option, left
):
    monkeypatch.setattr(type(api.service), "stop_node", None)
    seen_in_turn(api, monkeypatch, node_view("node1", tasks=2, status="draining"), view)
    code, out, err = orion("drain", option, "node1")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"orion: {words}{left}"


def test_drain_and_wait(orion, api, monkeypatch):
    seen_in_turn(
        api,
        monkeypatch,
        node_view("node1", tasks=2, status="draining"),
        node_view("node1", tasks=2, status="draining", reason="there is no Docker Engine"),
        node_view("node1", tasks=1, status="draining", reason="there is no Docker Engine"),
        node_view("node1", tasks=0, status="drained"),
    )
    assert orion("drain", "--wait", "node1") == (
        0,
        "node1 gets no more work; it has none left\n",
        "2 tasks to move from node1\nnode1: there is no Docker Engine\n1 task to move from node1\n",
    )


@pytest.mark.parametrize(("option", "left"), [("--wait", ""), ("--stop", ", and is not stopped")])
def test_who_stops_waiting_for_a_drain_hears_that_it_goes_on(orion, api, monkeypatch, option, left):
    def hung_up(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("orion.cli.commands.nodes._wait_until_empty", hung_up)
    words = f"goes on without you{left}: 'orion nodes' shows how far it is, 'orion ready node1' ends it"
    assert orion("drain", option, "node1") == (130, "", f"orion: node1 {words}\n")


def test_drain_and_stop(orion, api):
    assert orion("drain", "--stop", "node1")[::2] == (0, "")
    assert api.service.nodes_by_name["node1"].status == "left"
    assert orion("drain", "--stop", "--undo", "node1")[0] == 2


def test_the_node_that_is_asked_stops_itself(orion, api, monkeypatch):
    """It answers no more then, and nobody else was named."""
    fake = type(api.service)
    stop_node = fake.stop_node

    async def stop(self, node, *, timeout_s):
        view = await stop_node(self, node, timeout_s=timeout_s)
        self.failure = Unavailable("this node is stopping: ask another")
        return replace(view, status="drained")

    monkeypatch.setattr(fake, "stop_node", stop)
    code, out, err = orion("drain", "--stop", "node1")
    assert (code, err) == (0, "")
    assert "node1 has stopped" in out


def test_a_node_that_does_not_stop(orion, api, monkeypatch):
    async def stop(self, node, *, timeout_s):
        return self.nodes_by_name[node]

    monkeypatch.setattr(type(api.service), "stop_node", stop)
    monkeypatch.setattr("orion.cli.commands.nodes.STOP_S", 0.1)
    code, _, err = orion("drain", "--stop", "node1")
    assert (code, "has not stopped within 0.1 s" in err) == (1, True)


def test_raft(orion, api):
    code, out, _ = orion("raft")
    assert code == 0
    assert "node1 leads in term 3" in out
    assert "; format level 1\n" in out
    assert lines(out)[-4:-1] == [
        ["node1", "leader", "alive", "-", "7", "0", "replicate"],
        ["node2", "voter", "dead", lines(out)[-3][3], "3", "1,200", "probe"],
        ["node3", "worker", "alive", "-", "-", "-", "-"],
    ]
    assert out.splitlines()[-1] == "node2 dead for 6 s, replaced in 4 s unless it returns"
    assert json.loads(orion("raft", "-o", "json")[1])["term"] == 3
    assert orion("raft", "transfer", "node2")[1] == "node1 leads in term 3\n"
    assert api.service.transfers == ["node2"]


def test_rebalance(orion, api):
    code, out, err = orion("rebalance", "--dry-run", "--max-moves", "5")
    assert (code, lines(out)[1:]) == (0, [["web/0", "node1", "node2"]])
    assert "further tasks want to move" in err
    assert json.loads(orion("rebalance", "-o", "json")[1])["made"] is True
    assert api.service.rebalances == [(True, 5), (False, 64)]
    assert orion("rebalance", "--max-moves", "65")[0] == 2


# --- run ---------------------------------------------------------------------------------------------------


def test_run_asks_for_all_of_it(orion, api, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    code, out, err = orion(
        *("run", "--name", "web", "-p", "8080:80", "-p", "53:53/udp", "-p", "90", "-e", "A=b=c", "-e", "TOKEN"),
        *("-m", "512m", "--cpu", "0.5", "--disk", "1GB", "--constraint", "zone=b", "--restart", "always"),
        *("--stop-grace", "2", "-u", "app:staff", "--hostname", "db.lan", "nginx", "--", "sh", "-c", "echo -n"),
    )
    assert (code, out, err) == (0, "web/0\n", "")
    assert api.service.creates[0]["request"] == TaskRequest(
        image="nginx",
        name="web",
        command=["sh", "-c", "echo -n"],
        env={"A": "b=c", "TOKEN": "secret"},
        memory=512 * 1024 * 1024,
        cpu=0.5,
        disk=1_000_000_000,
        node_selectors={"zone": "b"},
        port_bindings={"80/tcp": "8080", "53/udp": "53", "90/tcp": ""},
        restart_policy="always",
        stop_grace_seconds=2.0,
        user="app:staff",
        hostname="db.lan",
    )


@pytest.mark.parametrize(
    ("words", "check"),
    [
        ("http:80/up?a=b", HealthCheckRequest(http=HttpCheckRequest(80, "/up?a=b"))),
        ("http:8080", HealthCheckRequest(http=HttpCheckRequest(8080, "/"))),
        ("tcp:5432", HealthCheckRequest(tcp=TcpCheckRequest(5432))),
        ("exec:pg_isready -U me", HealthCheckRequest(exec=ExecCheckRequest(["/bin/sh", "-c", "pg_isready -U me"]))),
        ("docker", HealthCheckRequest(docker=DockerCheckRequest())),
    ],
)
def test_run_asks_for_a_health_check_and_a_time_to_drain(orion, api, words, check):
    assert orion("run", "--health", words, "--drain", "1.5", "nginx")[0] == 0
    request = api.service.creates[0]["request"]
    assert (request.health_check, request.drain_seconds) == (check, 1.5)


@pytest.mark.parametrize("words", ["http", "http:a", "tcp:", "exec:", "ping", "docker:x"])
def test_what_is_no_health_check_is_said(orion, words):
    code, out, err = orion("run", "--health", words, "nginx")
    assert (code, out) == (2, "")
    assert "is not a health check: write http:80/up" in err


def test_run_asks_for_what_comes_first(orion, api):
    words = ("--after", "db", "--after", "migrate:completed", "--after", "cache:started:optional")
    code, _, err = orion("run", *words, "nginx")
    assert (code, err) == (0, "")
    assert api.service.creates[0]["request"].after == [
        AfterRequest("db", "healthy"),
        AfterRequest("migrate", "completed"),
        AfterRequest("cache", "started", False),
    ]


def test_run_asks_who_may_reach_a_task(orion, api):
    code, _, err = orion("run", "--allow-from", "web", "--allow-from", "worker", "nginx")
    assert (code, err) == (0, "")
    assert api.service.creates[0]["request"].allow_from == ["web", "worker"]


def test_run_asks_for_the_networks_of_a_task(orion, api):
    code, _, err = orion("run", "--networks", "front", "--networks", "back", "nginx")
    assert (code, err) == (0, "")
    assert api.service.creates[0]["request"].networks == ["front", "back"]


def test_run_asks_for_other_names_of_a_task(orion, api):
    words = ("--networks", "front", "--network-alias", "api", "--network-alias", "db:front")
    code, _, err = orion("run", *words, "nginx")
    assert (code, err) == (0, "")
    assert api.service.creates[0]["request"].network_aliases == [Alias("api"), Alias("db", "front")]
    code, _, err = orion("run", "--network-alias", "api:", "nginx")
    assert code == 2
    assert "names no network: write api, or api:NETWORK" in err


def test_run_asks_for_ports_of_every_node(orion, api):
    words = ("--ingress", "8080:80", "--ingress", "53:5353/udp", "--ingress", "443:sticky")
    code, _, err = orion("run", *words, "nginx")
    assert (code, err) == (0, "")
    assert api.service.creates[0]["request"].ingress == [
        IngressRequest(8080, 80, "tcp", False),
        IngressRequest(53, 5353, "udp", False),
        IngressRequest(443, 443, "tcp", True),
    ]
    code, _, err = orion("run", "--ingress", "8080:80/icmp", "nginx")
    assert code == 2
    assert "has no such protocol" in err


def test_run_asks_for_volumes_and_paths_of_a_node(orion, api):
    words = ("-v", "data:/var/lib/x", "-v", "/srv/x:/x:ro", "-v", "d:/d:ro,per-slot,nocopy,subpath=a/b")
    words += ("-v", "/s:/s:rshared")
    code, _, err = orion("run", *words, "nginx")
    assert (code, err) == (0, "")
    assert api.service.creates[0]["request"].volumes == [
        VolumeRequest("/var/lib/x", "data"),
        VolumeRequest("/x", source="/srv/x", read_only=True),
        VolumeRequest("/d", "d", "", True, True, True, "a/b"),
        VolumeRequest("/s", source="/s", shared=True),
    ]


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ("data", "does not say what goes where"),
        ("data:", "does not say what goes where"),
        ("./x:/x", "is a path of this machine, not of a node"),
        ("data:/x:z", "ends with 'z', which is unknown"),
    ],
)
def test_what_is_no_volume_is_said(orion, volume, words):
    code, out, err = orion("run", "-v", volume, "nginx")
    assert (code, out) == (2, "")
    assert words in err


def test_run_asks_for_the_nodes_of_a_task(orion, api):
    code, _, err = orion(
        *(
            "run",
            "--constraint",
            "node.labels.disk==ssd",
            "--constraint",
            "zone in (a,b)",
            "--constraint",
            "gpu exists",
        ),
        *("--prefer", "rack=r1", "--prefer", "zone=b@-20", "--spread-over", "zone", "--max-per-node", "2"),
        *("--distinct-hosts", "--alongside", "vpn:network", "--placement", "pack", "--priority", "5", "nginx"),
    )
    assert (code, err) == (0, "")
    request = api.service.creates[0]["request"]
    assert (request.node_selectors, request.priority) == ({"disk": "ssd"}, 5)
    assert request.placement == PlacementRequest(
        "pack",
        ["zone in (a,b)", "gpu exists"],
        [AffinityRequest("rack=r1"), AffinityRequest("zone=b", -20)],
        "zone",
        2,
        True,
        AlongsideRequest("vpn", network=True),
    )


@pytest.mark.parametrize(
    "words", [["redis-server", "--port", "6380"], ["sh", "-c", "echo hi"], ["httpd", "-p", "9000", "--", "--help"]]
)
def test_options_end_at_the_image(orion, api, words):
    assert orion("run", "redis", *words) == (0, "web-00001/0\n", "")
    assert api.service.creates[0]["request"].command == words


@pytest.mark.parametrize("word", ["--port", "-p", "--name=x", "-p8080:80", "--wait"])
def test_an_option_behind_the_image_is_the_programs_and_that_is_said(orion, api, word):
    code, out, err = orion("run", "redis", word, "6380")
    assert (code, out) == (0, "web-00001/0\n")
    assert api.service.creates[0]["request"].command == [word, "6380"]
    assert err.endswith("stand before IMAGE (write -- before it if that is meant)\n")
    api.service.tasks_by_id.clear()
    assert orion("run", "redis", "--", word, "6380") == (0, "web-00001/0\n", "")
    assert api.service.creates[1]["request"].command == [word, "6380"]


def test_an_option_that_orion_does_not_know_behind_the_image_is_no_news(orion, api):
    assert orion("run", "app", "--verbose") == (0, "web-00001/0\n", "")
    assert api.service.creates[0]["request"].command == ["--verbose"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-p", "99999999:80"], "write 8080:80, 80, 53:53/udp or 127.0.0.1:8080:80"),
        (["-p", "host:8080:80"], "write 8080:80, 80, 53:53/udp or 127.0.0.1:8080:80"),
        (["-p", "8080:80", "-p", "8081:80"], "80/tcp is published twice"),
        (["-e", "NOT_SET_HERE"], "NOT_SET_HERE has no value here"),
        (["-m", "lots"], "'lots' is not a size"),
        (["--stop-grace", "-1"], "is not a time: write it as in 10s"),
        (["--constraint", "zone"], "'zone' is no constraint: write it as in disk=ssd, zone!=a"),
        (["--constraint", "a~("], "'a~(': the pattern has a ( without its )"),
        (["--constraint", "node.role==manager"], "no node is a manager here"),
        (["--after", "db:well"], "has no such condition: write db:started or :healthy or :completed"),
        (["--alongside", "vpn:ipc"], "write JOB, JOB:network or JOB:network,pid"),
        (["--port", "0"], "ports go from 1 to 65535"),
        (["--port", "1", "--addr", "a:1"], "give one"),
        (["--nope"], "no such option"),
    ],
)
def test_bad_usage_is_one_line_and_exits_with_2(orion, api, args, words):
    code, out, err = orion("run", *args, "nginx")
    assert (code, out) == (2, "")
    assert err.startswith("orion: ")
    assert err.count("\n") == 1
    assert words in err
    assert err.endswith("(see 'orion run --help')\n")
    assert not api.service.creates


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["Bad Image"], "IMAGE: 'Bad Image' is not the name of an image"),
        (["-m", "1m", "nginx"], "--memory is 1048576 bytes, less than Docker's minimum of 6 MiB"),
        (["--cpu", "0.001", "nginx"], "--cpu is 0.001, less than"),
        (["--stop-grace", "4000", "nginx"], "--stop-grace is 4000: give 0 to 3600 seconds"),
        (["--restart", "often", "nginx"], "--restart 'often' is not known"),
        (["--name", "a_b", "nginx"], "--name 'a_b' can't be used"),
        (["-e", "1A=x", "nginx"], "--env: '1A' is not a variable's name"),
        (["-c", "k=/proc/x", "nginx"], "--config: /proc/x is the container engine's own"),
        (["-p", "1:2", "-p", "1:3", "nginx"], "--publish: host port 1/tcp is asked for twice"),
        (["-m", "1m", "--restart", "x", "nginx"], "; --restart 'x' is not known"),
        (["--rm", "-m", "1m", "nginx"], "--memory is 1048576 bytes"),
        (["-u", "a b", "nginx"], "--user 'a b' is no user: write a name or a number"),
        (["--hostname", "a_b", "nginx"], "--hostname 'a_b' is no host name: write letters, digits and hyphens"),
        (["--prefer", "zone=a@101", "nginx"], "--prefer: weight is 101: give 1 to 100"),
        (["--max-per-node", "-1", "nginx"], "--max-per-node: maxPerNode is -1"),
        (["--spread-over", "a b", "nginx"], "--spread-over: 'a b' is not a label's name"),
        (["--priority", "101", "nginx"], "--priority is 101: give -100 to 100"),
        (["--after", "db", "--after", "db:started", "nginx"], "--after: db is named twice; give it one condition"),
        (["--name", "web", "--after", "web", "nginx"], "--after: web is the job itself; name another one"),
        (["nginx", ""], "COMMAND starts with an empty word"),
    ],
)
def test_what_the_cluster_finds_wrong_is_said_of_the_option_and_exits_with_2(orion, api, args, words):
    code, out, err = orion("run", *args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("orion: ")
    assert err.endswith("(see 'orion run --help')\n")
    assert not api.service.tasks_by_id


def test_a_conflict_is_no_bad_usage_and_exits_with_1(orion, api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    code, _, err = orion("run", "--name", "web", "nginx")
    assert (code, err) == (1, "orion: there is a job web already\n")


def loading(words, done_bytes):
    reason, progress = f"pulling nginx: {words} of 54.1 MB", ProgressView("downloading", done_bytes, 54_100_000)
    return {"state": "pulling", "reason": reason, "progress": progress}


def test_run_and_wait(orion, api, monkeypatch):
    story = [
        {"state": "scheduled", "node_id": "node2"},
        {"node_id": "node2", **loading("1.5", 1_500_000)},
        {"node_id": "node2", **loading("30", 30_000_000)},
        {"state": "running", "node_id": "node2", "ports": {"80/tcp": "127.0.0.1:8080"}},
    ]
    tell(api, monkeypatch, story)
    assert orion("run", "--wait", "nginx") == (
        0,
        "web-00001/0\n",
        (
            "web-00001/0 is scheduled on node2\n"
            "web-00001/0 is pulling on node2\n"
            "web-00001/0 is running on node2\n"
            "web-00001/0 runs on node2, 0.0.0.0:8080->80/tcp\n"
        ),
    )


def test_run_and_wait_on_a_terminal(orion, api, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    story = [
        loading("12.3", 12_300_000),
        {"state": "running", "node_id": "node2"},
    ]
    tell(api, monkeypatch, story)
    code, out, err = orion("run", "--wait", "nginx")
    assert (code, out) == (0, "web-00001/0\n")
    assert err.endswith("web-00001/0 runs on node2\n")


@pytest.mark.parametrize(
    ("last", "code", "words"),
    [
        ({"state": "completed", "node_id": "n"}, 0, "web-00001/0 has completed on n"),
        ({"state": "failed", "reason": "no such image"}, 1, "orion: web-00001/0 failed: no such image\n"),
        ({"state": "stopped"}, 1, "orion: web-00001/0 stopped: no reason is known"),
    ],
)
def test_how_waiting_ends(orion, api, monkeypatch, last, code, words):
    tell(api, monkeypatch, [last])
    found, _, err = orion("run", "--wait", "nginx")
    assert found == code
    assert words in err


def test_what_crashes_within_a_second_does_not_run(orion, api, monkeypatch):
    ran = AllocationView("a", "node2", "starting", "restarting after exit code 3: boom", 0, 3, None, None, None)
    story = [
        {"state": "running", "node_id": "node2"},
        {"state": "starting", "node_id": "node2", "reason": ran.reason, "allocations": [ran]},
    ]
    tell(api, monkeypatch, story)
    api.service.log_items = [b"reading configuration\nboom\n"]
    code, _, err = orion("run", "--wait", "nginx")
    assert code == 1
    assert err.splitlines()[2:] == [
        (
            "orion: web-00001/0 does not stay up: restarting after exit code 3: boom; it goes on being tried, "
            "'orion stop web-00001/0' ends that"
        ),
        "  reading configuration",
        "  boom",
    ]


def test_waiting_has_an_end(orion, api):
    code, out, err = orion("run", "--wait", "--wait-timeout", "0.2", "nginx")
    assert (code, out) == (4, "web-00001/0\n")
    assert "is still pending after 0.2 s; it goes on, see 'orion ps'" in err


def test_leaving_leaves_the_task(orion, api, monkeypatch):
    def leave(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("orion.client.Client.poll_task", leave)
    code, out, err = orion("run", "--wait", "nginx")
    assert (code, out) == (130, "web-00001/0\n")
    assert "web-00001/0 goes on without you" in err
    assert "orion stop web-00001/0" in err
    assert "web-00001/0" in api.service.tasks_by_id


def tell(api, monkeypatch, story):
    """Each read of the task shows the next of `story`, the last for ever."""
    views = [task_view("web-00001", **chapter) for chapter in story]
    service = api.service

    async def task(self, name, read):
        service.index += 1
        return (views.pop(0) if len(views) > 1 else views[0]), service.index

    async def delete_task(self, name, *, created_index, timeout_s):
        return (await task(self, name, None))[0]

    async def change(self, name, **fields):
        return (await task(self, name, None))[0]

    monkeypatch.setattr(type(service), "task", task)
    monkeypatch.setattr(type(service), "delete_task", delete_task)
    monkeypatch.setattr(type(service), "_change", change)


# --- failures ----------------------------------------------------------------------------------------------


def test_nobody_there(orion):
    code, out, err = orion("ps", "--port", "1")
    assert (code, out) == (1, "")
    assert err == (
        "orion: no Orion node answers at localhost:1: is it running? Any other of its cluster does as well: "
        "name it, or several, with --addr or ORION_ADDR\n"
    )


def test_the_next_of_several_is_asked_where_one_refuses(orion, api, monkeypatch):
    there, nobody = f"127.0.0.1:{api.port}", "localhost:1"
    for several in (f"{nobody}, {there}", f"{there},{nobody}"):
        assert orion("ps", "--addr", several)[0] == 0
        monkeypatch.setenv("ORION_ADDR", several)
        assert orion("members")[0] == 0
    assert orion("ps", "--addr", "localhost:1,localhost:2")[2] == (
        "orion: no Orion node answers at any of localhost:1, localhost:2: is one running?\n"
    )


def here(monkeypatch, *nodes):
    """Lets these nodes, (name, host, port), run on this machine."""
    monkeypatch.delenv("ORION_ADDR")
    monkeypatch.setattr("orion.process.running.find", lambda: [RunningNode(*node, network=1) for node in nodes])


def test_the_node_of_this_machine_is_asked_where_none_is_named(orion, api, monkeypatch):
    here(monkeypatch, ("node1", "127.0.0.1", api.port))
    assert orion("members")[0] == 0
    here_twice = [("node1", "127.0.0.1", api.port), ("node2", "10.0.0.1", 8001)]
    monkeypatch.setenv("ORION_ADDR", "nobody:1")
    here(monkeypatch, *here_twice)
    assert orion("members", "--port", str(api.port))[0] == 0
    monkeypatch.setenv("ORION_ADDR", f"127.0.0.1:{api.port}")
    assert orion("members")[0] == 0, "what the environment names goes before it"


def test_of_several_nodes_of_one_cluster_the_first_that_answers_is_asked(orion, api, monkeypatch):
    monkeypatch.setattr("orion.cli.shared.options.LOOK_S", 60.0)
    here(monkeypatch, ("node2", "127.0.0.1", api.port), ("node1", "localhost", api.port))
    assert orion("members")[0] == 0


def test_of_several_nodes_none_is_asked_while_one_is_silent_for_it_may_be_of_another_cluster(
    orion, api, monkeypatch
):
    here(monkeypatch, ("node2", "127.0.0.1", 1), ("node1", "127.0.0.1", api.port))
    code, _, err = orion("members")
    assert (code, "2 nodes run on this machine: say which" in err) == (2, True)


@pytest.mark.parametrize(
    ("nodes", "args", "words"),
    [
        (
            [("n1", "127.0.0.1", 8001), ("n2", "10.0.0.1", 8002)],
            [],
            "2 nodes run on this machine: say which, as in --port 8001 (n1) or --port 8002 (n2)",
        ),
        (
            [("n1", "10.0.0.1", 8001), ("n2", "10.0.0.2", 8001)],
            ["--port", "8001"],
            "--addr 10.0.0.1:8001 (n1) or --addr 10.0.0.2:8001 (n2)",
        ),
    ],
)
def test_of_several_nodes_of_this_machine_none_is_guessed_at(orion, monkeypatch, nodes, args, words):
    here(monkeypatch, *nodes)
    code, _, err = orion("members", *args)
    assert code == 2
    assert words in err


@pytest.mark.parametrize("other", [("n2", "10.0.0.1", 8001), ("n2", "10.0.0.1", 8000)])
def test_of_several_the_one_that_localhost_8000_means_is_asked(orion, monkeypatch, other):
    here(monkeypatch, ("n1", "::1", 8000), other)
    monkeypatch.setattr("orion.client.Client.nodes", lambda client, **how: pytest.fail(client.address))
    with pytest.raises(pytest.fail.Exception, match=re.escape("[::1]:8000")):
        orion("members")


def test_port_wins_over_the_environment_and_over_nothing(orion, api):
    assert orion("ps", "--port", str(api.port))[0] == 0


@pytest.mark.parametrize("error", [Unavailable("no leader"), NotFound("gone")])
def test_the_clusters_words_are_shown_as_they_are(orion, api, error):
    api.service.failure = error
    for command in (["ps"], ["nodes"], ["members"], ["raft"], ["drain", "node1"], ["nodes", "rm", "node1"]):
        assert orion(*command) == (1, "", f"orion: {error.detail}\n")


def test_a_near_miss_of_a_command(orion):
    assert orion("nodse") == (2, "", "orion: 'nodse' is not a command: did you mean nodes? (see 'orion --help')\n")
    assert orion("xyzzy") == (2, "", "orion: 'xyzzy' is not a command (see 'orion --help')\n")


def test_without_a_majority_what_still_works_is_named(orion, api):
    words = "no majority: 2 of 3 voters (node2, node3) do not answer"
    api.service.failure = NoMajority(words)
    for command in (["ps"], ["inspect", "web"], ["nodes"]):
        assert orion(*command) == (1, "", f"orion: {words}; reads work with --stale\n")
    for command in (["run", "nginx"], ["stop", "web"], ["drain", "node1"], ["nodes", "rm", "node1"]):
        assert orion(*command) == (1, "", f"orion: {words}\n")


@pytest.mark.parametrize("group", ["config", "snapshot"])
def test_a_group_alone_is_its_help(orion, group):
    assert orion(group) == orion(group, "--help")
    assert orion(group)[0] == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(5, "Input/output error", "/x"), "/x: Input/output error"),
        (OSError(28, "No space left on device"), "reading or writing failed: No space left on device"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
def test_what_the_machine_fails_at_is_one_line(orion, monkeypatch, error, words):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("orion.client.Client.tasks", fail)
    assert orion("ps") == (1, "", f"orion: {words}\n")


@pytest.mark.parametrize(
    "command", [["run", "\udcff"], ["config", "ls", "\udcff"], ["logs", "a", "--since", "\udcff"]]
)
def test_bytes_that_are_no_text_are_one_line(orion, command):
    code, out, err = orion(*command)
    assert (code, out) == (1, "")
    assert err == "orion: '\\udcff' can't be written as utf-8: surrogates not allowed\n"


def test_a_bug_shows_where_it_is(orion, monkeypatch):
    monkeypatch.setattr("orion.client.Client.tasks", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        orion("ps")


def test_a_question_without_an_answer_changes_nothing(orion, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setattr("orion.process.offline.recover", lambda *args, **kwargs: click.confirm("Really?", err=True))
    code, _, err = orion("raft", "recover", "--data-dir", str(tmp_path))
    assert code == 1
    assert err.endswith("Really? [y/N]: \norion: nothing was changed\n")


def test_ps_leaves_out_what_has_completed_unless_it_is_asked_for(api, orion):
    api.service.tasks_by_id = {"web/0": task_view("web"), "done/0": task_view("done", state="completed")}
    assert orion("ps", "-q")[1] == "web/0\n"
    assert orion("ps", "-q", "-a")[1].split() == ["done/0", "web/0"]
    assert orion("ps", "-q", "done")[1] == "done/0\n"
