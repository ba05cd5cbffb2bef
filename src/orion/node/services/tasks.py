"""Tasks as the API asks for them: reads from whoever follows the log, changes through it."""

import logging

from orion.model.allocation import TERMINAL
from orion.model.api.codec import job_from_request, name_for
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.errors import NotFound, Refused
from orion.model.ids import JobName, split_task_id
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.changes import Changes, before_a_change
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, ListRequest
from orion.node.runtime.deadline import deadline
from orion.node.services.freshness import Freshness
from orion.node.services.jobs import AskJob
from orion.node.views import render
from orion.ports.clock import Clock
from orion.ports.machine import Machine
from orion.ports.peers import Principal
from orion.state.tables.jobs import CreateJob, RemoveJob, StartJob, StopJob

log = logging.getLogger(__name__)

_SETTLED = frozenset({"running", *(str(s) for s in TERMINAL)} - {"lost"})


class AskTasks(ListRequest, frozen=True, tag=2):
    read: Read
    page: Page = ALL


class AskTask(CallRequest[tuple[TaskView, int]], frozen=True, tag=3):
    task: str
    read: Read


class Tasks:
    """Each method as service.Service has it."""

    def __init__(
        self,
        *,
        clock: Clock,
        machine: Machine,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        changes: Changes,
        freshness: Freshness,
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._driver = driver
        self._forward = forward
        self._changes = changes
        self._freshness = freshness
        registry.answer_list(AskTasks, self._answer_tasks)
        registry.answer_call(AskTask, self._answer_task)

    async def create(
        self, request: TaskRequest, *, idempotency_key: str, timeout_s: float, wait_running_s: float
    ) -> TaskView:
        name = request.name or name_for(request.image, self._machine.random_bits(20))
        job = job_from_request(request, JobName(name), self._clock.wall_ms())
        submitted = await self._changes.make(
            lambda at_ms, key, since: CreateJob(at_ms, job, key, since),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        view, index = await self.get(submitted.subject, self._changes.read_after(timeout_s))
        deadline_ms = self._clock.now_ms() + int(wait_running_s * 1000)
        while view.state not in _SETTLED and (left_ms := deadline_ms - self._clock.now_ms()) > 0:
            read = Read(after_index=index, wait_s=min(left_ms / 1000, 10.0), timeout_s=timeout_s)
            now, index = await self.get(view.id, read)
            if now.created_index != view.created_index:
                raise NotFound(f"{view.id} was removed, and another one has its name")
            view = now
        return view

    async def delete(self, task: str, *, created_index: int = 0, timeout_s: float) -> TaskView:
        view, seen_at = await self._before_a_write(task, timeout_s)
        await self._refuse_one_of_many(task, view, "rm", timeout_s)
        if created_index not in (0, view.created_index):
            raise NotFound(f"the {view.id} that is meant is gone: another one has its name")
        try:
            await self._changes.make(
                lambda at_ms, key, since: RemoveJob(at_ms, JobName(view.name), key, since, view.created_index),
                timeout_s,
                seen_at=seen_at,
            )
        except NotFound:
            return view  # somebody else was faster
        try:
            now, _ = await self.get(view.id, self._changes.read_after(timeout_s))
        except NotFound:
            log.debug("%s had nothing to stop", view.id)
            return view
        return now if now.created_index == view.created_index else view

    async def stop(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._change_job(StopJob, task, timeout_s)

    async def start(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._change_job(StartJob, task, timeout_s)

    async def _change_job(self, kind: type[StopJob | StartJob], task: str, timeout_s: float) -> TaskView:
        async with deadline(timeout_s, f"{task} was another one at each try"):
            while True:
                view, seen_at = await self._before_a_write(task, timeout_s)
                await self._refuse_one_of_many(task, view, "stop" if kind is StopJob else "start", timeout_s)
                try:
                    await self._ask_for(kind, view, seen_at, timeout_s)
                except NotFound as error:  # another one has the name since, or none
                    log.debug("looking at %s again: %s", task, error.detail)
                    continue
                return (await self.get(view.id, self._changes.read_after(timeout_s)))[0]

    async def _ask_for(
        self, kind: type[StopJob | StartJob], view: TaskView, seen_at: int, timeout_s: float
    ) -> None:
        await self._changes.make(
            lambda at_ms, key, since: kind(at_ms, JobName(view.name), key, since), timeout_s, seen_at=seen_at
        )

    async def find(self, read: Read, page: Page = ALL) -> Listing:
        return await self._forward.ask(AskTasks(read, page))

    async def get(self, task: str, read: Read) -> tuple[TaskView, int]:
        return await self._forward.ask(AskTask(task, read))

    async def _refuse_one_of_many(self, task: str, view: TaskView, verb: str, timeout_s: float) -> None:
        """Raises Refused for one task of a job of several: the job is all or nothing."""
        if split_task_id(task)[1] is None:
            return
        job, _ = await self._forward.ask(AskJob(view.name, Read(timeout_s=timeout_s)))
        if job.count > 1:
            raise Refused(
                f"{view.id} is one of {job.count:,} tasks of {job.name}: 'orion {verb} {job.name}' is for all of"
                f" them, and 'orion scale {job.name} {job.count - 1}' has one less"
            )

    async def _before_a_write(self, task: str, timeout_s: float) -> tuple[TaskView, int]:
        return await before_a_change(self.get(task, Read(timeout_s=timeout_s)))

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_tasks(self, request: AskTasks, _: Principal) -> Listing:
        return await self._freshness.listing(
            request.read, ("tasks", request.page), lambda: render.tasks(self._driver.view, request.page)
        )

    async def _answer_task(self, request: AskTask, _: Principal) -> tuple[TaskView, int]:
        await self._freshness.reached(request.read)
        return render.task(self._driver.view, request.task), self._driver.applied_index
