"""One volume of a plugin on this node, before its runner has looked at anything."""

import asyncio
import contextlib
import logging
from types import SimpleNamespace

from orion.model.csi import Access
from orion.model.csi_node import KnownTarget, KnownVolume, Phase, Target, WantedVolume
from orion.node.volumes.one_volume import OneVolume
from orion.reconcile.csi_steps import terms

PATH = "/csi/v/t/1"


def test_a_record_alone_makes_nothing_ready():
    """The machine may have started anew since it was written."""
    wanted = WantedVolume("p", "v", Access(), (Target(PATH),))
    done = KnownTarget(PATH, readonly=False, phase=Phase.DONE)
    known = KnownVolume("p", "v", terms(wanted), "/csi/v/staging", Phase.DONE, (done,), boot="1")
    volume = OneVolume("v", known, None, asyncio.Event(), lambda _: False)
    volume.want(wanted)
    assert not volume.ready(PATH)


def test_the_log_says_the_name_of_a_volume_and_its_plugins_id_for_it(caplog):
    async def nothing_mounted(_):
        return []

    plugins = SimpleNamespace(node_part=lambda _: None, why_not=lambda name: f"plugin {name} is not here")
    mounts = SimpleNamespace(boot_id=lambda: "1", points_below=nothing_mounted)
    tools = SimpleNamespace(plugins=plugins, mounts=mounts, records=SimpleNamespace(directory="/csi"))

    async def main():
        changed = asyncio.Event()
        volume = OneVolume("v", KnownVolume("p", "v-17"), tools, changed, lambda _: False)
        volume.want(WantedVolume("p", "v-17", Access(), (Target(PATH),), name="data"))
        runner = asyncio.create_task(volume.run())
        async with asyncio.timeout(120):
            await changed.wait()
        runner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await runner
        assert volume.why == "plugin p is not here"

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert caplog.messages == ["volume data (v-17): plugin p is not here"]
