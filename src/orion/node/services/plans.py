"""Plans: what a job that is asked for would change, and changes that are bound to one."""

import asyncio

from msgspec.structs import replace

from orion.model.api.job_codec import job_from_job_request
from orion.model.api.jobs import JobRequest
from orion.model.api.plans import PlanView
from orion.model.errors import Conflict, Unavailable
from orion.model.ids import JOB_NAME
from orion.model.job import Job
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.changes import before_a_change
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest
from orion.node.services.freshness import Freshness
from orion.node.views.plans import look, plan_view
from orion.node.views.rehearsal import Outcome, rehearse
from orion.ports.clock import Clock
from orion.ports.peers import Principal
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode
from orion.state.tables.job_configs import pinned

MAX_ALLOCATIONS = 50_000  # of a state that is copied for a plan
AT_A_TIME = 2  # plans that a node makes: each has a copy of the state


class AskPlan(CallRequest[PlanView], frozen=True, tag=32):
    """`whole` is False for who only asks whether it can be: the answer has counts of nothing then."""

    job: str
    request: JobRequest
    read: Read
    whole: bool = True

    def fault(self) -> str:
        return "" if JOB_NAME.fullmatch(self.job) else "not a job's name"


class Plans:
    """As service.JobService has it."""

    def __init__(
        self, *, clock: Clock, driver: RaftDriver, forward: Forward, registry: Registry, freshness: Freshness
    ) -> None:
        self._clock = clock
        self._driver = driver
        self._forward = forward
        self._freshness = freshness
        self._under_way = 0
        registry.answer_call(AskPlan, self._answer)

    async def plan(self, job: str, request: JobRequest, *, timeout_s: float) -> PlanView:
        return await self._forward.ask(AskPlan(job, request, Read(timeout_s=timeout_s)))

    async def bound_version(
        self, job: str, request: JobRequest, token: str, *, if_version: int, timeout_s: float
    ) -> int:
        """Returns the version at which the job has to be. Raises Invalid for what can't be, and Conflict when the
        plan `token`, if there is one, does not hold any more.
        """
        read = Read(timeout_s=timeout_s)
        found = await before_a_change(self._forward.ask(AskPlan(job, request, read, whole=bool(token))))
        if not token:
            return if_version
        if found.token != token:
            raise Conflict(
                f"the plan for {job} does not hold any more: the job, its image, or the room that there is for it,"
                " is another; nothing was changed; look at a new plan"
            )
        return if_version if if_version >= 0 or found.version is None else found.version

    async def _answer(self, request: AskPlan, _: Principal) -> PlanView:
        await self._freshness.reached(request.read)
        view = self._driver.view
        job = job_from_job_request(request.request, request.job, self._clock.wall_ms())
        job = replace(job, task=pinned(view, job.task))
        before = look(view, job)
        if not request.whole:
            return plan_view(before, job, Outcome(None))
        if view.allocation_count() > MAX_ALLOCATIONS:
            raise Unavailable(f"the cluster has more than {MAX_ALLOCATIONS:,} runs: no plan is made of so many")
        if self._under_way >= AT_A_TIME:
            raise Unavailable(f"{AT_A_TIME} plans are being made here already; try again")
        self._under_way += 1
        try:
            return plan_view(before, job, await self._rehearse(job))
        finally:
            self._under_way -= 1

    async def _rehearse(self, job: Job) -> Outcome:
        restorer = Restorer()
        for chunk in encode(capture(self._driver.state)):
            restorer.feed(chunk)
            await asyncio.sleep(0)
        steps = rehearse(restorer.finish(), job)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            await asyncio.sleep(0)
