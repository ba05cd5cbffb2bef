"""The client is written by hand and follows what api/routes declares: each endpoint has a method, each of its
parameters an argument.
"""

import inspect
import re

import pytest

from orion.api.routes import ENDPOINTS
from orion.client import Client, JobRequest, TaskRequest
from orion.model.api.storage import NewVolumeRequest

# Parameters that are no argument of the client's, and why.
LEFT_OUT = {
    ("GET", "/tasks/{id}/logs", "timestamps"): "of text alone; each line of the client's has its time",
    ("GET", "/tasks/{id}/logs", "after"): "the client goes on by itself where a followed stream broke off",
}
SAMPLES = {
    "plan": "0707f017c892a601bf92767c",
    "path": "/etc",
    "tar": [b"x"],
    "stream": "stdout",
    "since": "10m",
    "after": "web",
    "key": "app/url",
    "nouns": ("nodes", "tasks"),
}
AFTERS = {"events": "1.0", "deployments": "7"}
BY_TYPE = {
    str: "web",
    int: 3,
    bool: True,
    float: 2.0,
    bytes: b"x",
    TaskRequest: TaskRequest("nginx"),
    JobRequest: JobRequest("nginx"),
    NewVolumeRequest: NewVolumeRequest("data"),
}


class Asked(Exception):
    pass


class Recorder:
    """In the place of a Transport: what is asked, instead of asking."""

    address = "here"

    def __init__(self) -> None:
        self.asked = []

    def ask(self, method, path, query, headers, body, timeout_s):
        self.asked.append((method, path, dict(query), dict(headers), body))
        raise Asked

    def websocket(self, path, query, timeout_s):
        self.ask("GET", path, query, {}, None, timeout_s)

    def upload(self, path, query, headers, body, timeout_s):
        self.ask("PUT", path, query, headers, b"".join(body), timeout_s)

    def stream(self, path, query, headers, timeout_s, silence_s, media=""):
        accept = {"Accept": media} if media else {}
        self.ask("GET", path, query, {**headers, **accept}, None, timeout_s)


def methods():
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_") and name not in {"close", "again"}:
            yield name, method


def sample(name, parameter):
    if parameter.name == "after" and name in AFTERS:
        return AFTERS[name]
    if parameter.name in SAMPLES:
        return SAMPLES[parameter.name]
    kind = parameter.annotation
    if "Callable" in str(kind):
        return lambda _: None
    if "Mapping" in str(kind):
        return {"disk": "ssd"}
    if "Collection" in str(kind) or "Sequence" in str(kind):
        return ["web"]
    return next(value for known, value in BY_TYPE.items() if kind == known or kind == known | None)


def asked_by(name, method):
    """What a method asks with all of its arguments, and with those alone that it must have."""
    parameters = list(inspect.signature(method, eval_str=True).parameters.values())[1:]
    every = {p.name: sample(name, p) for p in parameters}
    few = {p.name: every[p.name] for p in parameters if p.default is p.empty}
    for arguments in (every, few):
        client, recorder = Client(timeout_s=7), Recorder()
        client._transport = recorder
        with pytest.raises(Asked):
            list(method(client, **arguments))
        yield from recorder.asked


def endpoint_of(method, path):
    """The endpoint that answers, the longest path first."""
    for endpoint in sorted(ENDPOINTS, key=lambda e: -e.path.count("/")):
        if endpoint.method == method and re.fullmatch(re.sub(r"{\w+}", ".+", endpoint.path), path):
            return endpoint
    raise AssertionError(f"nothing answers {method} {path}")


@pytest.fixture(scope="module")
def said():
    """Endpoint -> where and name of each parameter that the client sends it."""
    found = {(e.method, e.path): set() for e in ENDPOINTS}
    reached = set()
    for name, method in methods():
        for verb, path, query, headers, body in asked_by(name, method):
            endpoint = endpoint_of(verb, path)
            reached.add((endpoint.method, endpoint.path))
            assert (body is not None) <= bool(endpoint.body or endpoint.raw_body), name
            sent = {("query", n): v for n, v in query.items()} | {("header", n): v for n, v in headers.items()}
            params = {(p.where, p.name): p for p in endpoint.params}
            unknown = {place for place in sent if place[0] == "query"} - set(params)
            assert not unknown, f"{name} sends {unknown}, which {verb} {endpoint.path} does not take"
            for place, text in sent.items():
                if place in params:
                    params[place].parse(text)  # raises ValueError for what the endpoint refuses
                    found[endpoint.method, endpoint.path].add(place)
    assert set(found) == reached, f"no method of the client asks {set(found) - reached}"
    return found


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_every_parameter_of_an_endpoint_has_an_argument(said, endpoint):
    wanted = {(p.where, p.name) for p in endpoint.params if p.where != "path" and p.same_as is None}
    left_out = {place for place in wanted if (endpoint.method, endpoint.path, place[1]) in LEFT_OUT}
    missing = wanted - left_out - said[endpoint.method, endpoint.path]
    assert not missing, f"give the client's method an argument for {missing}"


def test_what_is_left_out_is_there():
    declared = {(e.method, e.path, p.name) for e in ENDPOINTS for p in e.params}
    assert set(LEFT_OUT) <= declared
