"""The cluster's own settings, at the door of configs."""

import pytest
from cluster_kit import run

from orion.model.errors import Refused
from orion.state.tables.configs import Configs


def put(nodes, key, value):
    return nodes.leader.node.service.configs.put(key, value, if_version=None, idempotency_key="", timeout_s=5)


@pytest.mark.parametrize("value", [b"pack", b"spread\n"])
def test_a_setting_is_a_config_that_all_see(value):
    async def main(nodes):
        _, index = await put(nodes, "orion/placement", value)
        for machine in nodes.machines:
            driver = machine.node.driver
            await nodes.until(lambda driver=driver: driver.applied_index >= index)
            assert driver.view.of(Configs).placement == value.decode().strip()

    run(main)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("orion/placement", b"upwards", "orion/placement can be spread or pack, not 'upwards'"),
        ("orion/placement", b"\xff" * 1_000, "orion/placement can be spread or pack, not '"),
        ("orion/colour", b"red", "orion/colour is no setting of the cluster, for which keys under orion/ are kept"),
    ],
)
def test_what_is_no_setting_is_refused_under_the_clusters_keys(key, value, words):
    async def main(nodes):
        with pytest.raises(Refused) as refused:
            await put(nodes, key, value)
        assert refused.value.detail.startswith(words)
        assert len(refused.value.detail) < 300
        await put(nodes, "orionx/placement", value)

    run(main, count=1)
