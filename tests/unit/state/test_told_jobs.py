"""Whatever is done to a state, followers that look always, or now and then, have what one has that looks anew."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from test_state_properties import JOBS, TASKS, Machine

from orion.client.watch import Rows
from orion.model.api.watch import Noun
from orion.model.job import Job, JobKind
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.node.views.told_jobs import ToldJobs
from orion.scheduler.schedule import schedule
from orion.state.tables.job_changes import PutJob, RestartJob, RollBackJob, SetJobCount
from orion.tui.store import Store

UPDATES = st.sampled_from([None, UpdatePolicy(), UpdatePolicy(order=UpdateOrder.STOP_FIRST)])
NOUNS = (Noun.JOBS, Noun.TASKS, Noun.ALLOCATIONS)


class Follower:
    def __init__(self):
        self.store = Store()
        self._told = ToldJobs()

    def look(self, view):
        for changes in self._told.changes(view):
            for change in changes:
                self.store.take(Rows(change.noun, change.rows, change.gone), 0.0)

    @property
    def tables(self):
        return {noun: self.store.tables[noun] for noun in NOUNS}


class Followed(Machine):
    def __init__(self):
        super().__init__()
        self.always = Follower()
        self.seldom = Follower()

    def schedule(self, most, looks, size):
        """Plans themselves are looked at elsewhere."""
        view = self.state.view
        limits = {"max_placements": most, "max_looks": looks, "max_bytes": size}
        plan = schedule(view, [*view.jobs_to_place(), *view.jobs_refused()], self.pools, **limits)
        if not plan.empty:
            self.commit(plan.command(9))

    @rule(name=JOBS, count=st.integers(0, 5), task=TASKS, update=UPDATES, key=st.integers(0, 9))
    def put_job(self, name, count, task, update, key):
        self.commit(PutJob(7, Job(name, JobKind.SERVICE, count, task, update=update), f"put {key}", 0))

    @rule(name=JOBS, count=st.integers(0, 6), key=st.integers(0, 9))
    def scale_job(self, name, count, key):
        self.commit(SetJobCount(8, name, count, f"scale {key}", 0))

    @rule(name=JOBS, kind=st.sampled_from([RestartJob, RollBackJob]), key=st.integers(0, 9))
    def change_job(self, name, kind, key):
        self.commit(kind(8, name, f"{kind.__name__} {key}", 0))

    @invariant()
    def all_is_told(self):
        self.compare(self.always)

    @rule()
    def look(self):
        self.compare(self.seldom)

    def compare(self, follower):
        other = Follower()
        for each in (follower, other):
            each.look(self.state.view)
        assert follower.tables == other.tables


TestFollowed = Followed.TestCase
TestFollowed.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
