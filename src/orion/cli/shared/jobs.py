"""Which tasks are meant by a name."""

from typing import TYPE_CHECKING

from orion.model.errors import Conflict, NotFound

if TYPE_CHECKING:
    from orion.client import Client, TaskView


def tasks_of(client: "Client", name: str) -> "list[TaskView]":
    """Returns the task `web/2`, or all tasks of the job `web`. Raises NotFound."""
    if "/" in name:
        return [client.task(name)]
    found = [task for task in client.tasks() if task.name == name]
    if not found:
        raise NotFound(f"there is no task {name}; 'orion ps' lists them")
    return found


def running_of(client: "Client", name: str) -> "list[TaskView]":
    """Returns those of them that run. Raises NotFound, Conflict where none does."""
    found = tasks_of(client, name)
    running = [task for task in found if task.state == "running"]
    if not running:
        raise Conflict(f"{name} does not run now, it is {found[0].state}")
    return running
