"""What is shown of a container that can't be inspected."""

import pytest

from orion.adapters.docker.inspect_cache import InspectCache
from orion.adapters.docker.stop_detection import StopDetection
from orion.model.errors import EngineError
from unit.adapters.docker_answers import LABELS, listed, shown


@pytest.mark.parametrize(
    "change",
    [
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8000-8010"}]}}},
        {"HostConfig": {"PortBindings": {"80/tcp": [{}]}}},
        {"HostConfig": None},
        {"State": {}},
        {"State": {"Status": "running", "StartedAt": "yesterday"}},
        {"Config": None},
        {"Name": None},
        {"NetworkSettings": {"Networks": {"bridge": 5}}},
    ],
)
def test_facts_that_can_t_be_understood_are_said_once_and_mean_none(change, caplog):
    looks = InspectCache()
    for _ in range(2):
        assert looks.saw(shown() | change, StopDetection()) is None
    assert len(caplog.records) <= 1, caplog.text
    assert change == {"Name": None} or "abc" in caplog.text
    assert looks.saw(shown(), StopDetection()) is not None
    assert looks.instead(listed(Ports=[5]), EngineError("it hangs")) is None


def test_an_end_that_was_seen_is_not_shown_of_a_later_run():
    looks, hangs = InspectCache(), EngineError("it hangs")
    ended = looks.saw(shown("exited", ExitCode=1), StopDetection())
    assert looks.instead(listed(State="exited"), hangs) == ended
    looks.started("abc")
    found = looks.instead(listed(State="exited"), hangs)
    assert found is not None
    assert (found.state, found.exit_code, found.finished_at_ms) == ("exited", None, 0)


def test_a_start_that_docker_remembers_ends_only_what_was_seen_before_it():
    looks, hangs = InspectCache(), EngineError("it hangs")
    ended = looks.saw(shown("exited", ExitCode=1), StopDetection())
    assert ended is not None
    looks.started("abc", ended.finished_at_ms)
    assert looks.instead(listed(State="exited"), hangs) == ended
    looks.started("abc", ended.finished_at_ms + 1)
    found = looks.instead(listed(State="exited"), hangs)
    assert found is not None
    assert found.exit_code is None


def test_a_start_that_is_heard_of_late_takes_nothing_from_a_look_into_its_run():
    looks = InspectCache()
    running = looks.saw(shown(), StopDetection())
    looks.started("abc")
    assert looks.instead(listed(), EngineError("it hangs")) == running


def test_one_that_fails_to_be_looked_into_is_failing_until_it_is_looked_into_or_gone(caplog):
    looks, hangs = InspectCache(), EngineError("it hangs")
    looks.saw(shown("exited"), StopDetection())
    for _ in range(2):
        looks.instead(listed(State="exited"), hangs)
        looks.started("abc")
        looks.forget_all_but(frozenset({"abc"}), LABELS.cluster)
        assert looks.failing("abc")
    assert len(caplog.records) == 1
    looks.forget_all_but(frozenset(), LABELS.cluster)
    assert not looks.failing("abc")
