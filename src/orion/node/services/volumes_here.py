"""Volumes of storage systems with what their nodes say of them."""

import asyncio

from msgspec.structs import replace

from orion.model.api.storage import StorageView, VolumeClaimView
from orion.model.api.volumes import VolumeView
from orion.model.claims import ClaimPhase
from orion.model.ids import NodeId
from orion.node.routing.forward import Forward
from orion.node.routing.volumes_here import AskHere, Given, Here
from orion.node.services.one_node import answer_or_why

HERE_S = 2.0

Answers = dict[tuple[str, str], Here | str]  # by volume and node


async def with_nodes(forward: Forward, found: list[VolumeView]) -> list[VolumeView]:
    """Returns them with the words of the nodes that have them, where the state has none."""
    asked: dict[str, list[Given]] = {}
    for volume in found:
        for claim in volume.storage.claims if volume.storage is not None else ():
            if _is_asked(claim):
                given = Given(volume.name, volume.created_index, volume.storage.has_bytes if volume.storage else 0)
                asked.setdefault(claim.node_id, []).append(given)
    answers: Answers = {}
    for some in await asyncio.gather(*(_of_node(forward, node, given) for node, given in asked.items())):
        answers |= some
    return [_told(each, each.storage, answers) if each.storage is not None else each for each in found]


def _is_asked(claim: VolumeClaimView) -> bool:
    return claim.phase == ClaimPhase.PUBLISHED and not claim.why


async def _of_node(forward: Forward, node: str, given: list[Given]) -> Answers:
    answer = await answer_or_why(forward, NodeId(node), AskHere(tuple(given)), HERE_S)
    if isinstance(answer, str):
        return {(each.volume, node): answer for each in given}
    return {(each.volume, node): here for each, here in zip(given, answer.found, strict=False)}


def _told(volume: VolumeView, storage: StorageView, answers: Answers) -> VolumeView:
    claims = [_claim(each, answers.get((volume.name, each.node_id))) for each in storage.claims]
    return replace(volume, storage=replace(storage, claims=claims))


def _claim(claim: VolumeClaimView, answer: Here | str | None) -> VolumeClaimView:
    if answer is None:
        return claim
    if isinstance(answer, str):
        return replace(claim, why=answer)
    return replace(claim, settled=answer.settled, why=answer.why)
