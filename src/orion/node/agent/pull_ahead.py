"""Answers the leader, who has this node pull an image before anything of it is to run here."""

import asyncio
from collections.abc import AsyncGenerator

from orion.node.agent.agent import Agent
from orion.node.routing.pull_image import Pulled, PullImage
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import ALIVE, SIGN_OF_LIFE_S, SignOfLife
from orion.ports.peers import Principal


def answer_pulls(registry: Registry, agent: Agent) -> None:
    async def answer(request: PullImage, _: Principal) -> AsyncGenerator[Pulled | SignOfLife, None]:
        pull = asyncio.ensure_future(agent.pull_ahead(request.image, request.platform, request.policy))
        try:
            while not (await asyncio.wait({pull}, timeout=SIGN_OF_LIFE_S))[0]:
                yield ALIVE
            pull.result()
            yield Pulled()
        finally:
            pull.cancel()
            await asyncio.wait({pull})

    registry.answer_stream(PullImage, answer)
