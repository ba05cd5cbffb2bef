"""Templates, pull policies and platforms of tasks: real processes, a real engine."""

import platform

import pytest

from support import api, images
from support.command import orion
from support.nodes import Cluster, Problem

pytestmark = pytest.mark.engine


def test_each_node_fills_in_what_it_knows(one: Cluster, docker_host: str, busybox_image: str) -> None:
    node = one.nodes[0]
    assert orion(node, "nodes", "label", "node1", "zone=b")[0] == 0
    one.wait(lambda: one.any().ask("GET", "/nodes/node1")["labels"].get("zone") == "b", "the label")
    script = "echo $(hostname) $WHERE $PLAIN; exec sleep 1000000"
    words = ("--name", "web", "--wait", "--hostname", "{{.Job.Name}}-{{.Task.Slot}}", "-l", "at={{.Task.Name}}")
    env = ("-e", "WHERE={{.Node.ID}},{{.Node.Labels.zone}},{{.Node.Hostname}}", "-e", "PLAIN={{jinja}}")
    done = orion(node, "run", *words, *env, images.BUSYBOX, "sh", "-c", script, timeout_s=120)
    assert done[:2] == (0, "web/0\n"), done[2]
    said = one.wait(lambda: one.any().ask("GET", "/tasks/web/logs"), "its words")
    assert said == f"web-1 node1,b,{platform.node()} {{{{jinja}}}}\n"
    task = one.task("web")
    assert (task["hostname"], task["env"]["PLAIN"]) == ("{{.Job.Name}}-{{.Task.Slot}}", "{{jinja}}")
    container = task["allocations"][-1]["containerId"]
    shown = api.ask_json(docker_host, "GET", f"/containers/{container}/json")
    assert shown["Config"]["Labels"]["at"] == "web.1"


def test_a_label_that_no_node_has_is_why_it_waits_and_it_goes_on_once_it_is_there(
    one: Cluster, busybox_image: str
) -> None:
    command = ["sh", "-c", "echo $RACK; exec sleep 1000000"]
    wish = {"name": "web", "image": images.BUSYBOX, "env": {"RACK": "{{.Node.Labels.rack}}"}, "command": command}
    one.any().ask("POST", "/tasks", wish)
    one.wait(lambda: "node1 has no label rack" in one.task("web")["reason"], "why it waits")
    assert orion(one.nodes[0], "nodes", "label", "node1", "rack=7")[0] == 0
    one.wait_task("web", "running")
    one.wait(lambda: one.any().ask("GET", "/tasks/web/logs") == "7\n", "its words")


def test_an_unknown_name_is_refused(one: Cluster, busybox_image: str) -> None:
    with pytest.raises(Problem, match=r"asks for \{\{.Node.Name\}\}, which is not known: there are .Node.Hostname"):
        one.any().ask("POST", "/tasks", {"image": images.BUSYBOX, "env": {"A": "{{.Node.Name}}"}})


def test_pull_policies(one: Cluster, busybox_image: str) -> None:
    """No registry has the image, and the engine does."""
    sleep = ["sleep", "1000000"]
    one.run("never", image=images.BUSYBOX, pullPolicy="never", command=sleep)
    one.run("missing", image=images.BUSYBOX, pullPolicy="missing", command=sleep)
    one.any().ask("POST", "/tasks", {"name": "always", "image": images.BUSYBOX, "pullPolicy": "always"})
    one.wait(lambda: "can't be pulled" in one.task("always")["reason"], "why it waits")
    one.any().ask("POST", "/tasks", {"name": "absent", "image": "orion-test/absent", "pullPolicy": "never"})
    one.wait(lambda: "is not on this node, and is never to be pulled" in one.task("absent")["reason"], "why")


def test_a_platform_is_a_kind_of_node(one: Cluster, busybox_image: str) -> None:
    mine, other = (
        ("linux/amd64", "linux/arm64") if platform.machine() == "x86_64" else ("linux/arm64", "linux/amd64")
    )
    one.run("mine", image=images.BUSYBOX, platform=mine, command=["sleep", "1000000"])
    one.any().ask("POST", "/tasks", {"name": "other", "image": images.BUSYBOX, "platform": other})
    waits = one.wait(lambda: "arch=" in (t := one.task("other"))["reason"] and t, "why it waits")
    assert waits["state"] == "pending"
