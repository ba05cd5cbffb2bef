"""The leader's commands about deployments: steps, the turn back, the end. Each is checked again here: it was
decided from an older state.
"""

from msgspec.structs import replace

from orion.model.deployment import NO_VERSION, Deployment, DeploymentState
from orion.model.ids import AllocationId
from orion.model.levels import since
from orion.state import rollouts
from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_NUMBER, MAX_TEXT, first, longer, outside
from orion.state.core.step import Step
from orion.state.floors import held_back
from orion.state.job_record import JobRecord
from orion.state.records import Tables
from orion.state.tables import job_uses
from orion.state.tables.deployment_rows import MAX_REASON, Deployments
from orion.state.tables.history import ChangeKind, note

MAX_BEGUN = 500  # slots in one step
MAX_RETIRED = 500


@since(2)
class StepDeployment(Command, frozen=True, array_like=True, tag=25):
    """Has the slots `begin` want the deployment's goal, and the allocations `retire` end. `alone`: from now on a
    slot wants nothing before all that was in it has ended. `progress`: something new is ready.
    """

    deployment: int
    begin: tuple[int, ...] = ()
    retire: tuple[AllocationId, ...] = ()
    alone: bool = False
    progress: bool = True


@since(2)
class TurnDeployment(Command, frozen=True, array_like=True, tag=26):
    """It failed: back to where it came from."""

    deployment: int
    reason: str


@since(2)
class EndDeployment(Command, frozen=True, array_like=True, tag=27):
    deployment: int
    state: DeploymentState
    reason: str = ""


def _step_fault(step: StepDeployment) -> str:
    return first(
        (
            outside("deployment", step.deployment, MAX_NUMBER),
            outside("begun slots", len(step.begin), MAX_BEGUN),
            outside("retired allocations", len(step.retire), MAX_RETIRED),
            first(outside("slot", index, MAX_NUMBER) for index in step.begin),
        )
    )


def _reason_fault(command: TurnDeployment | EndDeployment) -> str:
    return longer("reason", len(command.reason), MAX_TEXT) or outside("deployment", command.deployment, MAX_NUMBER)


def _subject(state: Tables, deployment: int) -> tuple[Deployment, JobRecord] | None:
    """The deployment while it runs, and its job."""
    row = state.of(Deployments).get(deployment)
    if row is None or not row.running:
        return None
    record = state.jobs.get(row.job)
    if record is None or record.job.created_index != row.created_index or not record.job.wanted:
        return None
    return row, record


@command(StepDeployment, fault=_step_fault)
def step_deployment(state: Tables, step: Step, command: StepDeployment) -> None:
    if (found := _subject(state, command.deployment)) is None:
        return
    row, record = found
    if command.alone != (record.rollout is not None and record.rollout.alone):
        rollouts.set_alone(state, record, alone=command.alone)
    retire = [state.allocations[each] for each in command.retire if rollouts.is_wanted(state, row.job, each)]
    held = held_back(record, retire, stop_first=command.alone)
    rollouts.retire(state, row.job, [each.id for each in retire if each.index not in held])
    for index in command.begin:
        if index < record.job.count and not (command.alone and index in held):
            rollouts.point(state, record, index, row.goal)
    job_uses.keep(state, row.job)  # the last slot that wanted a version may want another one now
    if command.progress:
        state.of(Deployments).put(replace(row, progress_at_ms=step.at_ms))


@command(TurnDeployment, fault=_reason_fault)
def turn_deployment(state: Tables, step: Step, command: TurnDeployment) -> None:
    if (found := _subject(state, command.deployment)) is None:
        return
    row, record = found
    if row.rolling_back:
        return  # decided once more before the first time was known to be in the log
    specs = record.rollout.specs if record.rollout else {}
    if row.from_version == NO_VERSION or row.from_version not in specs:
        state.of(Deployments).end(step, row, DeploymentState.FAILED, command.reason)
        return
    job = replace(record.job, version=row.from_version, task=specs[row.from_version])
    rollouts.change_job(state, record, job)
    rollouts.forgive(state, record)
    reason = command.reason[:MAX_REASON]
    state.of(Deployments).put(replace(row, rolling_back=True, reason=reason, progress_at_ms=step.at_ms))
    job_uses.keep(state, row.job)
    note(state, step, ChangeKind.ROLLED_BACK, job)
    text = f"deployment {row.id} of {row.job} goes back to version {job.version}: {reason}"
    step.tell("DeploymentRollsBack", row.job, text)


@command(EndDeployment, fault=_reason_fault)
def end_deployment(state: Tables, step: Step, command: EndDeployment) -> None:
    if (found := _subject(state, command.deployment)) is None:
        return
    row, record = found
    done = command.state in (DeploymentState.DONE, DeploymentState.ROLLED_BACK)
    if done and not rollouts.settle_versions(state, record):
        return
    job_uses.keep(state, row.job)
    rollouts.set_alone(state, record, alone=False)
    state.of(Deployments).end(step, row, command.state, command.reason)


TABLES = ()
COMMANDS = (step_deployment, turn_deployment, end_deployment)
