"""The history of jobs, as a method of the client."""

from orion.client.session import Session, path_of, stale_query
from orion.model.api.history import ChangeView


class History(Session):
    def history(self, task: str, *, stale: bool = False) -> list[ChangeView]:
        """The changes of the task's job, oldest first; of one that was removed not long ago, too."""
        return self._get(f"{path_of('/tasks', task)}/history", list[ChangeView], stale_query(stale))[0]
