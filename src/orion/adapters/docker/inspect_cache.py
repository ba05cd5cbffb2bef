"""Stands in for a container that can't be looked into. The engine holds a container's lock while it works on it,
for as long as that hangs, and of one that is damaged it has nothing but an error; the list of containers waits for
no lock.
"""

import logging
from collections.abc import Callable
from typing import Any

from orion.adapters.docker import decode
from orion.adapters.docker.stop_detection import StopDetection
from orion.model.container import Container, ContainerState
from orion.model.errors import EngineError

log = logging.getLogger(__name__)


class InspectCache:
    """Each container as it was last looked into, and those that can't be now."""

    def __init__(self) -> None:
        self._last: dict[str, Container] = {}
        self._failing: set[str] = set()
        self._odd: set[str] = set()  # their facts can't be understood

    def failing(self, container: str) -> bool:
        return container in self._failing

    def started(self, container: str, at_ms: int | None = None) -> None:
        """An end that was seen is that of the run before, which the list does not tell from that of this run.
        `at_ms` where it is not news: an end that was seen since stays.
        """
        last = self._last.get(container)
        if (
            last is not None
            and last.state is ContainerState.EXITED
            and (at_ms is None or last.finished_at_ms < at_ms)
        ):
            del self._last[container]

    def saw(self, shown: dict[str, Any], stop_detection: StopDetection) -> Container | None:
        """None when it is not Orion's."""
        found = self._understood(shown, lambda: decode.container(shown, stop_detection.cause))
        if found is not None:
            self._last[found.id] = found
            self._failing.discard(found.id)
        return found

    def instead(self, entry: dict[str, Any], error: EngineError) -> Container | None:
        """As it was, if it is still in that state, else what its entry in the list says."""
        listed = self._understood(entry, lambda: decode.listed(entry))
        if listed is None:
            return None
        if listed.id not in self._failing:
            log.warning("container %s is shown as it is listed: %s", listed.id[:12], error.detail)
            self._failing.add(listed.id)
        last = self._last.get(listed.id)
        if last is not None and last.state == listed.state:
            return last
        # Remembered, so that the end of a later run is not taken for that of an earlier one.
        self._last[listed.id] = listed
        return listed

    def forget_all_but(self, listed: frozenset[str], cluster: int) -> None:
        self._last = {c: f for c, f in self._last.items() if c in listed or f.labels.cluster != cluster}
        self._failing &= listed
        self._odd &= listed

    def _understood(self, shown: dict[str, Any], read: Callable[[], Container | None]) -> Container | None:
        """None, said once, when what is shown is not as Docker has it: that is one container's trouble."""
        try:
            return read()
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            id_ = str(shown.get("Id"))
            if id_ not in self._odd:
                log.warning("container %s is left alone, what is shown of it is odd: %r", id_[:12], error)
                self._odd.add(id_)
            return None
