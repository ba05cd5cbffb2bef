"""System jobs: a task on each node that matches."""

from msgspec.structs import replace

from orion.model.ids import JobName
from orion.model.job import JobKind
from orion.model.levels import since
from orion.state import mutations, rollouts
from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_NUMBER, MAX_WORD, longer, outside
from orion.state.core.step import Step
from orion.state.job_record import JobRecord
from orion.state.records import Tables
from orion.state.system_slots import homes_for
from orion.state.tables import job_uses


@since(2)
class FitSystemJob(Command, frozen=True, array_like=True, tag=33):
    """Have a slot for each node that matches now, and none for others."""

    job: JobName
    created_index: int


def _fault(fit: FitSystemJob) -> str:
    return longer("job", len(fit.job), MAX_WORD) or outside("created_index", fit.created_index, MAX_NUMBER)


@command(FitSystemJob, fault=_fault)
def fit_system_job(state: Tables, step: Step, fit: FitSystemJob) -> None:
    record = state.jobs.get(fit.job)
    if record is not None and record.job.created_index == fit.created_index:
        fit_job(state, step, record)


def fit_job(state: Tables, step: Step, record: JobRecord) -> None:
    """A job of another kind, and one that is not wanted, stays as it is."""
    job = record.job
    if job.kind is not JobKind.SYSTEM or not job.wanted or record.successor is not None:
        return
    homes = homes_for(job, record, state.nodes.values())
    if homes == job.homes:
        return
    rollouts.change_job(state, record, replace(job, homes=homes, count=len(homes)))
    job_uses.keep(state, job.name)
    for index in range(len(record.slots)):
        home = homes[index] if index < len(homes) else ""
        for allocation in record.history(index):
            if allocation.wanted and not allocation.terminal and allocation.node != home:
                mutations.set_unwanted(state, allocation)
        rollouts.reopen(state, record, index)
    came, gone = set(homes) - set(job.homes), set(job.homes) - set(homes)
    words = [f"now runs on {node}" for node in sorted(came) if node]
    words += [f"no longer runs on {node}" for node in sorted(gone) if node]
    step.tell("SystemJobFitted", job.name, f"{job.name} {', '.join(words[:10])}" + (", …" if words[10:] else ""))


TABLES = ()
COMMANDS = (fit_system_job,)
