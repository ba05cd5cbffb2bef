"""Job files are planned and deployed by the command line: real processes, a real engine."""

from pathlib import Path

import pytest

from support import images
from support.command import orion
from support.nodes import Cluster, free_ports

pytestmark = pytest.mark.engine

SHOP = """
jobs:
  web:
    image: {image}
    count: 2
    command: [sh, -c, "{script}"]
    stopGraceSeconds: 2
    restartPolicy: {restart}
    update: {{monitorSeconds: {monitor_s}, progressDeadlineSeconds: 240}}
    env: {{RELEASE: "{release}"}}
  db:
    image: {image}
    command: [sleep, "1000"]
    stopGraceSeconds: 0
    update: {{monitorSeconds: 1}}
"""
SERVES = "trap 'exit 0' TERM; sleep 1000000 & wait"


def shop(path: Path, release: str = "1", script: str = SERVES, **more: object) -> str:
    fields = {"restart": "always", "monitor_s": 1, **more}
    path.write_text(SHOP.format(image=images.BUSYBOX, release=release, script=script, **fields))
    return str(path)


def test_a_file_is_planned_deployed_left_alone_changed_and_taken_back(
    shared: Cluster, busybox_image: str, tmp_path: Path
) -> None:
    shared.grow_to(3)
    node, path = shared.nodes[0], tmp_path / "shop.yaml"
    file = shop(path)
    code, out, _ = orion(node, "plan", file)
    assert code == 0
    assert "+ web: create" in out
    assert "starts 2: " in out
    assert orion(node, "deploy", file)[:2] == (0, "web is as asked: version 0\ndb is as asked: version 0\n")
    assert orion(node, "deploy", file)[:2] == (0, "web is unchanged: version 0\ndb is unchanged: version 0\n")
    shop(path, release="2")
    code, out, _ = orion(node, "plan", file)
    assert code == 0
    assert 'env.RELEASE: "1" -> "2"' in out
    token = out.split("--plan ")[1].split()[0]
    code, out, _ = orion(node, "deploy", "--plan", token, file)
    assert (code, out) == (0, "web is as asked: version 1\ndb is unchanged: version 0\n")
    code, _, err = orion(node, "deploy", "--plan", token, file)
    assert (code, "does not hold any more" in err) == (1, True)
    # Watched for so long that its end is told in time, though an engine or a node stands still. The words it said
    # last are waited for only where it is not started again.
    shop(path, release="3", script="echo no database >&2; exit 3", restart='"no"', monitor_s=10)
    code, _, err = orion(node, "deploy", file)
    assert code == 3
    assert "failed and is back at version 1" in err
    assert "no database" in err


def test_an_update_that_can_not_be_is_refused_with_its_place_in_the_file(
    shared: Cluster, busybox_image: str, tmp_path: Path
) -> None:
    shared.grow_to(1)
    port, _, _ = free_ports()
    node, path = shared.nodes[0], tmp_path / "edge.yaml"
    text = f"""name: edge
image: {images.BUSYBOX}
command: [httpd, -f, -p, "80"]
portBindings: {{80/tcp: "{port}"}}
stopGraceSeconds: 0
update:
  monitorSeconds: 1
"""
    path.write_text(text)
    assert orion(node, "deploy", str(path))[0] == 0
    path.write_text(text + "  order: start-first\nuser: root\n")
    for command in ("plan", "deploy"):
        code, _, err = orion(node, command, str(path))
        assert code == 2
        assert err.startswith(f"{path}:8:")
        assert (
            f"start-first can't be: beside the tasks that run one more port {port} is taken on 1 of 1 nodes" in err
        )
