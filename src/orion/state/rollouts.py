"""The steps by which a job comes to another version, as `mutations` has those of everything else."""

from collections.abc import Iterable

from msgspec.structs import replace

from orion.model.allocation import AllocationState
from orion.model.ids import AllocationId, JobName
from orion.model.job import Job, JobKind
from orion.state import mutations
from orion.state.job_record import JobRecord, Rollout, slot_wants
from orion.state.records import Tables

KEPT_VERSIONS = 10  # former ones that nothing needs, to go back to


def rollout_of(record: JobRecord) -> Rollout:
    if record.rollout is None:
        record.rollout = Rollout(record.job.version)
    return record.rollout


def next_version(record: JobRecord) -> int:
    return (record.rollout.last if record.rollout else record.job.version) + 1


def change_job(state: Tables, record: JobRecord, job: Job) -> None:
    """The job is `job` from here on. Its slots go on wanting what they did: another version comes to each of them
    by `point`. But those of a batch want it at once: what is to be done is not done by what was before.
    """
    former, held, alone = record.job, len(record.slots), record.alone
    anew = job.kind is JobKind.BATCH and job.version != former.version
    if job.version != former.version:
        rollout = rollout_of(record)
        rollout.specs[former.version] = former.task
        rollout.specs.pop(job.version, None)
        rollout.last = max(rollout.last, job.version)
        if anew:
            rollout.slots = None
        elif rollout.slots is None:
            rollout.slots = [former.version] * len(record.slots)
    if job.count != former.count:
        rollout_of(record)  # which slots there are no longer follows from the count
    record.job = job
    mutations.fit_slots(state, record)
    # What was too many and has not ended is in its slot still, which is one of the job again.
    for index in range(former.count, min(job.count, held)):
        reopen(state, record, index)
    if record.alone != alone or anew:
        for index in range(min(former.count, job.count)):
            if len(record.history(index)):
                reopen(state, record, index)
    # Its place in queues may be another, and what was said of another version counts no more.
    mutations.set_refusal(state, record, "" if anew else record.refusal)
    if anew:
        mutations.note_awaited(state, job.name)
    forget_versions(record)


def run_again(state: Tables, record: JobRecord) -> Job:
    """A batch that has ended runs once more, as another version of the same spec: what has completed of the former
    one stays so. Returns the job as it is then.
    """
    job = replace(record.job, version=next_version(record), collected=False)
    change_job(state, record, job)
    mutations.open_job(state, record, job)
    return job


def point_all(record: JobRecord) -> None:
    """All slots want the job's own version from here on; for a job none of whose slots wants anything now."""
    if record.rollout is not None:
        record.rollout.slots = None


def point(state: Tables, record: JobRecord, index: int, version: int) -> None:
    """The slot wants this version from here on."""
    rollout = record.rollout
    if rollout is not None and rollout.slots is not None and rollout.slots[index] != version:
        rollout.slots[index] = version
        reopen(state, record, index)
        if record.open[index]:
            mutations.set_refusal(state, record, "")  # that was said of another version


def reopen(state: Tables, record: JobRecord, index: int) -> None:
    mutations.set_open(state, record, index, is_open=slot_wants(record, index))


def set_alone(state: Tables, record: JobRecord, *, alone: bool) -> None:
    """Says whether a slot wants nothing before all that was in it has ended."""
    rollout = rollout_of(record)
    if rollout.alone != alone:
        rollout.alone = alone
        for index in range(len(record.slots)):
            if len(record.history(index)):
                reopen(state, record, index)


def settle_versions(state: Tables, record: JobRecord) -> bool:
    """All of the job is ready. Returns False when a slot wants another version than the job's own."""
    rollout = rollout_of(record)
    version = record.job.version
    wanted = enumerate((rollout.slots or ())[: record.job.count])
    if any(each != version and record.is_used(index) for index, each in wanted):
        return False
    rollout.slots = None
    rollout.healthy = version
    set_alone(state, record, alone=False)
    forget_versions(record)
    return True


def forget_versions(record: JobRecord) -> None:
    """Keeps the specs that slots want, those of active allocations, of the last healthy version, and a few more."""
    rollout = record.rollout
    if rollout is None or len(rollout.specs) <= KEPT_VERSIONS:
        return
    needed = set(rollout.slots or ()) | {rollout.healthy}
    for index in range(len(record.slots)):
        needed.update(each.job_version for each in record.history(index) if not each.terminal)
    spare = sorted(set(rollout.specs) - needed)
    for version in spare[: max(0, len(rollout.specs) - KEPT_VERSIONS)]:
        del rollout.specs[version]


def forgive(state: Tables, record: JobRecord) -> None:
    """Tasks that have failed for good are tried again."""
    for index in range(len(record.slots)):
        for allocation in record.history(index):
            if allocation.status.state is AllocationState.FAILED and allocation.wanted:
                mutations.store(state, record, allocation, replace(allocation, wanted=False))
                reopen(state, record, index)


def retire(state: Tables, job: JobName, identities: Iterable[AllocationId]) -> None:
    """Those of the job that still run are to end."""
    for identity in identities:
        if is_wanted(state, job, identity):
            mutations.set_unwanted(state, state.allocations[identity])


def is_wanted(state: Tables, job: JobName, identity: AllocationId) -> bool:
    """Returns whether it is an allocation of the job that is to go on."""
    allocation = state.allocations.get(identity)
    return allocation is not None and allocation.job == job and allocation.wanted and not allocation.terminal


def set_moving(state: Tables, record: JobRecord, allocation: AllocationId) -> None:
    """Its slot wants another one in its place; it goes on until that is ready."""
    held = state.allocations[allocation]
    rollout_of(record).moving[allocation] = None
    reopen(state, record, held.index)
