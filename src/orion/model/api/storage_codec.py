"""A request for a volume of a storage system as records of the state."""

from orion.model.api.storage import MODES, NewVolumeRequest
from orion.model.csi import AccessMode
from orion.model.errors import FieldError, FieldErrors, Invalid, shown
from orion.model.secret_values import SecretPairs
from orion.model.storage import SystemPart, part_fault


def part_of(request: NewVolumeRequest) -> tuple[SystemPart, SecretPairs]:
    """Returns what a storage system is asked for. Raises Invalid naming the wrong fields."""
    errors = FieldErrors()
    if request.access not in MODES:
        errors.append(FieldError("/access", f"access {shown(request.access)} is none: write {', '.join(MODES)}"))
    if request.limit_bytes and request.limit_bytes < request.size_bytes:
        errors.append(FieldError("/limitBytes", "limitBytes is less than sizeBytes"))
    if request.block and (request.fs_type or request.mount_flags):
        errors.append(FieldError("/block", "block is a device, which has no fsType and no mountFlags"))
    if request.id and request.source:
        errors.append(FieldError("/id", "id names a volume that is there, which begins with no source"))
    secrets = SecretPairs(tuple(sorted(request.secrets.items())))
    if fault := secrets.fault():
        errors.append(FieldError("/secrets", fault))
    if errors:
        raise Invalid(errors)
    part = SystemPart(
        access=AccessMode(request.access),
        size_bytes=request.size_bytes,
        limit_bytes=request.limit_bytes,
        block=request.block,
        fs_type=request.fs_type,
        mount_flags=tuple(request.mount_flags),
        parameters=tuple(sorted(request.parameters.items())),
        secrets=len(secrets.pairs),
        given=request.id,
        source=request.source,
    )
    if fault := part_fault(part):
        raise Invalid([FieldError("", fault)])
    return part, secrets
