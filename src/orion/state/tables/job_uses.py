"""Other things that the versions of a job need are kept for it, wherever its versions, or those that its slots
want, change.
"""

from orion.model.ids import JobName
from orion.state.records import Tables
from orion.state.tables import ingress, job_configs, job_links


def keep(state: Tables, job: JobName) -> None:
    """Keeps what the job needs, and nothing else of it; nothing of a job that is gone."""
    job_configs.keep(state, job)
    ingress.keep(state, job)
    job_links.keep(state, job)


TABLES = ()
COMMANDS = ()
