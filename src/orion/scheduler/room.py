"""Room for one more task beside all that run."""

from orion.scheduler.choose import Choice
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.pools import Pools
from orion.state.job_record import JobRecord
from orion.state.view import View


def has_room(view: View, record: JobRecord, version: int, pools: Pools) -> bool:
    """Returns whether another task of this version would find a place now."""
    demand = Demand(record.spec(version))
    pool = pools.pool(view, demand.constraints)
    return Choice(view, record, [0], demand, pool, Overlay(view.own_ports)).done
