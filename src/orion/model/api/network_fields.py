"""The networks of a job in JSON, and who may reach it there."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.allow import MAX_ALLOWED
from orion.model.api.fields import Option, Reading, field, schema
from orion.model.api.placement_fields import AlongsideRequest, PlacementRequest
from orion.model.errors import shown
from orion.model.ids import JOB_NAME, JobName
from orion.model.network import DEFAULT, MAX_ALIASES, MAX_OF_JOB, NETWORK_NAME, NetworkAlias

NETWORK_PATTERN = f"^{NETWORK_NAME.pattern}$"
ALIAS_PATTERN = f"^{JOB_NAME.pattern}$"
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


class NetworkAliasRequest(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Another name of a job."""

    name: Annotated[str, schema("As a job's name is written.", pattern=ALIAS_PATTERN)]
    network: Annotated[str, Meta(description="One of its networks; empty: all of them.")] = ""


def read_aliases(asked: list[NetworkAliasRequest], reading: Reading) -> tuple[NetworkAlias, ...]:
    if len(asked) > MAX_ALIASES:
        reading.wrong(f"{reading.name} has {len(asked):,} names; a job has at most {MAX_ALIASES} aliases")
        return ()
    aliases = tuple(NetworkAlias(each.name, each.network) for each in asked)
    networks = reading.request.networks or [DEFAULT]
    for at, each in enumerate(aliases):
        if not JOB_NAME.fullmatch(each.name):
            reading.wrong(
                f"{shown(each.name)} can't be an alias: it has to be as a job's name, small letters, digits and -",
                at,
                "name",
            )
        elif each.network and each.network not in networks:
            reading.wrong(f"{shown(each.network)} is none of its networks", at, "network")
        elif each in aliases[:at]:
            reading.wrong(f"{each} is given twice", at)
    if aliases:
        refuse_elsewhere(reading)
    return aliases


def show_aliases(aliases: tuple[NetworkAlias, ...]) -> list[NetworkAliasRequest]:
    return [NetworkAliasRequest(each.name, each.network) for each in aliases]


NetworkAliases = Annotated[
    list[NetworkAliasRequest],
    field(
        "Other names by which tasks find its tasks; several jobs may have the same one.",
        note="On all of its networks, or on one of them.",
        spec="aliases",
        read=read_aliases,
        show=show_aliases,
        max_length=MAX_ALIASES,
        option=Option(("--network-alias",), "NAME[:NETWORK]", "alias"),
    ),
]
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
