"""The request that a job in a file is."""

from typing import Any

from msgspec.structs import replace

from orion.model.api.job_codec import job_from_job_request
from orion.model.api.jobs import JobRequest

REQUEST = JobRequest
# Right values of what every request needs, to judge the rest of one where they are wrong.
PLACEHOLDERS = {"name": "name", "image": "image"}


def refuse_wrong(request: Any, name: str) -> None:
    """Raises Invalid for a request that the cluster would refuse by itself, whatever it holds."""
    job_from_job_request(replace(request, name=name), name, 0)
