"""Which tasks are meant by a name."""

from typing import TYPE_CHECKING

from orion.model.errors import Conflict

if TYPE_CHECKING:
    from orion.client import Client, TaskView

PAGE = 200  # tasks asked for at a time


def tasks_of(client: "Client", name: str, *, stale: bool = False) -> "list[TaskView]":
    """Returns the task `web/2`, or all tasks of the job `web`. Raises NotFound."""
    if "/" in name:
        return [client.task(name, stale=stale)]
    first = client.task(f"{name}/0", stale=stale)
    others: list[TaskView] = []
    while page := client.tasks(after=(others or [first])[-1].id, limit=PAGE, stale=stale):
        of_job = [task for task in page if task.name == first.name]
        others += of_job
        if len(of_job) < PAGE:
            break
    return [first, *others]


def running_of(client: "Client", name: str) -> "list[TaskView]":
    """Returns those of them that run. Raises NotFound, Conflict where none does."""
    found = tasks_of(client, name)
    running = [task for task in found if task.state == "running"]
    if not running:
        raise Conflict(f"{name} does not run now, it is {found[0].state}")
    return running
