"""Generated files are those of csi.proto, and its numbers those of the specification."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import orion
from orion.wire.csi import csi_pb2
from orion.wire.csi.methods import METHODS

FOLDER = Path(orion.__file__).parent / "wire" / "csi"
ROOT = FOLDER.parents[3]


def test_files_made_anew_are_the_same(tmp_path):
    env = {**os.environ, "ORION_VENV": sys.prefix}
    subprocess.run([ROOT / "script" / "csi-proto", tmp_path], check=True, timeout=600, env=env)
    for name in ("csi_pb2.py", "csi_pb2.pyi"):
        made = (tmp_path / "orion" / "wire" / "csi" / name).read_bytes()
        assert made == (FOLDER / name).read_bytes(), "run script/csi-proto"


def test_paths_are_those_that_plugins_serve():
    assert METHODS["NodeStageVolume"].path == "/csi.v1.Node/NodeStageVolume"
    assert METHODS["CreateVolume"].request is csi_pb2.CreateVolumeRequest
    assert METHODS["CreateVolume"].reply is csi_pb2.CreateVolumeResponse
    assert len(METHODS) == 26


# Bytes as the specification's own tables have them: field number << 3 | wire type, length, content.
@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (csi_pb2.CapacityRange(required_bytes=1, limit_bytes=2), "08011002"),
        (csi_pb2.NodePublishVolumeRequest(volume_id="v", target_path="t", readonly=True), "0a01762201743001"),
        (csi_pb2.NodeStageVolumeRequest(staging_target_path="s", secrets={"k": "x"}), "1a01732a060a016b120178"),
        (csi_pb2.ControllerExpandVolumeResponse(capacity_bytes=3, node_expansion_required=True), "08031001"),
        (csi_pb2.NodeGetInfoResponse(node_id="n", max_volumes_per_node=4), "0a016e1004"),
    ],
)
def test_bytes_on_the_wire(message, wire):
    assert message.SerializeToString(deterministic=True).hex() == wire


def test_every_secret_is_a_field_of_this_name():
    """The client gives secrets under this name alone, so that none is left out of what hides them."""
    for method in METHODS.values():
        for field in method.request.DESCRIPTOR.fields:
            assert ("secret" in field.name) == (field.name == "secrets")
