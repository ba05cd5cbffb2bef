"""Volumes as lists and notes show them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orion.model.api.storage import NewVolumeRequest
    from orion.model.api.volumes import VolumeView


def nodes_text(volume: "VolumeView") -> str:
    claims = [] if volume.storage is None else [each.node_id for each in volume.storage.claims]
    return ", ".join(claims) or volume.node_id or "-"


def volume_size(volume: "VolumeView") -> str:
    """Returns its size, in the units in which it was asked for."""
    from orion.model.resources import bytes_text, size_text

    if volume.storage is not None:
        asked = volume.storage.size_bytes
        known = max(asked, volume.storage.has_bytes)
        return size_text(known, like=asked or None) if known else "-"
    if volume.size is None:
        return "?" if volume.size_reason else "-"
    return f"{'' if volume.size.complete else '>'}{bytes_text(volume.size.bytes)}"


def used_text(volume: "VolumeView") -> str:
    from orion.cli.shared import output

    if volume.in_use:
        return "now"
    return output.age_text(volume.used_at) or "-"


def unasked_size(request: "NewVolumeRequest", made: "VolumeView | None") -> str:
    """Returns the size of a volume that its plugin has chosen; "" where somebody asked for it, or none is known."""
    if request.size_bytes or request.source or request.id or made is None or made.storage is None:
        return ""
    return volume_size(made) if made.storage.has_bytes else ""
