"""What plugins answer is checked before it is believed, and what they refuse comes to people in words."""

import pytest
from grpclib.const import Status

from orion.adapters.csi import answers, failures
from orion.adapters.csi.failures import Call
from orion.model import csi
from orion.model.csi import FailureKind, NewVolume, SizeRange, Source
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.ports.csi import CsiFailed
from orion.wire.csi import csi_pb2

CALL = Call("dir.csi.orion.dev", "CreateVolume", "volume data", NO_SECRETS)
NEW = NewVolume("data", SizeRange(1000, 2000), (csi.Access(),))


def lie(check) -> str:
    with pytest.raises(CsiFailed) as raised:
        check()
    assert raised.value.kind is FailureKind.LIE
    assert str(raised.value).startswith("plugin dir.csi.orion.dev: CreateVolume for volume data ")
    return str(raised.value)


def made(new=NEW, **fields):
    reply = csi_pb2.CreateVolumeResponse(volume=csi_pb2.Volume(**{"volume_id": "v", **fields}))
    return answers.made_volume(CALL, reply, new)


def test_a_volume_as_it_should_be():
    topology = [csi_pb2.Topology(segments={"rack": "r1"})]
    found = made(capacity_bytes=1500, volume_context={"a": "b"}, accessible_topology=topology)
    assert found == csi.Volume("v", 1500, {"a": "b"}, None, ({"rack": "r1"},))
    assert made().size_bytes == 0, "a size that is not known"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"volume_id": ""}, "volume id is empty"),
        ({"volume_id": "x" * (csi.MAX_ID_BYTES + 1)}, "1,025 bytes"),
        ({"volume_id": "a\nb"}, "can't be shown"),
        ({"capacity_bytes": -1}, "size is -1"),
        ({"capacity_bytes": 999}, "less than the 1,000"),
        ({"capacity_bytes": 2001}, "more than the limit of 2,000"),
        ({"volume_context": {"a": "x" * csi.MAX_CONTEXT_BYTES}}, "volume context has"),
        ({"accessible_topology": [csi_pb2.Topology()] * (csi.MAX_TOPOLOGIES + 1)}, "257 places"),
    ],
)
def test_lies_about_a_volume(fields, words):
    assert words in lie(lambda: made(**fields))


def test_a_volume_that_is_not_told_of():
    assert "none is told of" in lie(lambda: answers.made_volume(CALL, csi_pb2.CreateVolumeResponse(), NEW))


def test_another_source_than_was_asked_for():
    wire = csi_pb2.VolumeContentSource
    other = wire(snapshot=wire.SnapshotSource(snapshot_id="s2"))
    asked = NewVolume("data", SizeRange(), (), source=Source(snapshot="s1"))
    assert "other content" in lie(lambda: made(asked, content_source=other))
    assert made(asked).source is None, "one that says nothing is believed"


@pytest.mark.parametrize("name", ["", "a b", "-a", "x" * 64, "ä", "a\n"])
def test_names_of_plugins(name):
    lie(lambda: answers.plugin_info(CALL, csi_pb2.GetPluginInfoResponse(name=name, vendor_version="1")))


def test_a_node_without_an_id_and_with_less_than_no_volumes():
    lie(lambda: answers.node_info(CALL, csi_pb2.NodeGetInfoResponse()))
    lie(lambda: answers.node_info(CALL, csi_pb2.NodeGetInfoResponse(node_id="n", max_volumes_per_node=-1)))


def test_lists_that_do_not_end_or_are_longer_than_asked():
    entry = csi_pb2.ListVolumesResponse.Entry(volume=csi_pb2.Volume(volume_id="v"))
    told = csi_pb2.ListVolumesResponse(entries=[entry] * 3, next_token="t")
    assert len(answers.page(CALL, told, 3, "").volumes) == 3
    assert "3 entries, where 2" in lie(lambda: answers.page(CALL, told, 2, ""))
    assert "same one again" in lie(lambda: answers.page(CALL, told, 3, "t"))


def test_a_snapshot_of_another_volume():
    told = csi_pb2.Snapshot(snapshot_id="s", source_volume_id="other")
    assert "'other'" in lie(lambda: answers.snapshot(CALL, told, source="v"))
    assert answers.snapshot(CALL, told).volume == "other"


def test_a_confirmation_that_leaves_out_a_part_is_none():
    wire = csi_pb2.ValidateVolumeCapabilitiesResponse
    asked = csi_pb2.VolumeCapability(mount=csi_pb2.VolumeCapability.MountVolume(fs_type="xfs"))
    other = csi_pb2.VolumeCapability(mount=csi_pb2.VolumeCapability.MountVolume())
    for given, confirmed in ([asked], True), ([other], False), ([], False):
        told = wire(confirmed=wire.Confirmed(volume_capabilities=given))
        assert answers.confirmation(told, [asked]).confirmed is confirmed
    assert not answers.confirmation(wire(message="no"), [asked]).confirmed


def test_every_code_has_a_meaning_and_ok_is_no_failure():
    assert set(failures.BY_CODE) == set(Status) - {Status.OK}


@pytest.mark.parametrize(
    ("call", "code", "kind"),
    [
        ("NodeStageVolume", Status.ABORTED, FailureKind.PENDING),
        ("NodeStageVolume", Status.UNAVAILABLE, FailureKind.RETRY),
        ("NodeStageVolume", Status.INVALID_ARGUMENT, FailureKind.FINAL),
        ("NodePublishVolume", Status.FAILED_PRECONDITION, FailureKind.RETRY),
        ("ControllerPublishVolume", Status.FAILED_PRECONDITION, FailureKind.IN_USE),
        ("ControllerPublishVolume", Status.RESOURCE_EXHAUSTED, FailureKind.EXHAUSTED),
        ("DeleteVolume", Status.FAILED_PRECONDITION, FailureKind.IN_USE),
        ("CreateVolume", Status.OUT_OF_RANGE, FailureKind.OUT_OF_RANGE),
        ("Probe", Status.UNIMPLEMENTED, FailureKind.UNIMPLEMENTED),
    ],
)
def test_kinds(call, code, kind):
    failed = Call("p", call, "volume v", NO_SECRETS).refused(code, "no")
    assert failed.kind is kind
    assert str(failed).startswith(f"plugin p: {call} for volume v was refused: {code.name}: no. ")


@pytest.mark.parametrize(
    ("call", "code", "todo"),
    [
        (
            "CreateVolume",
            Status.INVALID_ARGUMENT,
            "Change what is asked of the volume. The plugin's log may say more.",
        ),
        ("NodeStageVolume", Status.DATA_LOSS, "The plugin's log may say more."),
        (
            "NodePublishVolume",
            Status.FAILED_PRECONDITION,
            "Another task has it on the node and may alone, or what it needs is not there yet. It is tried again.",
        ),
    ],
)
def test_what_is_to_be_done_about_a_refusal(call, code, todo):
    """Whoever made the call decides when it is made again, so a refusal for good does not speak of that."""
    said = Call("p", call, "volume v", NO_SECRETS).refused(code, "no")
    assert str(said) == f"plugin p: {call} for volume v was refused: {code.name}: no. {todo}"


def test_a_plugins_words_are_short_one_line_and_without_secrets():
    call = Call("p", "CreateVolume", "", SecretValues({"key": "s3cret"}))
    said = str(call.refused(Status.INTERNAL, "denied s3cret\n\x1b[31m" + "x" * 1000))
    assert "s3cret" not in said
    assert "denied ***  [31mxxx" in said
    assert len(said) < 600
    assert "(no words)" in str(call.refused(Status.INTERNAL, ""))
