"""The networks of a job in JSON, and who may reach it there."""

from typing import Annotated

from orion.model.allow import MAX_ALLOWED
from orion.model.api.fields import Option, Reading, field, schema
from orion.model.api.placement_fields import AlongsideRequest, PlacementRequest
from orion.model.errors import shown
from orion.model.ids import JOB_NAME, JobName
from orion.model.network import MAX_OF_JOB, NETWORK_NAME

NETWORK_PATTERN = f"^{NETWORK_NAME.pattern}$"
EVERYBODY = "*"
ALLOWED = rf"^(\*|{JOB_NAME.pattern})$"


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


def read_allow_from(names: list[str], reading: Reading) -> tuple[JobName, ...]:
    if names in ([], [EVERYBODY]):
        return ()
    if len(names) > MAX_ALLOWED:
        reading.wrong(f"{reading.name} has {len(names):,} names; a job allows at most {MAX_ALLOWED} others")
        return ()
    for at, name in enumerate(names):
        if name == EVERYBODY:
            reading.wrong(f"{name} is everybody: it stands alone, or is left out", at)
        elif not JOB_NAME.fullmatch(name):
            reading.wrong(f"{shown(name)} is no job's name", at)
        elif name in names[:at]:
            reading.wrong(f"{name} is named twice", at)
    refuse_elsewhere(reading)
    return tuple(map(JobName, names))


AllowFrom = Annotated[
    list[Annotated[str, schema(pattern=ALLOWED)]],
    field(
        "Jobs whose tasks may open connections to its tasks over the cluster's networks, beside its own.",
        note='Empty, or "*" alone: all jobs.',
        read=read_allow_from,
        show=list,
        max_length=MAX_ALLOWED,
        option=Option(("--allow-from",), "JOB", default="all jobs"),
    ),
]


def refuse_elsewhere(reading: Reading) -> None:
    """Says that the field needs a network of the cluster's where the task is on another."""
    if reading.request.network_mode:
        reading.wrong(f"{reading.name} and networkMode don't go together: that is another network")
    asked = reading.request.placement
    companion = asked.alongside if isinstance(asked, PlacementRequest) else None
    if isinstance(companion, AlongsideRequest) and companion.network:
        reading.wrong(f"{reading.name} and the network of {companion.job}'s task don't go together: leave one out")
