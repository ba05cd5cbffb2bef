"""`orion deploy` against a replicated state without nodes: what it asks for, says and returns."""

import pytest
from msgspec.structs import replace

from orion.model.deployment import DeploymentState
from orion.state.tables.deployment_rows import Deployments

FILE = """
jobs:
  web:
    image: nginx:1
    count: 2
  db:
    image: postgres:16
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(FILE)
    return path


def ended(api, name, state=DeploymentState.DONE):
    """As a leader that found it so."""
    table = api.service.jobs.state.of(Deployments)
    table.put(replace(table.latest(name), state=state))


def test_jobs_of_a_file_are_made_and_an_unchanged_file_changes_nothing(orion, api, file):
    code, out, err = orion("deploy", "--no-wait", str(file))
    assert (code, err, out.splitlines()) == (
        0,
        "",
        ["web: deployment 8 has begun", "db: deployment 9 has begun"],
    )
    ended(api, "web")
    ended(api, "db")
    before = api.service.jobs.state.of(Deployments).latest("web").id
    code, out, _ = orion("deploy", str(file))
    assert (code, out.splitlines()) == (0, ["web is unchanged: version 0", "db is unchanged: version 0"])
    assert api.service.jobs.state.of(Deployments).latest("web").id == before


def test_a_changed_job_alone_begins_a_deployment(orion, api, file):
    orion("deploy", "--no-wait", str(file))
    ended(api, "web")
    ended(api, "db")
    file.write_text(FILE.replace("nginx:1", "nginx:2"))
    code, out, _ = orion("deploy", "--no-wait", str(file))
    assert code == 0
    assert out.splitlines()[0].startswith("web: deployment ")
    assert out.splitlines()[1] == "db is unchanged: version 0"


def test_a_wait_that_takes_too_long_has_its_code(orion, file):
    code, _, err = orion("deploy", "--wait-timeout", "0.2", str(file))
    assert code == 4
    assert "web is not there yet" in err


def test_a_wrong_file_changes_nothing(orion, api, file):
    file.write_text(FILE.replace("count: 2", "cuont: 2"))
    code, out, err = orion("deploy", str(file))
    assert (code, out) == (2, "")
    assert err.startswith(f"{file}:5:5: jobs.web.cuont: ")
    assert api.service.jobs.asked == []


def test_what_the_cluster_refuses_has_its_place_and_none_of_the_jobs_is_changed(orion, api, file):
    orion("deploy", "--no-wait", str(file))
    before = [api.service.jobs.state.of(Deployments).latest(name) for name in ("web", "db")]
    file.write_text(
        FILE.replace("nginx:1", "nginx:2").replace("image: postgres:16", "image: postgres:16\n    kind: batch")
    )
    code, out, err = orion("deploy", "--no-wait", str(file))
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first.startswith(f"{file}:6:3: jobs.db: db is a service job and can't become a batch one: remove it")
    assert second == "orion: nothing was changed"
    assert [api.service.jobs.state.of(Deployments).latest(name) for name in ("web", "db")] == before


def test_jobs_are_asked_for_behind_those_that_they_come_after_and_told_in_that_order(orion, api, tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(
        """
jobs:
  web: {image: nginx, after: [{job: app}, {job: db}, {job: elsewhere}]}
  app: {image: nginx, after: [{job: migrate, condition: completed}]}
  db: {image: nginx}
  migrate: {image: nginx, kind: batch, after: [{job: db}]}
"""
    )
    code, out, err = orion("deploy", "--no-wait", str(path))
    assert (code, err) == (0, "")
    told = {line.partition(":")[0]: int(line.split()[2]) for line in out.splitlines()}
    assert list(told) == sorted(told, key=told.get) == ["db", "migrate", "app", "web"]


def test_jobs_that_wait_for_each_other_are_refused(orion, tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(
        """
jobs:
  a: {image: nginx, after: [{job: b}]}
  b: {image: nginx, after: [{job: a}]}
"""
    )
    code, _, err = orion("deploy", "--no-wait", str(path))
    assert code == 1
    assert "a -> b -> a" in err


def test_what_could_not_be_found_out_is_a_note_and_no_failure(orion, api, file):
    api.service.jobs.notes = ["nginx:1 is taken by its tag: its registry has not answered within 3 s"]
    code, out, err = orion("deploy", "--no-wait", str(file))
    assert code == 0
    assert err.count("note: nginx:1 is taken by its tag") == 1  # of both
    assert len(out.splitlines()) == 2


def test_digests_are_kept_by_update_but_for_another_image_and_shown_by_their_beginnings(orion, api, file):
    pinned = f"nginx:1@sha256:{'a' * 64}"
    file.write_text(f"jobs: {{web: {{image: '{pinned}'}}}}")
    orion("deploy", "--no-wait", str(file))
    ended(api, "web")
    _, out, _ = orion("versions", "web", "--no-trunc")
    assert pinned in out
    orion("update", "web", "-e", "A=1", "--no-wait")
    assert api.service.jobs.state.jobs["web"].job.task.image == pinned
    file.write_text(f"jobs: {{web: {{image: 'nginx:1@sha256:{'b' * 64}', env: {{A: '1'}}}}}}")
    _, out, _ = orion("plan", str(file))
    assert 'image: "nginx:1@sha256:aaaaaaaaaaaa…" -> "nginx:1@sha256:bbbbbbbbbbbb…"' in out
    orion("update", "web", "--image", "nginx:1", "--no-wait")
    assert api.service.jobs.state.jobs["web"].job.task.image == "nginx:1"
