"""Room for one more task beside all that run."""

from orion.model.job import Job
from orion.model.placement_text import placement_text
from orion.scheduler.choose import Choice
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.explain import explain
from orion.scheduler.pools import Pools
from orion.state.job_record import JobRecord
from orion.state.view import View


def has_room(view: View, record: JobRecord, version: int, pools: Pools) -> bool:
    """Returns whether another task of this version would find a place now."""
    demand = Demand(record.spec(version))
    pool = pools.pool(view, demand.constraints, demand.rules)
    return Choice(view, record, [0], demand, pool, Overlay(view.own_ports)).done


def no_room(view: View, record: JobRecord, asked: Job, pools: Pools) -> str:
    """Returns why no node takes a task of a job as it is asked for, beside those that run; "" when one does.
    `asked` has the version that it would get.
    """
    demand, overlay = Demand(asked.task), Overlay(view.own_ports)
    pool = pools.pool(view, demand.constraints, demand.rules)
    as_asked = JobRecord.of(asked, "", [], bytearray(), active=record.active)
    choice = Choice(view, as_asked, [0], demand, pool, overlay)
    if choice.done:
        return ""
    return placement_text(explain(pool, overlay, demand, choice.rules), asked.task)
