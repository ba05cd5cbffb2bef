"""Volumes of storage systems and their snapshots, as the API shows them. Pure reads."""

from orion.model.api.storage import StorageView, VolumeClaimView, VolumeSnapshotView
from orion.model.claims import Claim
from orion.model.storage import SystemPart
from orion.model.times import rfc3339
from orion.model.volume_snapshots import VolumeSnapshot
from orion.model.volumes import Volume
from orion.node.views.render_claims import holder_wait, release_ms
from orion.state.tables.claims import Claims
from orion.state.view import View


def shown_storage(view: View, row: Volume, part: SystemPart) -> StorageView:
    return StorageView(
        access=part.access.value,
        size_bytes=part.size_bytes,
        limit_bytes=part.limit_bytes,
        has_bytes=part.has_bytes,
        grow_to_bytes=part.grow_to,
        block=part.block,
        fs_type=part.fs_type,
        mount_flags=list(part.mount_flags),
        parameters=dict(part.parameters),
        secrets=part.secrets,
        source=part.source,
        id=row.data or part.given,
        topologies=[dict(each) for each in part.topologies],
        claims=[_claim(view, each) for each in view.of(Claims).of_volume(row.name)],
        why=part.why,
        refused=part.refused,
    )


def _claim(view: View, claim: Claim) -> VolumeClaimView:
    return VolumeClaimView(
        node_id=claim.node,
        phase=claim.phase,
        since=_time(claim.since_ms),
        until=_time(release_ms(view, claim) or 0),
        read_only=claim.read_only,
        stop_after_seconds=claim.stop_after_ms / 1000,
        why=holder_wait(view, claim),
    )


def shown_snapshot(row: VolumeSnapshot) -> VolumeSnapshotView:
    return VolumeSnapshotView(
        name=row.name,
        volume=row.volume,
        driver=row.driver,
        state="removing" if row.removing else "ready" if row.ready else "making",
        size_bytes=row.size_bytes,
        taken_at=_time(row.taken_ms),
        created_at=_time(row.created_at_ms),
        created_index=row.created_index,
        id=row.data,
        why=row.why,
        refused=row.refused,
    )


def _time(at_ms: int) -> str | None:
    return rfc3339(at_ms) if at_ms else None
