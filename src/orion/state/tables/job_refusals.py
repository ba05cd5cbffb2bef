"""Jobs that can't be, by what else there is."""

from orion.model.errors import OrionError, Refused
from orion.model.job import Job
from orion.state.order import circle
from orion.state.records import Tables
from orion.state.tables.ingress import refuse_ports
from orion.state.tables.job_links import refuse_aliases
from orion.state.tables.networks import missing_network
from orion.state.tables.volumes import refuse_volumes


def refuse_circle(state: Tables, job: Job) -> Refused | None:
    """Refuses a job with which some would wait for each other: none of these would ever start."""
    names = circle(state.jobs.get, job) if job.task.after else ()
    if not names:
        return None
    return Refused(
        f"{job.name} can't wait for {names[1]}, which waits for it: {' -> '.join(names)}; take one of these out of"
        " 'after'"
    )


def refuse(state: Tables, job: Job) -> OrionError | None:
    """Refuses a job by what it names: other jobs, networks, volumes, ports of every node, and its aliases."""
    return (
        refuse_circle(state, job)
        or missing_network(state, job.name, job.task)
        or refuse_ports(state, job)
        or refuse_volumes(state, job)
        or refuse_aliases(state, job)
    )


TABLES = ()
COMMANDS = ()
