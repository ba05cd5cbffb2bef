"""What is shown of containers that somebody paused, pruned or could never be."""

import pytest

from support import api, images
from support.cleanup import containers
from support.nodes import Cluster, Problem

pytestmark = pytest.mark.engine

FOREVER = ["sleep", "1000000"]
NO_COMMAND = "orion-test/no-command:latest"


def test_a_container_is_named_and_shown_as_paused_while_it_is(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    web = one.run("web", image=busybox_image, command=FOREVER)
    (container,) = containers(docker_host, f"dev.orion.cluster={one.id}")
    run = web["allocations"][-1]
    assert (run["containerId"], f"/{run['containerName']}") == (container["Id"], container["Names"][0])
    api.ask(docker_host, "POST", f"/containers/{container['Id']}/pause")
    one.wait(lambda: one.task("web")["reason"].startswith("paused"), "paused to be shown")
    assert run["containerName"] in one.task("web")["reason"]
    assert one.task("web")["state"] == "running"
    api.ask(docker_host, "POST", f"/containers/{container['Id']}/unpause")
    one.wait(lambda: not one.task("web")["reason"], "it to go on")


def test_logs_of_a_pruned_container_say_that_somebody_removed_it(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    done = {"name": "done", "image": busybox_image, "command": ["echo", "hello"], "restartPolicy": "no"}
    one.any().ask("POST", "/tasks", done)
    one.wait_task("done", "completed")
    (container,) = containers(docker_host, f"dev.orion.cluster={one.id}")
    api.ask(docker_host, "DELETE", f"/containers/{container['Id']}")

    def why() -> str:
        try:
            one.any().ask("GET", "/tasks/done/logs")
        except Problem as problem:
            return str(problem.body["detail"])
        return ""

    said = one.wait(lambda: "removed its container" in why() and why(), "that they are gone")
    assert said.startswith("done/0 has run on node1, but somebody has removed its container")


def test_a_mistake_of_the_user_is_told_in_the_user_s_own_words(
    one: Cluster, docker_host: str, busybox_image: str
) -> None:
    images.import_image(docker_host, NO_COMMAND, images._busybox_files(), [])
    try:
        one.any().ask("PUT", "/configs/motd", "hello")
        wrong = {
            "empty": ({"image": NO_COMMAND}, "the image has no command of its own"),
            "folder": (
                {"image": busybox_image, "command": FOREVER, "configs": [{"key": "motd", "path": "/etc"}]},
                "the image has a folder at /etc",
            ),
            "file": (
                {"image": busybox_image, "command": FOREVER, "configs": [{"key": "motd", "path": "/etc/group/x"}]},
                "/etc/group/x can't be made",
            ),
        }
        for name, (request, _) in wrong.items():
            one.any().ask("POST", "/tasks", {"name": name, **request})
        for name, (_, words) in wrong.items():
            assert one.wait_task(name, "failed")["reason"].startswith(words)
    finally:
        api.ask(docker_host, "DELETE", f"/images/{NO_COMMAND}?force=1")
