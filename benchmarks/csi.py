"""What Orion adds to a storage plugin's own calls on a node, and what the first plugin costs a process in memory.

    script/bench csi [--volumes 100]

orion-csi-dir runs beside it, with real bind mounts. Needs root.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from orion.adapters.csi import GrpcPlugins
from orion.adapters.csi_records import FileRecords
from orion.adapters.mounts import LinuxMounts
from orion.model.csi import Access, NewVolume, SizeRange, Volume
from orion.model.csi_node import Target, WantedVolume
from orion.node.volumes.node_volumes import NodeVolumes
from orion.node.volumes.plugins import Plugins
from orion.ports.csi import CsiPlugin
from support.csi import PluginProcess, unmount_all

NAME = "dir.csi.orion.dev"


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 / 1024


async def by_itself(plugin: CsiPlugin, volume: Volume, folder: Path) -> tuple[float, float]:
    """The plugin's own calls alone: seconds in, seconds out."""
    staging, target = str(folder / "staging"), str(folder / "target")
    begun = time.perf_counter()
    await plugin.stage(volume.id, staging, Access())
    await plugin.publish(volume.id, target, Access(), staging=staging)
    there = time.perf_counter()
    await plugin.unpublish(volume.id, target)
    await plugin.unstage(volume.id, staging)
    return there - begun, time.perf_counter() - there


async def by_orion(volumes: NodeVolumes, changed: asyncio.Event, volume: Volume) -> tuple[float, float]:
    async def until(holds: Callable[[], bool]) -> None:
        while not holds():
            changed.clear()
            if not holds():
                await changed.wait()

    path = volumes.target_path(NAME, volume.id, 1)
    begun = time.perf_counter()
    volumes.want([WantedVolume(NAME, volume.id, Access(), (Target(path),))])
    await until(lambda: volumes.ready(NAME, volume.id, path))
    there = time.perf_counter()
    volumes.want([])
    await until(lambda: volumes.clear(NAME, volume.id))
    return there - begun, time.perf_counter() - there


async def measure(folder: Path, process: PluginProcess, count: int) -> None:
    before, begun = rss_mb(), time.perf_counter()
    plugin = await GrpcPlugins().open(str(process.socket))
    await plugin.info()
    took_ms = 1_000 * (time.perf_counter() - begun)
    print(f"the first plugin: {rss_mb() - before:.1f} MB, {took_ms:.0f} ms, beside the loop")
    plugins, changed = Plugins(GrpcPlugins()), asyncio.Event()
    plugins.follow([str(process.socket)])
    volumes = NodeVolumes(plugins, LinuxMounts(), FileRecords(folder / "csi"))
    volumes.on_change.append(changed.set)
    runners = [asyncio.create_task(each.run()) for each in (plugins, volumes)]
    while plugins.node_part(NAME) is None:
        await asyncio.sleep(0.01)
    alone, added = [], []
    for number in range(count):
        volume = await plugin.create_volume(NewVolume(f"v{number}", SizeRange(1 << 20), (Access(),)))
        await plugin.publish_to_node(volume.id, "node1", Access())
        alone.append(await by_itself(plugin, volume, folder))
        added.append(await by_orion(volumes, changed, volume))
    for words, at in (("in ", 0), ("out", 1)):
        own, whole = (1_000 * statistics.median(each[at] for each in found) for found in (alone, added))
        print(f"{words}: {whole:.1f} ms, of which the plugin's two calls {own:.1f}")
    for runner in runners:
        runner.cancel()
    await asyncio.gather(*runners, return_exceptions=True)
    await plugin.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--volumes", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orion-csi-") as name:
        folder = Path(name)
        try:
            with PluginProcess(folder) as process:
                uvloop.run(measure(folder, process, asked.volumes))
        finally:
            unmount_all(folder)


if __name__ == "__main__":
    main()
