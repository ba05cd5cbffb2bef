"""`orion endpoints` against a real API."""

import json


def test_a_table_of_those_that_are_ready_or_of_all(orion):
    code, out, err = orion("endpoints", "web")
    assert (code, err) == (0, "")
    heading, *rows = out.splitlines()
    assert heading.split() == ["TASK", "NODE", "ADDRESS", "PORTS", "VERSION", "READY"]
    assert [row.split()[:6] for row in rows] == [
        ["web/0", "node1", "172.17.0.2", "80/tcp", "10.0.0.1:8080", "3"],
    ]
    _, out, _ = orion("endpoints", "web", "--all")
    assert out.splitlines()[2].split()[-1] == "no"


def test_json_for_programs(orion):
    _, out, _ = orion("endpoints", "web", "-o", "json")
    assert [each["task"] for each in json.loads(out)] == ["web/0"]


def test_a_job_that_is_not_there_is_said(orion):
    code, out, err = orion("endpoints", "none")
    assert (code, out) == (1, "")
    assert err.startswith("orion: there is no job none")
