"""Cron jobs, as methods of the client; they are put, stopped and removed as all jobs are."""

from orion.client.session import Session, new_key, path_of, stale_query
from orion.model.api.jobs import JobView
from orion.model.api.schedule_fields import RunView


class Cron(Session):
    def runs(self, name: str, *, stale: bool = False) -> list[RunView]:
        """The last runs of a cron job, oldest first; those that were skipped or missed too."""
        return self._get(f"{path_of('/jobs', name)}/runs", list[RunView], stale_query(stale))[0]

    def run_job(self, name: str, *, idempotency_key: str = "") -> JobView:
        """Runs a cron job now, beside its times, or again a batch job that has ended. Returns the job that runs."""
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        return self._decoded(self._ask("POST", f"{path_of('/jobs', name)}/run", {}, headers), JobView)
