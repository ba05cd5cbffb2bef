"""Volumes in JSON: what is taken, and what is said of the rest."""

import pytest

from orion.model.api.codec import job_from_request
from orion.model.api.config_refs import ConfigRefRequest
from orion.model.api.tasks import TaskRequest
from orion.model.api.volume_fields import VolumeRequest
from orion.model.errors import Invalid
from orion.model.volumes import VolumeMount


def spec(*volumes, **more):
    return job_from_request(TaskRequest("app", volumes=list(volumes), **more), "db", 0).task


def test_volumes_and_paths_are_read():
    assert spec(
        VolumeRequest("/var/lib/x/", "data", per_slot=True, nocopy=True, subpath="a/b"),
        VolumeRequest("/x", source="/srv/x/", read_only=True),
        VolumeRequest("/d", "d"),
        VolumeRequest("/host", source="/"),
        VolumeRequest("/s", source="/s", shared=True),
    ).volumes == (
        VolumeMount("/var/lib/x", "data", "", False, True, True, "a/b"),
        VolumeMount("/x", "", "/srv/x", True),
        VolumeMount("/d", "d"),
        VolumeMount("/host", "", "/"),
        VolumeMount("/s", "", "/s", shared=True),
    )


@pytest.mark.parametrize(
    ("asked", "pointer", "words"),
    [
        (VolumeRequest("/x"), "/volumes/0", "needs one of name and source"),
        (VolumeRequest("/x", "a", "/b"), "/volumes/0", "needs one of name and source"),
        (VolumeRequest("x", "a"), "/volumes/0/target", "'x' is not a path in a container"),
        (VolumeRequest("/", "a"), "/volumes/0/target", "is not a path in a container"),
        (VolumeRequest("/a/../b", "a"), "/volumes/0/target", "is not a path in a container"),
        (VolumeRequest("/proc/x", "a"), "/volumes/0/target", "is the container engine's own"),
        (VolumeRequest("/etc/hosts", "a"), "/volumes/0/target", "is the container engine's own"),
        (VolumeRequest("/x", "a b"), "/volumes/0/name", "is no volume's name"),
        (VolumeRequest("/x", "a" * 64), "/volumes/0/name", "is no volume's name"),
        (VolumeRequest("/x", "a", subpath="../b"), "/volumes/0/subpath", "is not a path in a volume"),
        (VolumeRequest("/x", "a", subpath="/b"), "/volumes/0/subpath", "is not a path in a volume"),
        (VolumeRequest("/x", source="./b"), "/volumes/0/source", "is not a path of a node"),
        (VolumeRequest("/x", source="/b/.."), "/volumes/0/source", "is not a path of a node"),
        (VolumeRequest("/x", source="/b", per_slot=True), "/volumes/0/perSlot", "perSlot is for volumes"),
        (VolumeRequest("/x", source="/b", subpath="c"), "/volumes/0/subpath", "subpath is for volumes"),
        (VolumeRequest("/x", "a", shared=True), "/volumes/0/shared", "shared is for paths of a node"),
    ],
)
def test_what_can_not_be_is_said(asked, pointer, words):
    with pytest.raises(Invalid) as refused:
        spec(asked)
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert words in refused.value.errors[0].message


def test_a_target_is_given_once():
    with pytest.raises(Invalid, match="/x is given twice"):
        spec(VolumeRequest("/x", "a"), VolumeRequest("/x/", "b"))
    with pytest.raises(Invalid, match="/x is given twice"):
        spec(VolumeRequest("/x", "a"), configs=[ConfigRefRequest("k", path="/x")])
    with pytest.raises(Invalid, match="volumes has 65; a task can have 64"):
        spec(*(VolumeRequest(f"/x{n}", "a") for n in range(65)))
