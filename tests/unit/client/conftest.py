import pytest

from orion.client import Client
from unit.api.fake_service import running


@pytest.fixture(scope="module")
def _server():
    with running() as server:
        yield server


@pytest.fixture
def api(_server):
    """A server whose service is as new."""
    _server.service.__init__()
    return _server


@pytest.fixture
def client(api):
    with Client(f"127.0.0.1:{api.port}") as client:
        yield client
