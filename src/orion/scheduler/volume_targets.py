"""The node to which a volume's data goes, where nobody says one: its tasks are to have a place there."""

from orion.model.ids import NodeId
from orion.model.volumes import Volume
from orion.scheduler.choose import Choice
from orion.scheduler.closed_ports import closed_ports
from orion.scheduler.demand import Demand, Overlay
from orion.scheduler.pools import Pools
from orion.state.job_record import JobRecord
from orion.state.records import NodeRecord
from orion.state.tables.volumes import Users, Volumes
from orion.state.view import View


def target_for(view: View, volume: Volume) -> NodeId | None:
    """Returns the node where the first task that asks for it fits, and its other volumes go; without such a task
    the one with the most disk free. None: there is none.
    """
    records = [record for name in view.job_names() if (record := view.job_record(name)) is not None]
    for job in Users(records).of(volume.name):
        record = view.job_record(job)
        if record is not None and record.latest.task.has_volumes:
            return _beside_others(view, record, volume) or _fitting(view, record, volume)
    rows = [row for row in view.node_records() if row.schedulable and row.node.id != volume.home]
    best = max(rows, key=lambda row: (row.disk_free, -row.number), default=None)
    return best.node.id if best is not None else None


def _beside_others(view: View, record: JobRecord, volume: Volume) -> NodeId | None:
    """Returns where another volume of the same tasks is about to be."""
    table, task = view.of(Volumes), record.latest.task
    slots = [volume.slot] if volume.base else range(min(record.latest.count, 1))
    for index in slots:
        for name in task.volume_names(index):
            row = table.get(name)
            if row is not None and row.name != volume.name and row.moving_to:
                return row.moving_to
    return None


def _fitting(view: View, record: JobRecord, volume: Volume) -> NodeId | None:
    demand = Demand(record.latest.task)
    pool = Pools().pool(view, demand.constraints, demand.rules)
    others: list[NodeRecord] = [row for row in pool.nodes if row.node.id != volume.home]
    bare = JobRecord.of(record.latest, "", [], bytearray(), active=record.active)
    choice = Choice(view, bare, [0], demand, pool.of(others), Overlay(closed_ports(view)))
    node = view.node_by_number(choice.nodes[0]) if choice.done else None
    return node.id if node is not None else None
