"""Who may open connections to a job's tasks over the cluster's networks."""

from orion.model.ids import JOB_NAME, JobName

MAX_ALLOWED = 64  # jobs that one job names


def allow_fault(allowed: tuple[JobName, ...]) -> str:
    """Says what no client's request has, "" where nothing is wrong."""
    if len(allowed) > MAX_ALLOWED:
        return f"allow_from names {len(allowed)} jobs"
    if any(not JOB_NAME.fullmatch(each) for each in allowed):
        return "allow_from is no job's name"
    return "allow_from names a job twice" if len(set(allowed)) < len(allowed) else ""


def is_allowed(asker: JobName, job: JobName, allowed: tuple[JobName, ...]) -> bool:
    """Returns whether a job's tasks may reach those of `job`, which names `allowed`."""
    return not allowed or asker == job or asker in allowed
