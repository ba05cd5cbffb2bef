"""Fixtures that suites of storage plugins and of mounts share."""

import pytest

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
