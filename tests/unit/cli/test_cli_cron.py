import json

from orion.model.api.tasks import AllocationView
from unit.api.fake_service import task_view


def test_a_cron_job_from_the_command_line(api, orion):
    code, out, _ = orion(
        "cron", "create", "--name", "nightly", "--schedule", "30 3 * * *", "--time-zone", "Europe/Berlin",
        "--overlap", "queue", "-m", "64m", "busybox", "sh", "-c", "exit 3",
    )  # fmt: skip
    assert (code, out) == (0, "nightly\n")
    job = api.service.jobs.state.view.job("nightly")
    assert (job.kind, job.task.command, job.task.restart.mode) == ("cron", ("sh", "-c", "exit 3"), "no")
    assert (job.schedule.expression, job.schedule.time_zone, job.schedule.overlap) == (
        "30 3 * * *",
        "Europe/Berlin",
        "queue",
    )
    code, out, _ = orion("cron")
    assert "30 3 * * *" in out
    assert "Europe/Berlin" in out
    code, out, _ = orion("cron", "run", "nightly")
    assert out == "nightly-1700000000\n"
    code, out, _ = orion("cron", "runs", "nightly")
    assert "(by hand)" in out
    assert "running" in out
    (run,) = json.loads(orion("cron", "runs", "nightly", "-o", "json")[1])
    assert (run["job"], run["byHand"], run["exitCode"]) == ("nightly-1700000000", True, None)


def test_what_is_no_schedule_is_bad_usage(api, orion):
    code, _, err = orion("cron", "create", "--name", "nightly", "--schedule", "61 * * * *", "busybox")
    assert code == 2
    assert "bad minute" in err
    code, _, err = orion(
        "cron", "create", "--name", "nightly", "--schedule", "@daily", "--time-zone", "Mars/Base", "busybox"
    )
    assert code == 2
    assert "no time zone" in err


def test_runs_of_what_is_no_cron_job(api, orion):
    code, _, err = orion("cron", "runs", "none")
    assert code == 1
    assert "there is no cron job none; 'orion cron' lists them" in err


def test_a_cron_job_is_named(orion):
    code, _, err = orion("cron", "create", "--schedule", "@daily", "busybox")
    assert code == 2
    assert "--name nightly" in err


def test_a_plan_tells_a_cron_job_that_is_new_from_one_that_is_changed_or_is_so_already(orion, tmp_path):
    path = tmp_path / "nightly.yaml"

    def plan(image):
        path.write_text(f"{{name: nightly, image: '{image}', kind: cron, schedule: {{expression: '@daily'}}}}")
        code, out, _ = orion("plan", str(path))
        assert code == 0
        return [line for line in out.splitlines() if line.startswith(("+", "~", "=", "    image", "    schedule"))]

    assert plan("backup:1") == ["+ nightly: create"]
    assert orion("deploy", str(path))[:2] == (0, "nightly is as asked: version 0\n")
    assert plan("backup:1") == ["= nightly: unchanged (version 0)"]
    assert plan("backup:2") == ["~ nightly: update (version 0)", '    image: "backup:1" -> "backup:2"']
    assert orion("deploy", str(path))[:2] == (0, "nightly is as asked: version 1\n")
    assert orion("scale", "nightly", "2")[:2] == (0, "nightly is as asked: version 1\n")


def test_a_run_that_fails_again_and_again_says_so(api, orion):
    orion("cron", "create", "--name", "nightly", "--schedule", "@daily", "--restart", "on-failure", "busybox")
    name = orion("cron", "run", "nightly")[1].strip()
    run = AllocationView("a", "n", "running", "", 8, None, None, "2025-01-01T00:00:00Z", None)
    api.service.tasks_by_id[f"{name}/0"] = task_view(name, allocations=[run], restart_policy="on-failure")
    _, out, _ = orion("cron", "runs", "nightly", "--no-trunc")
    assert "has begun anew 8 times: its restartPolicy is on-failure" in out
