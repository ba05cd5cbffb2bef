"""Room for one more task: beside all that run, or in the place of one of them."""

from orion.model.allocation import Allocation
from orion.model.ids import NodeId
from orion.model.job import Job, JobKind
from orion.model.placement_text import placement_text
from orion.model.volumes import volume_wait_text
from orion.scheduler.choose import Choice
from orion.scheduler.closed_ports import closed_ports
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.explain import explain
from orion.scheduler.pools import Pools
from orion.scheduler.task_rules import task_rules_of
from orion.scheduler.volume_homes import VolumeHomes, narrowed
from orion.state.job_record import JobRecord
from orion.state.records import NodeRecord, port_key
from orion.state.view import View


def has_room(view: View, record: JobRecord, version: int, pools: Pools) -> bool:
    """Returns whether another task of this version would find a place now."""
    demand = Demand(record.spec(version))
    pool = narrowed(view, demand.task, 0, pools.pool(view, demand.constraints, demand.rules))
    return Choice(view, record, [0], demand, pool, Overlay(closed_ports(view))).done


def no_room(view: View, record: JobRecord, asked: Job, pools: Pools) -> str:
    """Returns why no node takes a task of a job as it is asked for, beside those that run; "" when one does.
    `asked` has the version that it would get.
    """
    demand, overlay = Demand(asked.task), Overlay(closed_ports(view))
    pool = narrowed(view, demand.task, 0, pools.pool(view, demand.constraints, demand.rules))
    as_asked = JobRecord.of(asked, "", [], bytearray(), active=record.active)
    choice = Choice(view, as_asked, [0], demand, pool, overlay)
    if choice.done:
        return ""
    return placement_text(explain(pool, overlay, demand, choice.rules), asked.task)


def target(view: View, record: JobRecord, index: int, version: int, pools: Pools) -> tuple[NodeId | None, str]:
    """Returns the node that a slot's task of this version would be placed on once the former ones have ended: where
    they are if it fits there, else wherever there is room now. None when there is none, and why.
    """
    former = [each for each in record.history(index) if each.wanted and not each.terminal]
    demand = Demand(record.spec(version))
    pool = pools.pool(view, demand.constraints, demand.rules)
    if demand.task.has_volumes:
        spot = VolumeHomes(view).spot(demand.task, index)
        if spot.wait is not None:
            return None, volume_wait_text(spot.wait)
        pool = spot.narrowed(pool)
    if record.job.kind is JobKind.SYSTEM:
        return record.job.homes[index] or None, "its node is gone"
    overlay = Overlay(closed_ports(view))
    overlay.leaving.update(each.id for each in former)
    for each in reversed(former):
        row = view.node_record(each.node)
        if row is not None and pool.has(row) and _takes_over(view, record, each, row, demand, version, overlay):
            return each.node, ""
    choice = Choice(view, record, [index], demand, pool, overlay)
    if not choice.done:
        return None, placement_text(explain(pool, overlay, demand, choice.rules), demand.task)
    return next(row.node.id for row in pool.nodes if [row.number] == choice.nodes), ""


def _takes_over(
    view: View,
    record: JobRecord,
    former: Allocation,
    row: NodeRecord,
    demand: Demand,
    version: int,
    overlay: Overlay,
) -> bool:
    """Returns whether the node has room for the task with what the former one leaves."""
    spec = record.spec(former.job_version)
    after = row.draft(demand.resources)
    after.release(spec.resources)
    if after.cpu_free < 0 or after.memory_free < 0 or after.disk_free < 0:
        return False
    freed = {port_key(port, each.protocol) for port, each in zip(former.ports, spec.ports, strict=True)}
    if overlay.taken_key(row, [key for key in demand.static_keys if key not in freed]) is not None:
        return False
    rules = task_rules_of(view, record.job.name, version, demand, overlay)
    return rules is None or rules.admits(row)
