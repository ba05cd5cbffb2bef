"""Tasks, as methods of the client."""

import msgspec

from orion.client.session import Session, new_key, page_query, path_of, stale_query
from orion.model.api.checks import RunChecksView
from orion.model.api.tasks import TaskRequest, TaskView


class Tasks(Session):
    def create_task(
        self, request: TaskRequest, *, wait_running_s: float = 0.0, idempotency_key: str = ""
    ) -> TaskView:
        """Committed when it returns. `wait_running_s` > 0: wait until it runs or has ended, or so long."""
        query = {"wait": "running"} if wait_running_s else {}
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key or new_key(),
        }
        body = msgspec.json.encode(request)
        answer = self._ask("POST", "/tasks", query, headers, body, timeout_s=wait_running_s or self._timeout_s)
        return self._decoded(answer, TaskView)

    def tasks(self, *, stale: bool = False, after: str = "", limit: int = 0) -> list[TaskView]:
        """By id. `limit` > 0: at most so many; the next page begins `after` the id of the last."""
        return self._get("/tasks", list[TaskView], {**stale_query(stale), **page_query(after, limit)})[0]

    def task(self, task: str, *, stale: bool = False) -> TaskView:
        """`task`: `job/index`, or `job` alone for a job of one task."""
        return self._get(path_of("/tasks", task), TaskView, stale_query(stale))[0]

    def poll_tasks(self, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[list[TaskView], int]:
        """All tasks and the index they were read at, once the state has passed `after_index`, or after `wait_s`."""
        return self._poll("/tasks", list[TaskView], after_index, wait_s)

    def poll_task(self, task: str, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[TaskView, int]:
        """As poll_tasks."""
        return self._poll(path_of("/tasks", task), TaskView, after_index, wait_s)

    def checks(self, task: str) -> list[RunChecksView]:
        """The last results of its health check, a run after the other, as their nodes remember them. Of a node that
        can't be asked there is a `reason` instead.
        """
        return self._decoded(self._ask("GET", f"{path_of('/tasks', task)}/checks"), list[RunChecksView])

    def delete_task(self, task: str, *, created_index: int = 0) -> TaskView:
        """Stop it and forget it. It is NotFound once its container has ended. A task that gets its name before then
        has another `created_index`, and waits. Where one is given, no other than that is deleted, but NotFound.
        """
        query = {"createdIndex": str(created_index)} if created_index else {}
        return self._decoded(self._ask("DELETE", path_of("/tasks", task), query), TaskView)

    def stop_task(self, task: str) -> TaskView:
        """Stop it and keep it. It may take its grace to end."""
        return self._decoded(self._ask("POST", f"{path_of('/tasks', task)}/stop"), TaskView)

    def start_task(self, task: str) -> TaskView:
        """Start it again when it was stopped, or has ended."""
        return self._decoded(self._ask("POST", f"{path_of('/tasks', task)}/start"), TaskView)
