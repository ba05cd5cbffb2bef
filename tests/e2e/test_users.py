"""A task's program runs as the user that was asked for: real processes, a real engine."""

import json

import pytest

from support import images
from support.command import orion
from support.nodes import Cluster

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("user", "ids"),
    [("1234", "1234:0"), ("1234:99", "1234:99"), ("2147483647", "2147483647:0"), ("nobody:7", "65534:7")],
)
def test_a_program_runs_as_the_user_asked_for(one: Cluster, busybox_image: str, user: str, ids: str) -> None:
    program = ("sh", "-c", "echo $(id -u):$(id -g)")
    done = orion(one.nodes[0], "run", "--rm", "-u", user, images.BUSYBOX, *program, timeout_s=120)
    assert done == (0, f"{ids}\n", "")


def test_the_user_is_shown_and_without_one_it_is_the_image_s(one: Cluster, busybox_image: str) -> None:
    command = ["sh", "-c", "id -u; exec sleep 1000000"]
    one.run("mine", image=images.BUSYBOX, command=command, user="7:8")
    one.run("its", image=images.BUSYBOX, command=command)
    assert json.loads(orion(one.nodes[0], "inspect", "mine")[1])["user"] == "7:8"
    assert (one.task("mine")["user"], one.task("its")["user"]) == ("7:8", "")
    one.wait(lambda: one.any().ask("GET", "/tasks/mine/logs") == "7\n", "its words")
    one.wait(lambda: one.any().ask("GET", "/tasks/its/logs") == "0\n", "its words")


def test_a_name_that_the_image_does_not_have_is_said(one: Cluster, busybox_image: str) -> None:
    one.any().ask("POST", "/tasks", {"name": "who", "image": images.BUSYBOX, "user": "who"})
    found = one.wait(lambda: "who" in (t := one.task("who"))["reason"] and t, "why")
    assert "unable to find user who" in found["reason"]


def test_what_is_no_user_is_refused_before_anything_is_made(one: Cluster, busybox_image: str) -> None:
    code, out, error = orion(one.nodes[0], "run", "-u", "2147483648", images.BUSYBOX)
    assert (code, out) == (2, "")
    assert error.startswith("orion: --user '2147483648' is no user: write a name or a number")
    assert one.any().ask("GET", "/tasks") == []
