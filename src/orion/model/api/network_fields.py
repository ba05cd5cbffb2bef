"""The networks of a job in JSON."""

from orion.model.api.fields import Reading
from orion.model.api.placement_fields import AlongsideRequest, PlacementRequest
from orion.model.errors import shown
from orion.model.network import MAX_OF_JOB, NETWORK_NAME

NETWORK_PATTERN = f"^{NETWORK_NAME.pattern}$"


def read_networks(names: list[str], reading: Reading) -> tuple[str, ...]:
    if len(names) > MAX_OF_JOB:
        reading.wrong(f"{reading.name} has {len(names):,} names; a job is on at most {MAX_OF_JOB} networks")
        return ()
    for at, name in enumerate(names):
        if not NETWORK_NAME.fullmatch(name):
            reading.wrong(f"{shown(name)} is no network's name: 'orion network ls' lists them", at)
        elif name in names[:at]:
            reading.wrong(f"{name} is named twice", at)
    if names:
        refuse_elsewhere(reading)
    return tuple(names)


def refuse_elsewhere(reading: Reading) -> None:
    """Says that the field needs a network of the cluster's where the task is on another."""
    if reading.request.network_mode:
        reading.wrong(f"{reading.name} and networkMode don't go together: that is another network")
    asked = reading.request.placement
    companion = asked.alongside if isinstance(asked, PlacementRequest) else None
    if isinstance(companion, AlongsideRequest) and companion.network:
        reading.wrong(f"{reading.name} and the network of {companion.job}'s task don't go together: leave one out")
