"""What is said of a deployment that is followed, by views of it such as a node gives."""

from types import SimpleNamespace

import pytest

from orion.cli.shared import rollout
from orion.client.logs import LogLine
from orion.model.api.deployments import DeploymentProgress, DeploymentView
from orion.model.errors import Unavailable

BAD = "web/0 on node1: app:2 can't be pulled: no such image"


def row(state="running", reason="", **more):
    return DeploymentView(
        id=7,
        job="web",
        kind="deploy",
        from_version=1,
        to_version=2,
        state=state,
        rolling_back=False,
        promoted=False,
        reason=reason,
        progress=DeploymentProgress(tasks=2, updated=0, ready=0, available=0) if state == "running" else None,
        started_at="2026-01-01T00:00:10.000Z",
        ended_at=None,
        **more,
    )


def run(identity, second, state):
    return SimpleNamespace(id=identity, created_at=f"2026-01-01T00:00:{second}.000Z", state=state)


class Cluster:
    """`rows`: what the next looks see, an error in place of a view is raised. `written`: what each run wrote; the
    newest of them is what is asked for, and the one before with `previous`.
    """

    def __init__(self, *rows, runs=(), written=()):
        self.rows = list(rows)
        self.runs = list(runs)
        self.written = list(written)

    def poll_deployment(self, deployment, after_index=0, *, wait_s):
        found = self.rows.pop(0)
        if isinstance(found, Exception):
            raise found
        return found, after_index + 1

    def task(self, name):
        return SimpleNamespace(id=name, allocations=self.runs)

    def logs(self, task, *, tail, previous=False):
        shown = self.written[-2:-1] if previous else self.written[-1:]
        return (LogLine("", "stdout", text, "node1", identity) for identity, text in shown)


def job(view):
    return SimpleNamespace(name="web", version=2, notes=[], deployment=view)


def told(capsys, cluster, view):
    code = rollout.follow_all(cluster, [job(view)], wait=True, timeout_s=None)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("former_is_back", [False, True])
def test_the_last_lines_are_never_those_of_the_version_that_works(capsys, former_is_back):
    runs = [run("a", "01", "running"), run("b", "11", "failed")]
    if former_is_back:
        runs = [run("a", "01", "stopped"), run("b", "11", "failed"), run("c", "15", "running")]
    kept = "c" if former_is_back else "a"
    cluster = Cluster(runs=runs, written=[(kept, b"GET / 200\n")])
    code, _, err = told(capsys, cluster, row("rolled-back", BAD))
    assert (code, err) == (3, f"orion: web failed and is back at version 1: {BAD}\n")


def test_the_last_lines_are_those_of_the_version_that_failed_though_the_former_has_written_since(capsys):
    runs = [run("a", "01", "stopped"), run("b", "11", "failed"), run("c", "15", "running")]
    cluster = Cluster(runs=runs, written=[("b", b"no table users\n"), ("c", b"GET / 200\n")])
    _, _, err = told(capsys, cluster, row("rolled-back", "web/0 on node1: exit code 1"))
    assert err.splitlines()[1:] == ["  no table users"]


@pytest.mark.parametrize(
    "reason",
    [
        "web/1 waits: port 8080 is taken on 3 of 3 nodes",
        "web/0 waits for db to be healthy, since 01:38:35 UTC",
        "web/0 is running on node1 and not ready (health check failed: exit code 1)",
        "web/0 is starting on node1 and not ready (waits for config web/nginx, which is not there)",
    ],
)
def test_what_may_last_is_told_where_nobody_looks_on(capsys, reason):
    code, out, err = told(capsys, Cluster(row("done")), row(reason=reason))
    assert (code, out) == (0, "web is as asked: version 2\n")
    assert err == f"web: version 2, 0 of 2 ready, {reason}\n"


@pytest.mark.parametrize(
    "reason",
    [
        "web/0 is ready and is watched",
        "web/0 is running on node1 and not ready",
        "web/0 is pulling on node1 and not ready (3 of 40 MB)",
        "web/0 is starting on node1 and not ready",
        "web/0 waits to be placed",
        "the former web/0 has not ended yet",
    ],
)
def test_what_passes_by_itself_is_not_told_where_nobody_looks_on(capsys, reason):
    _, _, err = told(capsys, Cluster(row("done")), row(reason=reason))
    assert err == "web: version 2, 0 of 2 ready\n"


def test_a_cluster_that_is_out_of_sight_goes_on(capsys, monkeypatch):
    monkeypatch.setattr(rollout, "PATIENCE_S", 0.0)
    code, _, err = told(capsys, Cluster(Unavailable("no Orion node answers at n1:8000")), row())
    assert code == 1
    assert err.splitlines()[-1] == (
        "orion: no Orion node answers at n1:8000; web goes on by itself: 'orion jobs web' shows it"
    )
