"""Who ended a container."""

from datetime import UTC, datetime

import pytest

from orion.adapters.docker import decode
from orion.adapters.docker.stop_detection import RING, Event, StopDetection, event_from, number_of
from orion.model.container import EndCause
from unit.adapters.docker_answers import shown


@pytest.mark.parametrize(
    ("text", "number"),
    [("15", 15), ("SIGTERM", 15), ("quit", 3), ("SIGWINCH", 28), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("", None)],
)
def test_signals_by_name_and_number(text, number):
    assert number_of(text) == number


BEGAN_NS = 1_000 * 10**9


class Heard:
    """A container that began at BEGAN_NS, and what is heard of it; a tenth of a second passes with every event."""

    def __init__(self):
        self.stop_detection = StopDetection()
        self.now_ns = BEGAN_NS

    def event(self, action, number=None, container="c"):
        self.now_ns += 10**8
        return Event(self.now_ns, action, container, number, ours=True)

    def hears(self, action, number=None, container="c"):
        self.stop_detection.heard(self.event(action, number, container))

    def remembers(self, *events, others=0):
        """Docker's memory: so many events of something else before these."""
        noise = [Event(self.now_ns + n, "tag", "an image", None, ours=False) for n in range(others)]
        self.stop_detection.remembered([*noise, *events], self.now_ns)

    def cause(self, stop_signal=None, stop_timeout=None, began_ns=BEGAN_NS):
        began = datetime.fromtimestamp(began_ns / 10**9, UTC).isoformat()
        config = {"StopSignal": stop_signal, "StopTimeout": stop_timeout}
        return self.stop_detection.cause({"Id": "c", "Config": config, "State": {"StartedAt": began}})


def test_only_what_asks_this_container_to_end_ended_it():
    heard = Heard()
    heard.hears("kill", 1)
    heard.hears("kill", 15, "another")
    heard.hears("die")
    assert heard.cause() is EndCause.ITSELF
    heard.hears("kill", 15)
    assert heard.cause() is EndCause.TOLD
    assert heard.cause("SIGQUIT") is EndCause.ITSELF
    heard.hears("kill", 3)
    assert heard.cause("SIGQUIT") is EndCause.TOLD
    heard.hears("start")
    heard.hears("die")
    assert heard.cause() is EndCause.ITSELF
    heard.hears("kill", 9)
    assert heard.cause("SIGQUIT") is EndCause.TOLD
    heard.stop_detection.forget(heard.stop_detection.known() - {"another"})
    assert heard.stop_detection.known() == {"another"}


def test_an_end_that_was_not_heard_is_unknown():
    heard = Heard()
    assert heard.cause() is EndCause.UNKNOWN
    heard.hears("kill", 1)
    assert heard.cause() is EndCause.UNKNOWN


def test_what_was_heard_of_an_earlier_run_says_nothing_of_this_one():
    heard = Heard()
    heard.hears("kill", 15)
    heard.hears("die")
    assert heard.cause(began_ns=heard.now_ns + 10**9) is EndCause.UNKNOWN


def test_what_docker_remembers_adds_to_what_was_heard():
    heard = Heard()
    heard.hears("kill", 15)
    heard.remembers(heard.event("die"))
    assert heard.cause() is EndCause.TOLD
    heard.remembers(heard.event("kill", 15), heard.event("start"), heard.event("die"))
    assert heard.cause() is EndCause.ITSELF


def test_the_stream_may_tell_late_what_docker_s_memory_has_told():
    heard = Heard()
    events = [heard.event("start"), heard.event("kill", 15), heard.event("die")]
    heard.remembers(*events)
    for event in events:
        heard.stop_detection.heard(event)
        assert heard.cause() is EndCause.TOLD


def test_a_signal_that_docker_may_have_forgotten_may_have_ended_it():
    heard = Heard()
    heard.remembers(heard.event("die"), others=RING)
    assert heard.cause() is EndCause.UNKNOWN
    heard = Heard()
    heard.remembers(heard.event("die"), others=RING - 2)
    assert heard.cause() is EndCause.ITSELF, "it remembers all"


def test_what_ends_long_after_docker_may_have_forgotten_a_signal_ended_by_itself():
    heard = Heard()
    heard.now_ns += 10**9
    heard.remembers(others=RING)
    heard.now_ns += 11 * 10**9
    heard.hears("die")
    assert heard.cause() is EndCause.ITSELF
    assert heard.cause(stop_timeout=60) is EndCause.UNKNOWN


def test_a_memory_that_goes_on_from_what_was_heard_has_forgotten_nothing_new():
    heard = Heard()
    last = heard.event("kill", 1)
    heard.stop_detection.heard(last)
    heard.remembers(last, heard.event("die"), others=RING)
    assert heard.cause() is EndCause.ITSELF


def test_docker_is_asked_about_an_end_once():
    heard = Heard()
    ended = shown("exited", started="2026-11-24T15:21:29Z", finished="2026-11-24T15:21:30Z")
    assert heard.stop_detection.may_learn(ended)
    assert heard.stop_detection.may_learn(ended), "the question was not answered"
    heard.stop_detection.asked_about(ended)
    assert not heard.stop_detection.may_learn(ended)
    later = shown("exited", started="2026-11-24T15:21:31Z", finished="2026-11-24T15:21:32Z")
    heard.stop_detection.remembered([], decode.unix_ns("2026-11-24T15:21:40Z"))
    assert heard.stop_detection.may_learn(later), "it was asked about another, before Docker told of this one"
    heard.stop_detection.remembered([], decode.unix_ns("2026-11-24T15:22:10Z"))
    assert not heard.stop_detection.may_learn(later), "it was asked long since"
    heard.stop_detection.forget(["abc"])
    assert heard.stop_detection.known() == frozenset()


@pytest.mark.parametrize(
    "told", [5, {}, {"Type": "container", "Action": "die"}, {"Type": "x", "Action": "y", "Actor": {"ID": "z"}}]
)
def test_what_is_no_event_is_not_understood(told):
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        event_from(told)


def test_an_event():
    attributes = {"signal": "15", "dev.orion.cluster": "00"}
    told = {"Type": "container", "Action": "kill", "Actor": {"ID": "c", "Attributes": attributes}, "timeNano": 7}
    assert event_from(told) == Event(7, "kill", "c", 15, ours=True)
    assert not event_from(told | {"Type": "network"}).ours
