"""orion-csi-dir as a job, from its example: its mounts, made in a container, are the node's."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from contract.test_node_volumes import Bench
from orion.csi_dir import loops
from orion.model.csi import Access, NewVolume, SizeRange
from support import images
from support.command import orion
from support.csi import asked, mounts_below, no_mounts_left

pytestmark = [pytest.mark.engine, pytest.mark.root]

EXAMPLE = Path(__file__).parents[2] / "examples" / "csi-dir" / "csi-dir.toml"


@pytest.fixture
def machine(tmp_path):
    """A directory of this machine whose mounts are shared, as those of most machines are."""
    folder = tmp_path / "machine"
    folder.mkdir()
    with no_mounts_left(tmp_path):
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        try:
            subprocess.run(["mount", "--make-shared", folder], check=True)
            with no_mounts_left(folder):
                yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def states(cluster):
    return [each["state"] for each in cluster.any().ask("GET", "/tasks") if each["name"] == "csi-dir"]


def test_a_node_has_volumes_of_a_plugin_that_is_a_job(machine, tmp_path, one, docker_host):
    root = tmp_path / "root"
    for each in (root, machine / "plugins"):
        each.mkdir()
    text = EXAMPLE.read_text().replace("registry.example.org/csi-dir", images.csi_dir(docker_host))
    text = text.replace("/srv/volumes", str(root)).replace("/var/lib/orion", str(machine))
    (tmp_path / "csi-dir.toml").write_text(text)
    code, out, err = orion(one.any(), "deploy", "--no-wait", str(tmp_path / "csi-dir.toml"))
    assert code == 0, out + err
    one.wait(lambda: states(one) == ["running"], "the plugin to run")
    socket = machine / "plugins" / "csi-dir.sock"

    async def test():
        async with asked(socket) as plugin:
            node = (await plugin.node_info()).node_id
            assert node == one.nodes[0].name
            volume = await plugin.create_volume(NewVolume("data", SizeRange(1 << 20), (Access(),)))
            published = await plugin.publish_to_node(volume.id, node, Access())
            file = await plugin.create_volume(
                NewVolume("file", SizeRange(1 << 20), (Access(),), parameters={"quota": "loop"})
            )
            await plugin.publish_to_node(file.id, node, Access())
            async with Bench(machine, socket).running() as bench:
                wanted = replace(bench.wanted(volume), published=published)
                bench.volumes.want([wanted, replace(bench.wanted(file), published=published)])
                for each in (volume, file):
                    await bench.until_ready(each)
                    await asyncio.to_thread(Path(bench.path(each), "row").write_text, "1")
                assert os.statvfs(bench.path(file)).f_blocks * 1024 < file.size_bytes
                assert len(mounts_below(machine)) == 4
                one.any().ask("POST", "/jobs/csi-dir/stop")
                one.wait(lambda: "running" not in states(one), "its end")
                assert len(mounts_below(machine)) == 4, "tasks keep their volumes while it is away"
                one.any().ask("POST", "/jobs/csi-dir/start")
                bench.volumes.want([])
                for each in (volume, file):
                    await bench.until_clear(each)
            assert loops.of(f"/{file.id}/data/image") is None, "no device is left"
            assert (root / "volumes" / volume.id / "data" / "row").read_text() == "1"
            for each in (volume, file):
                await plugin.unpublish_from_node(each.id, node)
                await plugin.delete_volume(each.id)

    asyncio.run(test())
