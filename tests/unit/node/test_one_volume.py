"""One volume of a plugin on this node, before its runner has looked at anything."""

import asyncio

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
