"""Changes of a job: another spec, another count, back to a former version, begun anew. Each begins a deployment."""

from msgspec.structs import replace

from orion.model.counts import several
from orion.model.deployment import NO_VERSION, Deployment, DeploymentKind, DeploymentState
from orion.model.errors import Conflict, OrionError, Refused
from orion.model.ids import JobName
from orion.model.images import image_text
from orion.model.job import Job, JobKind
from orion.model.levels import since
from orion.state import mutations, rollouts
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_NUMBER, first, key_fault, longer, outside
from orion.state.core.faults import MAX_WORD as MAX_NAME
from orion.state.core.step import Step
from orion.state.job_record import JobRecord
from orion.state.records import MAX_COUNT, Tables
from orion.state.tables import cron_rows, job_configs, job_uses
from orion.state.tables.answers import Answers
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.history import ChangeKind, note
from orion.state.tables.job_faults import creation_fault
from orion.state.tables.job_refusals import refuse
from orion.state.tables.jobs import add_new, unknown

MAX_VERSIONS = 50  # of a job that are in use at a time
ANY = -1


@since(2)
class PutJob(Command, frozen=True, array_like=True, tag=20):
    """Have the job be as it is here: created, changed, or left alone. With `if_version` only a job of that version
    is changed (Conflict). One that is stopped is started.
    """

    job: Job
    idempotency_key: str
    since: int
    if_version: int = ANY


@since(2)
class SetJobCount(Command, frozen=True, array_like=True, tag=21):
    """Have so many tasks of it. What is too many are the highest indexes."""

    job: JobName
    count: int
    idempotency_key: str
    since: int


@since(2)
class RollBackJob(Command, frozen=True, array_like=True, tag=22):
    """Back to a former version. ANY: the last one that was healthy, but for the present one."""

    job: JobName
    idempotency_key: str
    since: int
    version: int = ANY


@since(2)
class RestartJob(Command, frozen=True, array_like=True, tag=23):
    """Replace all tasks by new ones of the same spec, as an update does."""

    job: JobName
    idempotency_key: str
    since: int


@since(2)
class PromoteJob(Command, frozen=True, array_like=True, tag=24):
    """Have the deployment that waits for a word go on: the rest after its canaries, or one that is paused."""

    job: JobName
    idempotency_key: str
    since: int


def _put_fault(put: PutJob) -> str:
    return creation_fault(put.job, put.idempotency_key) or outside("if_version", put.if_version, MAX_NUMBER, ANY)


@command(PutJob, fault=_put_fault, once=once_about(Answers, "put", lambda put: put.job.name))
def put_job(state: Tables, step: Step, put: PutJob) -> JobName | OrionError:
    name = put.job.name
    asked = replace(put.job, task=job_configs.pinned(state, put.job.task))
    record = state.jobs.get(name)
    gone = record is None or record.latest.stopping
    version = ANY if gone or record is None else record.latest.version
    if put.if_version not in (ANY, version):
        now = f"{name} is at version {version}" if version != ANY else f"there is no job named {name}"
        return Conflict(f"{now}, not at {put.if_version}: somebody else has changed it; look at it again")
    if not 0 <= put.job.count <= MAX_COUNT:
        return Refused(f"{name} asks for {put.job.count:,} tasks; a job has from 0 to {MAX_COUNT:,}")
    if (wrong := job_configs.refusal(state, name, asked.task)) is not None:
        return wrong
    if gone or record is None:
        answer = add_new(state, step, asked)
        if not isinstance(answer, OrionError):
            _begin(state, step, replace(asked, created_index=step.index), DeploymentKind.DEPLOY, NO_VERSION)
            job_uses.keep(state, name)
        return answer
    if put.job.kind is not record.latest.kind:
        return Conflict(
            f"{name} is a {record.latest.kind} job and can't become a {put.job.kind} one: remove it first with"
            f" 'orion rm {name}', or choose another name"
        )
    answer = _change(state, step, record, asked)
    job_uses.keep(state, name)
    return answer


def _change(state: Tables, step: Step, record: JobRecord, asked: Job) -> JobName | OrionError:
    latest = record.latest
    same_spec = asked.task == latest.task
    job = replace(
        asked,
        version=latest.version if same_spec else rollouts.next_version(record),
        created_at_ms=latest.created_at_ms,
        created_index=latest.created_index,
        stopping=False,
        stopped=False,
        homes=latest.homes,
        cron=latest.cron,
        collected=latest.collected and same_spec,
    )
    if job.kind is JobKind.SYSTEM:
        job = replace(job, count=latest.count)
    if job.collected and job.count != latest.count:
        return _has_completed(job)
    deployments = state.of(Deployments)
    last = deployments.latest(job.name)
    failed = last is not None and last.state in (DeploymentState.FAILED, DeploymentState.PAUSED)
    if job == latest and not failed:
        return job.name  # it is so already
    if refusal := refuse(state, job) or (None if same_spec else _too_many(record)):
        return refusal
    back = _way_back(state, record, latest)
    _become(state, step, record, job)
    kind = DeploymentKind.DEPLOY if not same_spec or failed else DeploymentKind.SCALE
    note(state, step, ChangeKind.UPDATED if not same_spec else ChangeKind.SCALED, job)
    if job.schedule != latest.schedule or latest.stopped:
        cron_rows.begin(state, step, job)
    what = f"version {job.version}, {image_text(job.task.image)}" if not same_spec else several(job.count, "task")
    step.tell("JobUpdated", job.name, f"{job.name} is to be {what}")
    _begin(state, step, job, kind, back if not same_spec else _same_way_back(last, failed=failed))
    return job.name


