"""Volumes as the API shows them. Pure reads."""

from collections.abc import Iterator
from itertools import islice

from orion.model.api.volumes import VolumeMoveView, VolumeView
from orion.model.storage import state_of
from orion.model.times import rfc3339
from orion.model.volumes import Volume
from orion.node.views.render_storage import shown_storage
from orion.state.tables.claims import Claims
from orion.state.tables.volumes import Users, Volumes, is_held
from orion.state.view import View


def volumes(view: View, after: str = "", limit: int | None = None) -> list[VolumeView]:
    """Those past `after`, by name, at most `limit`."""
    table, users = view.of(Volumes), _users(view)
    return [_shown(view, table.rows[name], users) for name in islice(table.names_after(after), limit)]


def volume(view: View, name: str) -> VolumeView | None:
    row = view.of(Volumes).get(name)
    return _shown(view, row, _users(view)) if row is not None else None


def unused(view: View) -> Iterator[Volume]:
    """Those that no job asks for."""
    users = _users(view)
    return (row for row in view.of(Volumes).rows.values() if not users.of(row.name) and not _leaves(row))


def _leaves(row: Volume) -> bool:
    return bool(row.moving_to) or (row.system is not None and row.system.removing)


def _users(view: View) -> Users:
    records = (view.job_record(name) for name in view.job_names())
    return Users(record for record in records if record is not None)


def _shown(view: View, row: Volume, users: Users) -> VolumeView:
    held = bool(view.of(Claims).of_volume(row.name))
    held = held or is_held(row.name, view.node_record(row.home), view.allocations, view.job_record)
    return VolumeView(
        name=row.name,
        kind=row.kind,
        node_id=row.home or None,
        state=_state(row),
        move=VolumeMoveView(row.moving_to, 0, 0, "") if row.moving_to else None,
        used_by=list(users.of(row.name)),
        created_at=_time(row.created_at_ms),
        used_at=_time(row.used_at_ms),
        in_use=held,
        labels=dict(row.labels),
        slot=row.slot if row.base else None,
        driver=row.driver,
        created_index=row.created_index,
        storage=None if row.system is None else shown_storage(view, row, row.system),
    )


def _state(row: Volume) -> str:
    if row.system is not None:
        return state_of(row.system, row.data)
    return "moving" if row.moving_to else "ready" if row.data else "new"


def _time(at_ms: int) -> str | None:
    return rfc3339(at_ms) if at_ms else None
