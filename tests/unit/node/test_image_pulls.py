"""node/agent/image_pulls.py: when an image is pulled."""

import asyncio

import pytest

from orion.model.container_options import ContainerOptions
from orion.model.errors import EngineError
from orion.model.ids import AllocationId
from orion.model.job import TaskSpec
from orion.node.agent.image_pulls import ImagePulls


class Engine:
    def __init__(self, *images):
        self.images = set(images)
        self.pulled = []

    async def has_image(self, image, platform=""):
        return (image, platform) in self.images

    async def pull(self, image, progress, platform=""):
        self.pulled.append((image, platform))


def fetch(engine, **options):
    spec = TaskSpec("nginx", options=ContainerOptions(**options) if options else None)
    asyncio.run(ImagePulls(engine).fetch(AllocationId(1), spec, lambda _: None))
    return engine.pulled


def test_what_the_engine_lacks_is_pulled():
    assert fetch(Engine()) == [("nginx", "")]
    assert fetch(Engine(("nginx", ""))) == []


def test_always_is_always():
    assert fetch(Engine(("nginx", "")), pull_policy="always") == [("nginx", "")]


def test_never_is_refused_where_the_image_is_not():
    assert fetch(Engine(("nginx", "")), pull_policy="never") == []
    with pytest.raises(
        EngineError, match="the image nginx is not on this node, and is never to be pulled"
    ) as refused:
        fetch(Engine(), pull_policy="never")
    assert not refused.value.permanent


def test_the_image_of_another_platform_is_not_the_one():
    assert fetch(Engine(("nginx", "")), platform="linux/arm64") == [("nginx", "linux/arm64")]
