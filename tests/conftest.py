"""Options of the whole suite; here, because pytest reads options only from the conftest of a test path."""


def pytest_addoption(parser):
    group = parser.getgroup("simulator")
    group.addoption("--sim-seconds", type=float, default=20.0, help="real seconds of simulated seeds (default 20)")
    group.addoption("--sim-seed", type=int, default=20_000, help="the first seed")
    group.addoption("--sim-jobs", type=int, default=2, help="seeds at a time")
