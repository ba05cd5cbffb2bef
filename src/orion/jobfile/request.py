"""The request that a job in a file is."""

from typing import Any

from orion.model.api.codec import job_from_request
from orion.model.api.tasks import TaskRequest

REQUEST = TaskRequest
# Right values of what every request needs, to judge the rest of one where they are wrong.
PLACEHOLDERS = {"name": "name", "image": "image"}


def refuse_wrong(request: Any, name: str) -> None:
    """Raises Invalid for a request that the cluster would refuse by itself, whatever it holds."""
    job_from_request(request, name, 0)
