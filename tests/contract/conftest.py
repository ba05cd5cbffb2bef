"""Fixtures that suites of storage plugins and of mounts share, and those of peers."""

import pytest

from contract.test_peers import DEADLINE_S as PEERS_DEADLINE_S
from orion.adapters.peers import connection, dial, tcp
from support.csi import PluginProcess, no_mounts_left


@pytest.fixture
def folder(tmp_path):
    """A directory of the test's below which no mount may be left."""
    with no_mounts_left(tmp_path):
        yield tmp_path


@pytest.fixture
def process(folder):
    """orion-csi-dir as a process, with its socket and its root there."""
    with PluginProcess(folder) as process:
        yield process


@pytest.fixture
def patient_peers(monkeypatch):
    """Peers give each other the 2 s of a dial and a hello, which a slow machine may not keep."""
    monkeypatch.setattr(dial, "DIAL_TIMEOUT_S", PEERS_DEADLINE_S)
    for each in (connection, tcp):
        monkeypatch.setattr(each, "HELLO_TIMEOUT_S", PEERS_DEADLINE_S)
