"""Jobs and deployments as the API asks for them."""

from collections.abc import Callable

from msgspec.structs import replace

from orion.model.api.deployments import DeploymentView
from orion.model.api.job_codec import job_from_job_request
from orion.model.api.jobs import JobRequest, JobView, VersionView
from orion.model.api.plans import PlanView
from orion.model.ids import JobName
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.changes import Changes, before_a_change
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, ListRequest
from orion.node.services.freshness import Freshness
from orion.node.services.images import Images
from orion.node.services.plans import Plans
from orion.node.views import render_jobs
from orion.ports.clock import Clock
from orion.ports.peers import Principal
from orion.state.commands import AnyCommand
from orion.state.tables.cron import RunJob
from orion.state.tables.job_changes import PromoteJob, PutJob, RestartJob, RollBackJob, SetJobCount
from orion.state.tables.jobs import RemoveJob, StartJob, StopJob


class AskJobs(ListRequest, frozen=True, tag=24):
    read: Read
    page: Page = ALL


class AskJob(CallRequest[tuple[JobView, int]], frozen=True, tag=25):
    job: str
    read: Read


class AskVersions(CallRequest[tuple[list[VersionView], int]], frozen=True, tag=26):
    job: str
    read: Read


class AskDeployments(ListRequest, frozen=True, tag=27):
    read: Read
    page: Page = ALL


class AskDeployment(CallRequest[tuple[DeploymentView, int]], frozen=True, tag=28):
    deployment: int
    read: Read


class Jobs:
    """Each method as service.JobService has it."""

    def __init__(
        self,
        *,
        clock: Clock,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        changes: Changes,
        freshness: Freshness,
        plans: Plans,
        images: Images,
    ) -> None:
        self._plans = plans
        self._images = images
        self._clock = clock
        self._driver = driver
        self._forward = forward
        self._changes = changes
        self._freshness = freshness
        registry.answer_list(AskJobs, self._answer_jobs)
        registry.answer_call(AskJob, self._answer_job)
        registry.answer_call(AskVersions, self._answer_versions)
        registry.answer_list(AskDeployments, self._answer_deployments)
        registry.answer_call(AskDeployment, self._answer_deployment)

    async def find(self, read: Read, page: Page = ALL) -> Listing:
        return await self._forward.ask(AskJobs(read, page))

    async def get(self, job: str, read: Read) -> tuple[JobView, int]:
        return await self._forward.ask(AskJob(job, read))

    async def versions(self, job: str, read: Read) -> tuple[list[VersionView], int]:
        return await self._forward.ask(AskVersions(job, read))

    async def deployments(self, read: Read, page: Page = ALL) -> Listing:
        return await self._forward.ask(AskDeployments(read, page))

    async def deployment(self, deployment: int, read: Read) -> tuple[DeploymentView, int]:
        return await self._forward.ask(AskDeployment(deployment, read))

    async def put(
        self,
        job: str,
        request: JobRequest,
        *,
        if_version: int,
        plan: str,
        idempotency_key: str,
        timeout_s: float,
    ) -> JobView:
        job_from_job_request(request, job, 0)  # what is wrong is told before a registry is asked
        request, notes = await before_a_change(self._images.pin(job, request, timeout_s))
        asked = job_from_job_request(request, job, self._clock.wall_ms())
        if_version = await self._plans.bound_version(job, request, plan, if_version=if_version, timeout_s=timeout_s)
        await self._changes.make(
            lambda at_ms, key, since: PutJob(at_ms, asked, key, since, if_version),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        return replace(await self._after(job, timeout_s), notes=notes)

    async def plan(self, job: str, request: JobRequest, *, timeout_s: float) -> PlanView:
        job_from_job_request(request, job, 0)
        request, notes = await self._images.pin(job, request, timeout_s)
        found = await self._plans.plan(job, request, timeout_s=timeout_s)
        return replace(found, warnings=[*found.warnings, *notes])

    async def set_count(self, job: str, count: int, *, timeout_s: float) -> JobView:
        return await self._change(SetJobCount, job, timeout_s, count=count)

    async def roll_back(self, job: str, version: int, *, timeout_s: float) -> JobView:
        return await self._change(RollBackJob, job, timeout_s, version=version)

    async def restart(self, job: str, *, timeout_s: float) -> JobView:
        return await self._change(RestartJob, job, timeout_s)

    async def promote(self, job: str, *, timeout_s: float) -> JobView:
        return await self._change(PromoteJob, job, timeout_s)

    async def run(self, job: str, *, idempotency_key: str, timeout_s: float) -> JobView:
        _, seen_at = await self._before(job, timeout_s)
        done = await self._changes.make(
            lambda at_ms, key, since: RunJob(at_ms, JobName(job), key, since),
            timeout_s,
            idempotency_key=idempotency_key,
            seen_at=seen_at,
        )
        return await self._after(done.subject, timeout_s)

    async def stop(self, job: str, *, timeout_s: float) -> JobView:
        return await self._change(StopJob, job, timeout_s)

    async def start(self, job: str, *, timeout_s: float) -> JobView:
        return await self._change(StartJob, job, timeout_s)

    async def delete(self, job: str, *, timeout_s: float) -> JobView:
        view, seen_at = await self._before(job, timeout_s)
        await self._changes.make(
            lambda at_ms, key, since: RemoveJob(at_ms, JobName(job), key, since, view.created_index),
            timeout_s,
            seen_at=seen_at,
        )
        return view

    async def _change(
        self, kind: Callable[..., AnyCommand], job: str, timeout_s: float, **fields: object
    ) -> JobView:
        """`kind`: a command about a job, with these fields of its own."""
        _, seen_at = await self._before(job, timeout_s)
        await self._changes.make(
            lambda at_ms, key, since: kind(
                at_ms=at_ms, job=JobName(job), idempotency_key=key, since=since, **fields
            ),
            timeout_s,
            seen_at=seen_at,
        )
        return await self._after(job, timeout_s)

    async def _before(self, job: str, timeout_s: float) -> tuple[JobView, int]:
        return await before_a_change(self.get(job, Read(timeout_s=timeout_s)))

    async def _after(self, job: str, timeout_s: float) -> JobView:
        return (await self.get(job, self._changes.read_after(timeout_s)))[0]

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_jobs(self, request: AskJobs, _: Principal) -> Listing:
        return await self._freshness.listing(
            request.read, ("jobs", request.page), lambda: render_jobs.jobs(self._driver.view, request.page)
        )

    async def _answer_job(self, request: AskJob, _: Principal) -> tuple[JobView, int]:
        await self._freshness.reached(request.read)
        return render_jobs.job(self._driver.view, request.job), self._driver.applied_index

    async def _answer_versions(self, request: AskVersions, _: Principal) -> tuple[list[VersionView], int]:
        await self._freshness.reached(request.read)
        return render_jobs.versions(self._driver.view, request.job), self._driver.applied_index

    async def _answer_deployments(self, request: AskDeployments, _: Principal) -> Listing:
        return await self._freshness.listing(
            request.read,
            ("deployments", request.page),
            lambda: render_jobs.deployments(self._driver.view, request.page),
        )

    async def _answer_deployment(self, request: AskDeployment, _: Principal) -> tuple[DeploymentView, int]:
        await self._freshness.reached(request.read)
        return render_jobs.deployment(self._driver.view, request.deployment), self._driver.applied_index
