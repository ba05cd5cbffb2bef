import pytest

from unit.api.fake_service import Running, running


@pytest.fixture(scope="module")
def _server():
    with running() as server:
        yield server


@pytest.fixture
def api(_server: Running) -> Running:
    """A server whose service is as new."""
    _server.service.__init__()
    return _server
