"""Invariants of deployments: of every step that the log makes, and at rest.

Below what a policy promises nothing falls by the cluster's own doing; an update never has more of a job running
than its parallelism says; and each deployment ends.
"""

from collections.abc import Iterable

from orion.model.allocation import Allocation
from orion.model.deployment import NO_VERSION, Deployment
from orion.model.images import without_digest
from orion.model.job import JobKind
from orion.model.update import UpdatePolicy
from orion.state.job_record import JobRecord
from orion.state.tables import State
from orion.state.tables.deployment_rows import Deployments
from sim.engine import MISSING
from sim.ordered import is_held_back
from sim.world import World

STEP = "StepDeployment"

BATCH_ONCE = "no work of a batch is done twice at a time"


class Watched:
    """What there was before a command; `check` says whether it may have made of that what is there now."""

    def __init__(self, world: World, state: State, command: object) -> None:
        self._world = world
        self._state = state
        self._name = ""
        self._alone = False
        if type(command).__name__ != STEP:
            return
        row = _table(state).rows.get(command.deployment)  # type: ignore[attr-defined]
        record = state.jobs.get(row.job) if row is not None else None
        if row is not None and record is not None and row.running:
            self._name, self._alone = row.job, command.alone  # type: ignore[attr-defined]
            self._ready = _ready(record)
            self._unpulled = self._alone and _can_never_be_pulled(record, row)
            self._world.count("deployment: step")

    def check(self) -> None:
        if not self._name:
            return
        record = self._state.jobs[self._name]
        if self._unpulled and _ready(record) < self._ready:
            self._world.fail(
                "an image is pulled before a task ends for it", f"{self._name}: {record.job.task.image}"
            )
        if record.job.kind is JobKind.BATCH:
            return  # nobody uses its tasks
        policy = record.job.update or UpdatePolicy()
        floor = policy.floor(sum(map(record.is_used, range(record.job.count))), stop_first=self._alone)
        now = _ready(record)
        if now < min(self._ready, floor):
            text = f"{self._name} had {self._ready} ready and has {now}, of {record.job.count}; {policy}"
            self._world.fail("an update keeps its floor", text)


def check_surplus(world: World, state: State) -> None:
    """A slot has a second wanted task only while its new one comes up, and one of each version. That of a batch has
    no second one at all, not even one that ends.
    """
    for record in state.jobs.values():
        if record.job.kind is JobKind.BATCH and record.job.update is not None:
            for index in range(record.job.count):
                runs = [each for each in record.history(index) if not each.terminal]
                if len(runs) > 1:
                    world.fail(BATCH_ONCE, f"{record.job.name}/{index} has {runs}")
        if record.rollout is None:
            continue
        for index in range(record.job.count):
            wanted = [each for each in record.history(index) if each.wanted and not each.terminal]
            serving = [each for each in wanted if record.serves(each)]
            if len(serving) > 1:
                world.fail("one task of a version in a slot", f"{record.job.name}/{index} has {serving}")
            if len(wanted) > 3:
                world.fail("a slot is exchanged once at a time", f"{record.job.name}/{index} has {wanted}")


def check_configs(world: World, state: State) -> None:
    """Each version of a job has the configs that it was asked for with, and no others are kept."""
    kept = next((t for kind, t in state.tables.items() if kind.__name__ == "KeptConfigs"), None)
    if kept is None:
        return
    needed: dict[str, set[str]] = {}
    for name, record in state.jobs.items():
        former = record.rollout.specs.values() if record.rollout else ()
        following = (record.successor.task,) if record.successor else ()
        for task in (record.job.task, *former, *following):
            for ref in task.configs:
                if ref.version:
                    needed.setdefault(f"{ref.key}@{ref.version}", set()).add(name)
    held = {key: set(row.jobs) for key, row in kept.rows.items()}  # type: ignore[attr-defined]
    if held != needed:
        world.fail("versions of jobs have their configs", f"{held} is kept, and {needed} needed")


def deployments_unrest(state: State) -> str:
    """Why deployments have not ended yet; empty when all have."""
    for row in _table(state).running():
        record = state.jobs.get(row.job)
        if record is not None and is_held_back(state, record, row.goal):
            continue
        return f"deployment {row.id} of {row.job} is running: {row}"
    for record in state.jobs.values():
        if any(True for _ in _surplus(record)):
            return f"{record.job.name} has more than {record.job.count} tasks"
    return ""


def _can_never_be_pulled(record: JobRecord, row: Deployment) -> bool:
    """Returns whether no node ever gets the image of a version that replaces one which works."""
    back = row.from_version == NO_VERSION or row.rolling_back
    return not back and without_digest(record.spec(row.goal).image) == MISSING


def _ready(record: JobRecord) -> int:
    """Slots with a task that may be used."""
    return sum(
        any(each.wanted and not each.terminal and record.is_ready(each) for each in record.history(index))
        for index in range(min(record.job.count, len(record.slots)))
    )


def _surplus(record: JobRecord) -> Iterable[Allocation]:
    for index in range(record.job.count, len(record.slots)):
        yield from (each for each in record.history(index) if not each.terminal)


def _table(state: State) -> Deployments:
    # By name: where two builds are in one cluster, the state may be of the other's classes.
    return next(table for kind, table in state.tables.items() if kind.__name__ == Deployments.__name__)
