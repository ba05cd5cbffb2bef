"""Waiting for a task's states, through elections and nodes that come and go."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orion.client import Client, TaskView

POLL_S = 20.0
PAUSE_S = 0.1  # before each look but the first: on a busy cluster other things change all the time
AGAIN_S = 1.0
PATIENCE_S = 5.0  # with nodes that do not answer, however short the look

# States that a task does not leave by itself, and those of a run that is over.
ENDED = frozenset({"completed", "failed", "stopped"})
RUN_OVER = ENDED | {"lost"}


class Follower:
    """Follows one task: looks at it again whenever the cluster's state has moved on.

    `created_index` tells the task from others of its name; without one it is that of the first task seen.
    """

    def __init__(self, client: "Client", task: str, created_index: int = 0) -> None:
        self._client = client
        self._task = task
        self._created_index = created_index
        self._index = 0
        self._told = ""

    def look(self, wait_s: float = POLL_S) -> "TaskView | None":
        """Returns the task after the next change, or after `wait_s`; the first time as it is. Returns None when it
        is gone, though another may have its name. Raises Unavailable when no node has answered for `wait_s`, or for
        PATIENCE_S.
        """
        from orion.model.errors import NotFound, Unavailable

        since = 0.0
        if self._index:
            time.sleep(PAUSE_S)
        while True:
            try:
                task, self._index = self._client.poll_task(self._task, self._index, wait_s=max(0.1, wait_s))
            except NotFound:
                return None
            except Unavailable as error:
                since = since or time.monotonic()
                if time.monotonic() - since >= max(wait_s, PATIENCE_S):
                    raise
                self._tell(error.detail)
                time.sleep(AGAIN_S)
            else:
                self._told = ""
                self._created_index = self._created_index or task.created_index
                return task if task.created_index == self._created_index else None

    def _tell(self, why: str) -> None:
        from orion.cli.app import say

        if why != self._told:
            self._told = why
            say(f"{why}; trying again")


class Deadline:
    """A deadline; with `seconds` None there is none."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._until = float("inf") if seconds is None else time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self._until

    @property
    def left_s(self) -> float:
        """The time left for one look, at most POLL_S."""
        return max(0.0, min(POLL_S, self._until - time.monotonic()))


def exit_code(task: "TaskView") -> int | None:
    """Returns the program's exit code in the run that the task's state is about. None when it never ran, or the
    code is not known.
    """
    return next((run.exit_code for run in reversed(task.allocations) if run.state == task.state), None)
