"""The jobs of a FakeService: a real replicated state, without the log."""

from msgspec.structs import replace

from orion.model.api.job_codec import job_from_job_request
from orion.model.errors import Conflict, OrionError
from orion.model.levels import LEVEL
from orion.node.rpc.reads import ALL
from orion.node.views import render_jobs
from orion.node.views.plans import look, plan_view, refuse_infeasible
from orion.node.views.rehearsal import rehearse
from orion.state.apply import apply
from orion.state.check import rebuilt
from orion.state.tables import State
from orion.state.tables.cron import RunJob
from orion.state.tables.job_changes import PromoteJob, PutJob, RestartJob, RollBackJob, SetJobCount
from orion.state.tables.jobs import RemoveJob, StartJob, StopJob

NOW_MS = 1_700_000_000_000


class FakeJobs:
    """`service` says how reads wait, and has the index."""

    def __init__(self, service) -> None:
        self._service = service
        self.state = State()
        self.state.level = LEVEL
        self.asked: list[dict] = []
        self.notes: list[str] = []  # of the next changes

    async def get(self, job, read):
        await self._service._read(read)
        return render_jobs.job(self.state.view, job), self._service.index

    async def find(self, read, page=ALL):
        await self._service._read(read)
        return self._service.listing(render_jobs.jobs(self.state.view, ALL)[0], "name", page)

    async def versions(self, job, read):
        await self._service._read(read)
        return render_jobs.versions(self.state.view, job), self._service.index

    async def deployments(self, read, page=ALL):
        await self._service._read(read)
        return self._service.listing(render_jobs.deployments(self.state.view, ALL)[0], "id", page)

    async def deployment(self, deployment, read):
        await self._service._read(read)
        return render_jobs.deployment(self.state.view, deployment), self._service.index

    async def put(self, job, request, *, if_version, plan, idempotency_key, timeout_s):
        asked = job_from_job_request(request, job, NOW_MS)
        refuse_infeasible(self.state.view, asked)
        if plan and plan != (await self.plan(job, request, timeout_s=timeout_s)).token:
            raise Conflict("the plan does not hold any more")
        key = idempotency_key or f"put {self._service.index}"
        put = PutJob(NOW_MS, asked, key, self._service.index, if_version)
        return replace(await self._change(put, timeout_s), notes=self.notes)

    async def plan(self, job, request, *, timeout_s):
        await self._service._check()
        asked = job_from_job_request(request, job, NOW_MS)
        before = look(self.state.view, asked)
        steps = rehearse(rebuilt(self.state), asked)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return plan_view(before, asked, end.value)

    async def set_count(self, job, count, *, timeout_s):
        return await self._asked(SetJobCount, job, timeout_s, count=count)

    async def roll_back(self, job, version, *, timeout_s):
        return await self._asked(RollBackJob, job, timeout_s, version=version)

    async def restart(self, job, *, timeout_s):
        return await self._asked(RestartJob, job, timeout_s)

    async def promote(self, job, *, timeout_s):
        return await self._asked(PromoteJob, job, timeout_s)

    async def run(self, job, *, idempotency_key, timeout_s):
        key = idempotency_key or f"run {self._service.index}"
        return await self._change(RunJob(NOW_MS, job, key, self._service.index), timeout_s)

    async def stop(self, job, *, timeout_s):
        return await self._asked(StopJob, job, timeout_s)

    async def start(self, job, *, timeout_s):
        return await self._asked(StartJob, job, timeout_s)

    async def delete(self, job, *, timeout_s):
        view = render_jobs.job(self.state.view, job)
        await self._asked(RemoveJob, job, timeout_s, gone=True)
        return view

    async def _asked(self, kind, job, timeout_s, *, gone=False, **fields):
        index = self._service.index
        command = kind(at_ms=NOW_MS, job=job, idempotency_key=f"{kind} {index}", since=index, **fields)
        return await self._change(command, timeout_s, gone=gone)

    async def _change(self, command, timeout_s, *, gone=False):
        await self._service._check()
        self.asked.append({"command": command, "timeout_s": timeout_s})
        self._service.index += 1
        result = apply(self.state, self._service.index, command).result
        if isinstance(result, OrionError):
            raise result
        return None if gone else render_jobs.job(self.state.view, result)
