"""A task's program runs as the user that was asked for: real processes, a real engine."""

import json
import subprocess
import sys

import pytest

from support import images
from support.nodes import Cluster

pytestmark = pytest.mark.engine


@pytest.fixture
def one(shared: Cluster) -> Cluster:
    shared.grow_to(1)
    return shared


def orion(one: Cluster, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orion", *args[:1], "--port", str(one.nodes[0].port), *args[1:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("user", "ids"),
    [("1234", "1234:0"), ("1234:99", "1234:99"), ("2147483647", "2147483647:0"), ("nobody:7", "65534:7")],
)
def test_a_program_runs_as_the_user_asked_for(one: Cluster, busybox_image: str, user: str, ids: str) -> None:
    done = orion(one, "run", "--rm", "-u", user, images.BUSYBOX, "sh", "-c", "echo $(id -u):$(id -g)")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{ids}\n", "")


def test_the_user_is_shown_and_without_one_it_is_the_image_s(one: Cluster, busybox_image: str) -> None:
    command = ["sh", "-c", "id -u; exec sleep 1000000"]
    one.run("mine", image=images.BUSYBOX, command=command, user="7:8")
    one.run("its", image=images.BUSYBOX, command=command)
    assert json.loads(orion(one, "inspect", "mine").stdout)["user"] == "7:8"
    assert (one.task("mine")["user"], one.task("its")["user"]) == ("7:8", "")
    one.wait(lambda: one.any().ask("GET", "/tasks/mine/logs") == "7\n", "its words")
    one.wait(lambda: one.any().ask("GET", "/tasks/its/logs") == "0\n", "its words")


def test_a_name_that_the_image_does_not_have_is_said(one: Cluster, busybox_image: str) -> None:
    one.any().ask("POST", "/tasks", {"name": "who", "image": images.BUSYBOX, "user": "who"})
    found = one.wait(lambda: "who" in (t := one.task("who"))["reason"] and t, "why")
    assert "unable to find user who" in found["reason"]


def test_what_is_no_user_is_refused_before_anything_is_made(one: Cluster, busybox_image: str) -> None:
    done = orion(one, "run", "-u", "2147483648", images.BUSYBOX)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("orion: --user '2147483648' is no user: write a name or a number")
    assert one.any().ask("GET", "/tasks") == []
