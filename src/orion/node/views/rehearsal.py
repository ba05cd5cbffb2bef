"""A change of a job, carried out in a copy of the state in which all that starts works."""

from collections.abc import Generator

import msgspec
from msgspec.structs import replace

from orion.model.after import waits_text
from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.deployment import DeploymentKind
from orion.model.errors import OrionError
from orion.model.ids import AllocationId
from orion.model.job import Job, JobKind
from orion.model.placement_text import refusal_text
from orion.model.update import UpdatePolicy
from orion.reconcile.deployment_look import NEVER_MS, Memory
from orion.reconcile.deployments import Decision, decide
from orion.scheduler.pools import Pools
from orion.scheduler.room import has_room
from orion.scheduler.schedule import schedule
from orion.state.apply import apply
from orion.state.job_record import JobRecord
from orion.state.order import unmet
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.deployments import StepDeployment
from orion.state.tables.job_changes import PutJob

MAX_LOOKS = 400_000  # at slots: some seconds of work
_START_MS = 1_000_000


class Outcome(msgspec.Struct, frozen=True):
    """`kind` is None when the job is so already. `order`: empty where no former task was replaced."""

    kind: DeploymentKind | None
    order: str = ""
    starts: int = 0
    start_nodes: dict[str, int] = {}
    stops: int = 0
    waits: int = 0
    ends: str = "done"
    reason: str = ""


def rehearse(state: State, job: Job) -> Generator[None, None, Outcome]:
    """Has the job be as asked, in `state`, which is the caller's own copy. Yields after each step, so that others
    have their turn. Raises what the command is refused with.
    """
    rehearsal = _Rehearsal(state, job)
    while rehearsal.ends is None:
        rehearsal.step()
        yield
    return rehearsal.outcome()


class _Rehearsal:
    def __init__(self, state: State, job: Job) -> None:
        self._state = state
        self._name = job.name
        self._now_ms = _START_MS
        self._memory = Memory({}, {})
        self._pools = Pools()
        self._looks_left = MAX_LOOKS
        self._before = {each.id for each in self._active()}
        self._unwanted = {each.id for each in self._active() if not each.wanted}
        self._replaces = False
        self._alone = False
        self._held = False  # by other jobs
        self.starts: dict[AllocationId, str] = {}
        self.stops: set[AllocationId] = set()
        self.ends: str | None = None
        self._reason = ""
        self._do(PutJob(self._now_ms, job, f"plan {state.index}", state.index))
        row = state.of(Deployments).latest(job.name)
        self._id = row.id if row else 0
        self._kind = row.kind if row and row.id == state.index else None
        if self._kind is None:
            self.ends = "done"
        elif self._record is not None and self._record.successor is not None:
            self.ends, self._reason = "unknown", f"what is left of the former {job.name} ends first"

    @property
    def _record(self) -> JobRecord | None:
        return self._state.view.job_record(self._name)

    def _do(self, command: object) -> None:
        result = apply(self._state, self._state.index + 1, command).result  # type: ignore[arg-type]
        if isinstance(result, OrionError):
            raise result

    def _active(self) -> list[Allocation]:
        return [each for each in self._state.view.allocations_of_job(self._name) if not each.terminal]

    def step(self) -> None:
        view = self._state.view
        plan = schedule(view, [*view.jobs_to_place(), *view.jobs_refused()], self._pools)
        moved = not plan.empty
        if moved:
            self._do(plan.command(self._now_ms))
        moved |= self._nodes_obey()
        moved |= self._lead(idle=not moved)
        self._now_ms += 1
        self._looks_left -= 1
        if self.ends is None and self._looks_left <= 0:
            self.ends, self._reason = "unknown", "it is too large to be followed to its end"

    def _nodes_obey(self) -> bool:
        moved = False
        for each in self._active():
            self._looks_left -= 1
            if each.id not in self._before:
                self.starts.setdefault(each.id, each.node)
            if not each.wanted:
                if each.id not in self._unwanted:
                    self.stops.add(each.id)
                self._report(each, AllocationStatus(AllocationState.STOPPED))
                moved = True
            elif each.status.state is AllocationState.SCHEDULED:
                works = AllocationStatus(AllocationState.RUNNING, started_at_ms=1, ready_since_ms=1)
                self._report(each, works)
                moved = True
        return moved

    def _report(self, each: Allocation, status: AllocationStatus) -> None:
        self._do(UpdateAllocations(self._now_ms, each.node, ((each.id, status),)))

    def _lead(self, *, idle: bool) -> bool:
        view, record = self._state.view, self._record
        row = view.of(Deployments).get(self._id)
        if record is None or row is None:
            self.ends = "done"
            return False
        if not row.running:
            if idle:
                self.ends = "done" if row.state.value == "done" else "stuck"
                self._reason = row.reason
            return False
        decision = decide(
            record,
            row,
            record.job.update or UpdatePolicy(),
            self._memory,
            now_ms=self._now_ms,
            has_room=lambda: has_room(view, record, row.goal, self._pools),
            waits_for=lambda: refusal_text(record.refusal, record.job.task) if record.refusal else "",
            held_by=lambda: self._held_by(record, row.goal),
        )
        self._looks_left -= len(record.slots)
        command = decision.command
        if isinstance(command, StepDeployment):
            self._note(record, command)
            self._do(replace(command, at_ms=self._now_ms))
            return True
        if command is not None and not (row.rolling_back or getattr(command, "state", "") == "done"):
            self.ends, self._reason = "stuck", getattr(command, "reason", "")
            return False
        if command is not None:
            self._do(replace(command, at_ms=self._now_ms))
            return True
        if idle:
            self._wait(decision)
        return False

    def _held_by(self, record: JobRecord, version: int) -> str:
        """Without since when: the time here is none."""
        waits = unmet(self._state.view.job_record, record, version)
        self._held = bool(waits)
        return waits_text(waits) if waits else ""

    def _note(self, record: JobRecord, command: StepDeployment) -> None:
        former = [each for each in self._active() if each.wanted and each.id in self._before]
        if record.job.kind is JobKind.BATCH:  # all of its slots have begun
            replaced = any(each.id in command.retire and each.index < record.job.count for each in former)
        else:
            replaced = any(each.index in command.begin for each in former)
        if replaced:
            self._replaces = True
            self._alone |= command.alone

    def _wait(self, decision: Decision) -> None:
        """Nothing happens before its time: that is soon, or it is stuck."""
        again_ms = decision.again_ms
        if again_ms >= decision.gives_up_ms or again_ms == NEVER_MS:
            held = self._held or decision.for_a_word
            self.ends, self._reason = ("held" if held else "stuck"), decision.why
        else:
            self._now_ms = max(self._now_ms, again_ms - 1)

    def outcome(self) -> Outcome:
        record = self._record
        nodes: dict[str, int] = {}
        for node in self.starts.values():
            nodes[node] = nodes.get(node, 0) + 1
        explicit = record.job.update.order.value if record is not None and record.job.update else "auto"
        order = ""
        if self._replaces:
            order = "stop-first" if self._alone or explicit == "stop-first" else "start-first"
        return Outcome(
            self._kind,
            order,
            len(self.starts),
            dict(sorted(nodes.items())),
            len(self.stops),
            record.open_count if record is not None and self.ends != "done" else 0,
            self.ends or "unknown",
            self._reason,
        )
