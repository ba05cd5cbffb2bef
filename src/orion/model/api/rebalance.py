"""Moves between nodes, in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import schema

MAX_MOVES = 64


class RebalanceRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /rebalance`."""

    dry_run: Annotated[bool, Meta(description="Only show the moves.")] = False
    max_moves: Annotated[int, Meta(ge=1, le=MAX_MOVES, description="The most tasks that move.")] = MAX_MOVES


class MoveView(msgspec.Struct, frozen=True, rename="camel"):
    """A task that leaves its node for another."""

    task: str
    source: Annotated[str, Meta(description="The node that it leaves.")]
    target: str


class RebalanceView(msgspec.Struct, frozen=True, rename="camel"):
    """Moves, from the fullest nodes to the emptiest."""

    moves: list[MoveView]
    more: Annotated[
        bool,
        schema("Others are worth making once these tasks run: of each job one moves at a time."),
    ] = False
    made: Annotated[bool, Meta(description="They are under way, and not only shown.")] = False