def _too_many(record: JobRecord) -> Conflict | None:
    """Refuses a further version while tasks of so many have not ended."""
    if record.rollout is None or len(record.rollout.specs) < MAX_VERSIONS:
        return None
    name = record.job.name
    return Conflict(
        f"{name} has tasks of {MAX_VERSIONS} versions that have not ended: wait until some have;"
        f" 'orion versions {name}' shows them"
    )


def _has_completed(job: Job) -> Conflict:
    return Conflict(
        f"{job.name} has completed, and what is left of its tasks was removed: 'orion cron run {job.name}' has it"
        f" run again as it is, 'orion rm {job.name}' and another deploy in another way"
    )


def _become(state: Tables, step: Step, record: JobRecord, job: Job) -> None:
    """The job is `job` from here on, or once what was stopped of it has ended."""
    former = record.job
    state.of(Deployments).supersede(step, job.name, "something else was asked for meanwhile")
    if former.stopping:
        record.successor = job  # it is not this one's yet: what is left of the one before ends first
        return
    if former.stopped and record.active:
        rollout = rollouts.rollout_of(record)
        rollout.specs[former.version] = former.task
        rollout.last = max(rollout.last, job.version)
        record.successor = job
        return
    rollouts.change_job(state, record, job)
    if former.stopped or former.collected > job.collected:
        rollouts.point_all(record)
        mutations.open_job(state, record, job)


def _way_back(state: Tables, record: JobRecord, latest: Job) -> int:
    """The version that a failure leads back to."""
    if record.job.stopping:
        return NO_VERSION  # nothing of this job has run: what there is was the one before's
    if record.rollout is not None and record.rollout.healthy != NO_VERSION:
        return record.rollout.healthy
    last = state.of(Deployments).latest(latest.name)
    proven = last is None or last.created_index != latest.created_index or last.state is DeploymentState.DONE
    return latest.version if proven else NO_VERSION


def _last_healthy(state: Tables, record: JobRecord) -> int:
    """Returns ANY where there is none. One of which nobody remembers anything is better than none."""
    job, rollout = record.job, record.rollout
    if rollout is None:
        return ANY
    if rollout.healthy not in (job.version, NO_VERSION):
        return rollout.healthy
    former, table = rollout.specs.keys() - {job.version}, state.of(Deployments)
    proven = [version for version in table.proven(job) if version in former]
    untold = (version for version in former - table.failed(job) if version < job.version)
    return proven[-1] if proven else max(untold, default=ANY)


def _same_way_back(last: Deployment | None, *, failed: bool) -> int:
    return last.from_version if last is not None and failed else NO_VERSION


def _begin(state: Tables, step: Step, job: Job, kind: DeploymentKind, back: int) -> None:
    if job.kind is JobKind.CRON:
        return  # its runs are what there is to wait for
    row = Deployment(
        step.index,
        job.name,
        job.created_index,
        kind,
        back if back != job.version else NO_VERSION,
        job.version,
        started_at_ms=step.at_ms,
        progress_at_ms=step.at_ms,
    )
    deployments = state.of(Deployments)
    deployments.supersede(step, job.name, "something else was asked for meanwhile")
    deployments.begin(row)
    record = state.jobs[job.name]
    if kind is not DeploymentKind.SCALE:
        rollouts.forgive(state, record)
    if record.rollout is not None:
        rollouts.set_alone(state, record, alone=False)
    step.tell("DeploymentStarted", job.name, f"deployment {row.id} of {job.name}: {kind} to version {job.version}")


# --- count, rollback, restart, promote ---------------------------------------------------------------------


def _count_fault(change: SetJobCount) -> str:
    return first((outside("count", change.count, MAX_NUMBER), _fault(change)))


def _fault(change: SetJobCount | RollBackJob | RestartJob | PromoteJob) -> str:
    return longer("job", len(change.job), MAX_NAME) or key_fault(change.idempotency_key)


def _job(change: SetJobCount | RollBackJob | RestartJob | PromoteJob) -> str:
    return change.job


