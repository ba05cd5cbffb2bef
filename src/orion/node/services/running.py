"""Finds the run of a task that people mean who want to look into it."""

from orion.model.api.tasks import AllocationView, TaskView
from orion.model.errors import Conflict, NotFound, Unavailable
from orion.model.ids import NodeId, split_task_id
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.services.logs import Logs
from orion.node.views import render

MOST_TASKS_LOOKED_AT = 100


class Running:
    def __init__(self, *, me: NodeId, driver: RaftDriver, directory: Directory, logs: Logs) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._logs = logs

    async def run_of(self, task: str, *, ended: bool = False) -> AllocationView:
        """Returns the run of `task`; of a job's name alone, of its first task that runs. `ended`: one whose
        container has ended will do. Raises NotFound, Conflict where nothing runs, Unavailable where its node is
        gone.
        """
        view = await self._view(task)
        run = _newest(view, ended=ended)
        if run is None:
            why = f"{view.state}: {view.reason}" if view.reason else view.state
            raise Conflict(f"{view.id} does not run now, it is {why}")
        node = NodeId(run.node_id)
        known, seen = self._driver.view.node(node), self._directory.seen(node)
        led = bool(self._driver.standing.leader)
        if node != self._me and (gone := render.why_gone(known, seen, led=led)):
            raise Unavailable(f"{view.id} is on {node}, which {gone}")
        return run

    async def _view(self, task: str) -> TaskView:
        name, index = split_task_id(task)
        if index is not None:
            return (await self._logs.task(task))[0]
        first = (await self._logs.task(f"{name}/0"))[0]
        view, number = first, 0
        while _newest(view, ended=False) is None and number + 1 < MOST_TASKS_LOOKED_AT:
            number += 1
            try:
                view = (await self._logs.task(f"{name}/{number}"))[0]
            except NotFound:
                return first
        return view


def _newest(view: TaskView, *, ended: bool) -> AllocationView | None:
    running = next((run for run in reversed(view.allocations) if run.state == "running"), None)
    return running or next((run for run in reversed(view.allocations) if ended and run.started_at), None)
