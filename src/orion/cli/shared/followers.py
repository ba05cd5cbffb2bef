"""Output of several tasks that goes on: a thread reads each, and tasks that a job gets later are read too."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from orion.client import LogLine
from orion.model.errors import NotFound, OrionError

if TYPE_CHECKING:
    from orion.client import Client

Read = Callable[["Client", str], Iterator[LogLine]]

WAITING_LINES = 1_000  # read and not printed yet; past this nothing is read
_AGAIN_S = 1.0


class Followers:
    """`came` has a line of a task; a task's end as None, or as the error that ended it.

    `most`: tasks at a time, each a connection and a thread. `note` is told what is not followed.
    """

    def __init__(self, client: "Client", read: Read, most: int, note: Callable[[str], None]) -> None:
        self.came: queue.Queue[tuple[str, LogLine | OrionError | None]] = queue.Queue(WAITING_LINES)
        self._client = client
        self._read = read
        self._most = most
        self._note = note
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._left = 0

    @property
    def left(self) -> int:
        """Tasks whose end has not been said with `ended`."""
        with self._lock:
            return self._left

    def ended(self) -> None:
        with self._lock:
            self._left -= 1

    def start(self, task: str) -> None:
        """Reads a task's output, unless it is read already or `most` are."""
        with self._lock:
            if (name := _with_number(task)) in self._known:
                return
            self._known.add(name)
            if self._left >= self._most:
                self._note(f"{task} is not followed: {self._most} tasks are already")
                return
            self._left += 1
        threading.Thread(target=self._follow, args=(task,), daemon=True).start()

    def watch(self, job: str) -> None:
        """Starts to read the tasks that the job gets, until it is gone. Whoever has no tasks left does not wait."""
        threading.Thread(target=self._watch, args=(job,), daemon=True).start()

    def _follow(self, task: str) -> None:
        end: OrionError | None = None
        with self._client.again() as own:
            try:
                for line in self._read(own, task):
                    self.came.put((task, line))
            except OrionError as error:
                end = error
            finally:
                self.came.put((task, end))

    def _watch(self, job: str) -> None:
        from orion.cli.shared.jobs import tasks_of

        index, seen = 0, None
        with self._client.again() as own:
            while self.left:
                try:
                    view, index = own.poll_job(job, index)
                    tasks = (view.count, view.running, view.waiting)
                    for task in tasks_of(own, job) if tasks != seen else ():
                        self.start(task.id)
                    seen = tasks
                except NotFound:
                    return
                except OrionError:  # whoever reads a task tells it
                    time.sleep(_AGAIN_S)


def _with_number(task: str) -> str:
    return task if "/" in task else f"{task}/0"
