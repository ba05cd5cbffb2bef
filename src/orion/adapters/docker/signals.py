"""Who ended a container: Docker keeps no note of it, but its event stream tells of every signal sent through it, by
`docker stop`, `docker kill` and by its own shutdown. An exit code says nothing: many programs end with 0 when they
are told to end.
"""

import re
import signal
from typing import Any

_RTMIN, _RTMAX = 34, 64  # as Docker counts them
_REAL_TIME = re.compile(r"RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?")


class Signals:
    """Which signals each container has been sent since it last started, as far as this process heard."""

    def __init__(self) -> None:
        self._sent: dict[str, set[int]] = {}

    def heard(self, event: dict[str, Any]) -> None:
        container = event["Actor"]["ID"]
        if event["Action"] == "kill":
            number = number_of(event["Actor"]["Attributes"].get("signal", ""))
            if number is not None:
                self._sent.setdefault(container, set()).add(number)
        elif event["Action"] in ("start", "destroy"):
            self._sent.pop(container, None)

    def known(self) -> frozenset[str]:
        return frozenset(self._sent)

    def forget(self, containers: frozenset[str]) -> None:
        for container in containers:
            self._sent.pop(container, None)

    def told_to_end(self, shown: dict[str, Any]) -> bool:
        """Whether one of them asks this container to end: its own stop signal, or SIGKILL. Others mean what the
        program makes of them (SIGHUP: read your configuration again).
        """
        stop = number_of(shown["Config"].get("StopSignal") or "SIGTERM")
        return not self._sent.get(shown["Id"], set()).isdisjoint({stop, int(signal.SIGKILL)})


def number_of(text: str) -> int | None:
    """15, "15", SIGTERM, TERM, SIGRTMIN+3 -> the number; None for what is none."""
    name = str(text).upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        return int(name)
    if match := _REAL_TIME.fullmatch(name):
        base = _RTMIN if match[1] == "MIN" else _RTMAX
        return base + int(f"{match[2] or '+'}{match[3] or 0}")
    found = signal.Signals.__members__.get(f"SIG{name}")
    return None if found is None else int(found)
