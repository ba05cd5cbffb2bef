"""Who ended a container: Docker keeps no note of it, but its events tell of every signal sent through it, by
`docker stop`, `docker kill` and by its own shutdown. An exit code says nothing: many programs end with 0 when they
are told to end.

Events come as a stream, and Docker remembers the last few of its present run (RING), which is asked for whenever
something may have been missed: at the beginning of each stream, and about an end that the stream has not told of.
What neither tells stays unknown.
"""

import re
import signal
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from orion.adapters.docker import decode
from orion.adapters.docker.spec import PREFIX
from orion.model.container import EndCause

RING = 256  # events of all kinds that Docker remembers; none of its run before
# A container has ended when its program has, and Docker tells of it once it has got round to it.
LATE_NS = 30 * 1_000_000_000
DEFAULT_GRACE_S = 10  # of `docker stop`, for a container that does not say

_RTMIN, _RTMAX = 34, 64  # as Docker counts them
_REAL_TIME = r"RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?"


class Event(NamedTuple):
    """One of Docker's events. `subject` is a container or whatever else it is about; `signal` that of a kill. Equal
    ones are the same, told twice.
    """

    time_ns: int
    action: str
    subject: str
    signal: int | None
    ours: bool  # of a container of Orion's


def event_from(told: dict[str, Any]) -> Event:
    """Raises AttributeError, KeyError, TypeError or ValueError for what is not as Docker has it."""
    actor = told["Actor"]
    attributes = actor.get("Attributes") or {}
    ours = told["Type"] == "container" and f"{PREFIX}cluster" in attributes
    number = number_of(attributes.get("signal", "")) if told["Action"] == "kill" else None
    return Event(int(told["timeNano"]), str(told["Action"]), str(actor["ID"]), number, ours)


class _Run(msgspec.Struct):
    """One run of a container. Times are the engine's, in Unix nanoseconds."""

    sent_ns: dict[int, int] = {}  # signal -> when it was sent last
    died_ns: int = 0


class StopDetection:
    """The signals that each container got since it last started, and its end if that was heard of."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._recent: deque[Event] = deque(maxlen=RING)  # heard by the stream
        self._replayed: frozenset[Event] = frozenset()  # told from Docker's memory
        self._missed_until_ns = 0  # some event before that may have been missed
        self._asked_ns = 0  # what Docker remembered was asked for at this time of the engine's
        self._asked_about: dict[str, int] = {}  # container -> the end that it was asked for

    def heard(self, event: Event) -> None:
        """Takes one of the stream, which may tell what Docker's memory has told before."""
        if event not in self._replayed:
            self._recent.append(event)
            self._note(event)

    def remembered(self, events: Sequence[Event], now_ns: int) -> None:
        """Takes all that Docker remembers at `now_ns`, of whatever kind, oldest first."""
        again = frozenset(events)
        goes_on = not again.isdisjoint(self._replayed) or not again.isdisjoint(self._recent)
        if len(events) >= RING and not goes_on:
            self._missed_until_ns = events[0].time_ns
        for event in events:
            if event.ours:
                self._note(event)
        self._replayed, self._asked_ns = again, now_ns

    def _note(self, event: Event) -> None:
        match event:
            case Event(action="start" | "destroy", subject=container):
                self._runs.pop(container, None)
            case Event(action="kill", subject=container, signal=int(number)):
                self._runs.setdefault(container, _Run()).sent_ns[number] = event.time_ns
            case Event(action="die", subject=container):
                self._runs.setdefault(container, _Run()).died_ns = event.time_ns

    def known(self) -> frozenset[str]:
        return frozenset(self._runs) | frozenset(self._asked_about)

    def forget(self, containers: Iterable[str]) -> None:
        for container in containers:
            self._runs.pop(container, None)
            self._asked_about.pop(container, None)

    def cause(self, shown: dict[str, Any]) -> EndCause:
        """Returns why this container, which has ended, did so. Only its own stop signal and SIGKILL ask it to end;
        others mean what the program makes of them (SIGHUP: read your configuration again).
        """
        run = self._runs.get(shown["Id"])
        if run is None:
            return EndCause.UNKNOWN
        config, began_ns = shown["Config"], decode.unix_ns(shown["State"]["StartedAt"])
        ending = {number_of(config.get("StopSignal") or "SIGTERM"), int(signal.SIGKILL)}
        if any(number in ending and sent_ns >= began_ns for number, sent_ns in run.sent_ns.items()):
            return EndCause.TOLD
        grace_ns = (config.get("StopTimeout") or DEFAULT_GRACE_S) * 1_000_000_000
        may_have_missed = began_ns < self._missed_until_ns and run.died_ns - grace_ns < self._missed_until_ns
        return EndCause.UNKNOWN if run.died_ns < began_ns or may_have_missed else EndCause.ITSELF

    def may_learn(self, shown: dict[str, Any]) -> bool:
        """Returns whether Docker may know more of this end, whose cause is unknown, than it was asked for so far.
        Once for each end: on a machine whose clock was set back, all that Docker knows may seem to be older.
        """
        ended_ns = _ended_ns(shown)
        return ended_ns + LATE_NS > self._asked_ns and self._asked_about.get(shown["Id"]) != ended_ns

    def asked_about(self, shown: dict[str, Any]) -> None:
        """Docker has told what it remembers since it was said to have ended."""
        self._asked_about[shown["Id"]] = _ended_ns(shown)


def _ended_ns(shown: dict[str, Any]) -> int:
    state = shown["State"]
    return max(decode.unix_ns(state["StartedAt"]), decode.unix_ns(state["FinishedAt"]))


def number_of(text: str) -> int | None:
    """15, "15", SIGTERM, TERM, SIGRTMIN+3 -> the number; None for what is none."""
    name = str(text).upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        return int(name)
    if match := re.fullmatch(_REAL_TIME, name):
        base = _RTMIN if match[1] == "MIN" else _RTMAX
        return base + int(f"{match[2] or '+'}{match[3] or 0}")
    found = signal.Signals.__members__.get(f"SIG{name}")
    return None if found is None else int(found)
