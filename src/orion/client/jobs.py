"""Jobs and deployments, as methods of the client."""

import msgspec

from orion.client.session import Session, new_key, page_query, path_of, stale_query
from orion.model.api.deployments import DeploymentView
from orion.model.api.jobs import CountRequest, JobRequest, JobView, VersionView
from orion.model.api.plans import PlanView

_JSON = {"Content-Type": "application/json"}


class Jobs(Session):
    def put_job(
        self,
        name: str,
        request: JobRequest,
        *,
        if_version: int | None = None,
        plan: str = "",
        idempotency_key: str = "",
    ) -> JobView:
        """Have it run as described. Committed when it returns; what comes of it the deployment in the answer says.
        `if_version`: only if it is at this version; `plan`: only if the plan with this token still holds; else
        Conflict.
        """
        headers = {**_JSON, "Idempotency-Key": idempotency_key or new_key()}
        if if_version is not None:
            headers["If-Match"] = str(if_version)
        body = msgspec.json.encode(request)
        query = {"plan": plan} if plan else {}
        return self._decoded(self._ask("PUT", path_of("/jobs", name), query, headers, body), JobView)

    def plan_job(self, name: str, request: JobRequest) -> PlanView:
        """Says what put_job would do. Changes nothing."""
        body = msgspec.json.encode(request)
        return self._decoded(self._ask("POST", f"{path_of('/jobs', name)}/plan", {}, _JSON, body), PlanView)

    def jobs(self, *, stale: bool = False, after: str = "", limit: int = 0) -> list[JobView]:
        """By name. Pages as of tasks."""
        return self._get("/jobs", list[JobView], {**stale_query(stale), **page_query(after, limit)})[0]

    def poll_jobs(self, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[list[JobView], int]:
        """As poll_tasks."""
        return self._poll("/jobs", list[JobView], after_index, wait_s)

    def job(self, name: str, *, stale: bool = False) -> JobView:
        return self._get(path_of("/jobs", name), JobView, stale_query(stale))[0]

    def poll_job(self, name: str, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[JobView, int]:
        """As poll_tasks."""
        return self._poll(path_of("/jobs", name), JobView, after_index, wait_s)

    def job_versions(self, name: str, *, stale: bool = False) -> list[VersionView]:
        """Those that are kept, the newest first."""
        return self._get(f"{path_of('/jobs', name)}/versions", list[VersionView], stale_query(stale))[0]

    def set_count(self, name: str, count: int) -> JobView:
        """Have so many tasks."""
        body = msgspec.json.encode(CountRequest(count))
        return self._decoded(self._ask("PUT", f"{path_of('/jobs', name)}/count", {}, _JSON, body), JobView)

    def roll_back(self, name: str, to_version: int | None = None) -> JobView:
        """Go back to a version that is kept: without one, to the last that was healthy."""
        query = {} if to_version is None else {"toVersion": str(to_version)}
        return self._decoded(self._ask("POST", f"{path_of('/jobs', name)}/rollback", query), JobView)

    def restart_job(self, name: str) -> JobView:
        """Replace all tasks by new ones, as an update does."""
        return self._decoded(self._ask("POST", f"{path_of('/jobs', name)}/restart"), JobView)

    def promote(self, name: str) -> JobView:
        """Have the rest follow the canaries, or a paused deployment go on."""
        return self._decoded(self._ask("POST", f"{path_of('/jobs', name)}/promote"), JobView)

    def stop_job(self, name: str) -> JobView:
        """Stop it and keep it. Its tasks may take their grace to end."""
        return self._decoded(self._ask("POST", f"{path_of('/jobs', name)}/stop"), JobView)

    def start_job(self, name: str) -> JobView:
        """Start it again when it was stopped, or has ended."""
        return self._decoded(self._ask("POST", f"{path_of('/jobs', name)}/start"), JobView)

    def delete_job(self, name: str) -> JobView:
        """Stop it and forget it. It is NotFound once its last task has ended."""
        return self._decoded(self._ask("DELETE", path_of("/jobs", name)), JobView)

    def deployments(self, *, stale: bool = False, after: str = "", limit: int = 0) -> list[DeploymentView]:
        """The newest first. Pages as of tasks."""
        query = {**stale_query(stale), **page_query(after, limit)}
        return self._get("/deployments", list[DeploymentView], query)[0]

    def poll_deployments(self, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[list[DeploymentView], int]:
        """As poll_tasks."""
        return self._poll("/deployments", list[DeploymentView], after_index, wait_s)

    def deployment(self, deployment: int, *, stale: bool = False) -> DeploymentView:
        return self._get(f"/deployments/{deployment}", DeploymentView, stale_query(stale))[0]

    def poll_deployment(
        self, deployment: int, after_index: int = 0, *, wait_s: float = 30.0
    ) -> tuple[DeploymentView, int]:
        """As poll_tasks."""
        return self._poll(f"/deployments/{deployment}", DeploymentView, after_index, wait_s)
