"""What Docker shows, as values."""

import pytest

from orion.adapters.docker import decode
from orion.adapters.docker.stop_detection import StopDetection
from unit.adapters.docker_answers import LABELS, NEVER, listed, shown


def test_a_running_container():
    found = decode.container(shown(finished="2026-11-24T15:20:00Z"), StopDetection().cause)  # of the run before
    assert found is not None
    assert (found.state, found.exit_code, found.finished_at_ms) == ("running", None, 0)
    assert found.started_at_ms == 1_795_533_689_123
    assert found.host_ports == (7, 8080)
    assert found.address == "172.17.0.2"
    assert found.labels == LABELS


def test_the_health_of_a_container():
    found = decode.container(shown(), StopDetection().cause)
    assert (found.health, found.health_output) == ("none", "")
    log = [{"ExitCode": 0, "Output": "well"}, {"ExitCode": 1, "Output": "oh no" * 1_000}]
    found = decode.container(
        shown(Health={"Status": "unhealthy", "FailingStreak": 1, "Log": log}), StopDetection().cause
    )
    assert (found.health, found.health_output[:5], len(found.health_output)) == (
        "unhealthy",
        "oh no",
        decode.MAX_OUTPUT,
    )
    for odd in ({"Status": "hm", "Log": None}, {"Status": "starting"}, {}):
        found = decode.container(shown(Health=odd), StopDetection().cause)
        assert (found.health, found.health_output) == (
            "starting" if odd.get("Status") == "starting" else "none",
            "",
        )


def test_the_last_results_of_a_health_check():
    times = {"Start": "2026-11-24T15:21:29.25Z", "End": "2026-11-24T15:21:30.5Z"}
    odd = [{"Start": "2026-11-24T15:21:31Z", "ExitCode": None, "Output": None}, {"ExitCode": 1, "Output": "when?"}]
    log = [*[{**times, "ExitCode": 0, "Output": "well"}] * 9, {**times, "ExitCode": 1, "Output": "x" * 5_000}, *odd]
    found = decode.container(shown(Health={"Status": "healthy", "Log": log}), StopDetection().cause)
    at_ms = decode.unix_ms(times["Start"])
    assert [(each.ok, each.at_ms - at_ms, each.took_ms) for each in found.health_log] == [
        *[(True, 0, 1_250)] * 2,
        (False, 0, 1_250),
        (False, 1_750, 0),
    ]
    assert [len(each.output) for each in found.health_log] == [4, 4, decode.MAX_OUTPUT, 0]


def test_an_ended_container():
    found = decode.container(
        shown("exited", finished="2026-11-24T15:21:29.1Z", ExitCode=137, OOMKilled=True), StopDetection().cause
    )
    assert found is not None
    assert (found.state, found.exit_code, found.oom_killed) == ("exited", 137, True)
    assert found.finished_at_ms == found.started_at_ms


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("created", "created"),
        ("paused", "running"),
        ("restarting", "running"),
        ("removing", "exited"),
        ("dead", "exited"),
    ],
)
def test_states(status, state):
    found = decode.container(shown(status, started=NEVER), StopDetection().cause)
    assert found is not None
    assert (found.state, found.started_at_ms) == (state, 0)


def test_a_container_that_is_not_orions():
    assert decode.container(shown() | {"Config": {"Labels": None}}, StopDetection().cause) is None


@pytest.mark.parametrize("name", ["/nice_kepler", "/web-3-0000beef-copy", "/web-3-0000beee", "web-3-0000beef", ""])
def test_labels_without_the_name_that_goes_with_them_are_a_copy_s(name):
    assert decode.container(shown() | {"Name": name}, StopDetection().cause) is None


def test_an_entry_of_the_list():
    found = decode.listed(listed())
    assert found is not None
    assert (found.state, found.host_ports, found.address) == ("running", (7, 8080), "172.17.0.2")
    assert found.labels == LABELS
    assert decode.listed(listed(Names=["/nice_kepler"])) is None
    assert decode.listed(listed(Labels=None)) is None


def test_an_engine_elsewhere_has_no_disk_here():
    assert decode.file_system_bytes("/no/such/directory") == 0
    assert decode.file_system_bytes("/") > 0
