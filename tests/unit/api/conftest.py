import pytest

from unit.api.fake_service import Running, running


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """No client is cut off because its test had no processor for a while, and none that should be is by these."""
    monkeypatch.setattr("orion.api.http.connection.HEAD_S", 3_600.0)
    monkeypatch.setattr("orion.api.http.server.KEEP_ALIVE_S", 3_600)


@pytest.fixture(scope="module")
def _server():
    with running() as server:
        yield server


@pytest.fixture
def api(_server: Running) -> Running:
    """A server whose service is as new."""
    _server.service.__init__()
    return _server
