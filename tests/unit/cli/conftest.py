import pytest

from unit.api.fake_service import running


@pytest.fixture(scope="module")
def _server():
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, tmp_path):
    """No setting of whoever runs the tests."""
    import os

    for name in [name for name in os.environ if name.startswith(("ORION_", "XDG_", "DOCKER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def api(_server):
    """A server whose service is as new."""
    _server.service.__init__()
    return _server


@pytest.fixture
def orion(api, capsys, monkeypatch):
    """Runs a command against the server: (exit code, output, error output)."""
    from orion.cli.app import run

    monkeypatch.setenv("ORION_ADDR", f"127.0.0.1:{api.port}")

    def command(*args):
        code = run(args)
        out, err = capsys.readouterr()
        return code, out, err

    return command