def _present(state: Tables, change: SetJobCount | RollBackJob | RestartJob | PromoteJob) -> JobRecord | OrionError:
    record = state.jobs.get(change.job)
    if record is None or record.latest.created_index > change.since or record.latest.stopping:
        return unknown(change.job)
    if record.successor is not None or record.job.stopped:
        return Conflict(f"{change.job} is stopped: start it first with 'orion start {change.job}'")
    return record


@command(SetJobCount, fault=_count_fault, once=once_about(Answers, "count", _job))
def set_job_count(state: Tables, step: Step, change: SetJobCount) -> JobName | OrionError:
    record = _present(state, change)
    if isinstance(record, OrionError):
        return record
    if not 0 <= change.count <= MAX_COUNT:
        return Refused(f"{change.count:,} tasks of {change.job}: a job has from 0 to {MAX_COUNT:,}")
    if record.job.kind is JobKind.SYSTEM:
        return Conflict(f"{change.job} is a system job: it has a task on each node that matches")
    if record.job.collected:
        return _has_completed(record.job)
    job = replace(record.job, count=change.count)
    if job == record.job:
        return job.name
    running = state.of(Deployments).running_of(job.name)
    new_from = len(record.slots)
    rollouts.change_job(state, record, job)
    note(state, step, ChangeKind.SCALED, job)
    step.tell("JobScaled", job.name, f"{job.name} is to have {several(job.count, 'task')}")
    if running is None:
        _begin(state, step, job, DeploymentKind.SCALE, NO_VERSION)
    elif running.from_version != NO_VERSION and not running.rolling_back:
        # What is new begins with what is known to work, and is updated in its turn.
        for index in range(new_from, job.count):
            rollouts.point(state, record, index, running.from_version)
    cron_rows.settle_run(state, step, record)
    job_uses.keep(state, job.name)
    return job.name


@command(RollBackJob, fault=_fault, once=once_about(Answers, "rollback", _job))
def roll_back_job(state: Tables, step: Step, change: RollBackJob) -> JobName | OrionError:
    record = _present(state, change)
    if isinstance(record, OrionError):
        return record
    job, rollout = record.job, record.rollout
    if job.collected:
        return _has_completed(job)
    specs = rollout.specs if rollout else {}
    target = change.version
    if target == ANY:
        target = _last_healthy(state, record)
    if target == job.version:
        return Conflict(f"{job.name} is at version {target} already")
    if target not in specs:
        kept = ", ".join(map(str, sorted(specs)))
        what = (
            f"version {target} of {job.name} is not kept"
            if target != ANY
            else f"{job.name} has no former version that was healthy"
        )
        return Refused(f"{what}; kept are: {kept}" if kept else what)
    back = replace(job, version=target, task=specs[target])
    if refusal := refuse(state, back):
        return refusal
    rollouts.change_job(state, record, back)
    note(state, step, ChangeKind.ROLLED_BACK, back)
    step.tell("JobUpdated", job.name, f"{job.name} goes back to version {target}, {image_text(back.task.image)}")
    _begin(state, step, back, DeploymentKind.ROLLBACK, NO_VERSION)
    job_uses.keep(state, job.name)
    return job.name


@command(RestartJob, fault=_fault, once=once_about(Answers, "restart", _job))
def restart_job(state: Tables, step: Step, change: RestartJob) -> JobName | OrionError:
    record = _present(state, change)
    if isinstance(record, OrionError):
        return record
    if refusal := _too_many(record):
        return refusal
    back = _way_back(state, record, record.job)
    state.of(Deployments).supersede(step, change.job, "it is restarted")
    if record.job.collected:
        job = rollouts.run_again(state, record)
    else:
        job = replace(record.job, version=rollouts.next_version(record))
        rollouts.change_job(state, record, job)
    note(state, step, ChangeKind.RESTARTED, job)
    step.tell("JobUpdated", job.name, f"{job.name} is restarted, as version {job.version}")
    _begin(state, step, job, DeploymentKind.RESTART, back)
    job_uses.keep(state, job.name)
    return job.name


@command(PromoteJob, fault=_fault, once=once_about(Answers, "promote", _job))
def promote_job(state: Tables, step: Step, change: PromoteJob) -> JobName | OrionError:
    record = _present(state, change)
    if isinstance(record, OrionError):
        return record
    deployments = state.of(Deployments)
    last = deployments.latest(change.job)
    if last is None or last.created_index != record.job.created_index:
        return Conflict(f"nothing is being changed of {change.job}")
    if last.state is DeploymentState.PAUSED:
        _begin(state, step, record.job, last.kind, last.from_version)
        return change.job
    if not last.running or last.promoted:
        return Conflict(f"nothing of {change.job} waits to be promoted")
    deployments.put(replace(last, promoted=True, progress_at_ms=step.at_ms))
    step.tell("DeploymentPromoted", change.job, f"deployment {last.id} of {change.job} goes on after its canaries")
    return change.job


TABLES = ()
COMMANDS = (put_job, set_job_count, roll_back_job, restart_job, promote_job)
