"""The description at /openapi.json, held against a real node by schemathesis: what it allows is taken, what it does
not is refused, and every answer is as it says.
"""

import re
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from support.nodes import NO_ENGINE, NodeProcess, cluster

EXAMPLES = 12  # of each operation, right and wrong ones
# A job's whole body takes seconds to make up, most of all a wrong one. That of a plan is that of PUT.
FEWER = {("PUT", "/jobs/{name}"): 3, ("POST", "/tasks"): 4, ("POST", "/jobs/{name}/plan"): 2}
WAIT_S = "0.01"  # of long polls
TIMEOUT_S = "5"
# Streams that go on or both ways, archives, and what would end the node that is asked.
LEFT_OUT = {
    ("GET", "/events"),
    ("GET", "/watch"),
    ("GET", "/tasks/{id}/exec"),
    ("GET", "/tasks/{id}/connect"),
    ("PUT", "/tasks/{id}/files"),
    ("PUT", "/volumes/{name}/data"),
    ("POST", "/nodes/{id}/stop"),
    ("DELETE", "/nodes/{id}"),
}


# What the fields or parameters of one request must be to each other: words in descriptions.
NO_SCHEMA_SAYS = re.compile(
    "(given|named|asked for) twice|and hold another one|demand different versions|Orion itself listens on|"
    "which is off: switch it on|which the address has|asks for a network|one will do|"
    "goe?s? together|that is the job itself|with the network of|the pattern|than the .* are reserved|"
    "is for a storage plugin|is less than sizeBytes|begins with no source|which has no fsType|stands alone|"
    "runs? (past|backwards|into)|not known to the log driver|the folder is not taken|"
    "which is not known|no schedule|needs a schedule|no time zone|has no count|is never|has no former version"
)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with cluster(NO_ENGINE) as made:
        made.grow_to(1, engines=False)
        yield made.nodes[0]
        assert made.nodes[0].alive


@pytest.fixture(scope="module")
def schema(node: NodeProcess):
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{node.port}/openapi.json")


def operations(schema) -> list:
    found = [result.ok() for result in schema.get_all_operations()]
    return [each for each in found if (each.method.upper(), each.path) not in LEFT_OUT]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_node_answers_as_its_openapi_description_says(schema, node: NodeProcess, mode: GenerationMode) -> None:
    failures = []
    for operation in operations(schema):
        ask = _ask(operation, mode)
        try:
            ask()
        except Unsatisfiable:
            continue  # nothing about it can be wrong
        except Exception as failed:  # noqa: BLE001 -- all of them are told
            failures.append(f"{operation.label}: {told(failed)}")
    assert not failures, "\n\n".join(failures)


def told(failed: BaseException) -> str:
    """A group's own words do not say what it holds, such as the first failure of one that did not come again."""
    parts = failed.exceptions if isinstance(failed, BaseExceptionGroup) else ()
    return "\n".join([str(failed), *map(told, parts)])


def _ask(operation, mode: GenerationMode):
    @settings(
        max_examples=FEWER.get((operation.method.upper(), operation.path), EXAMPLES),
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case) -> None:
        if any(value in ([], {}) for value in (case.query or {}).values()):
            return  # of such a parameter nothing is sent
        _hurry(case)
        response = case.call(timeout=20)
        if response.status_code in {400, 422} and NO_SCHEMA_SAYS.search(response.json()["detail"]):
            return
        try:
            case.validate_response(response)
        except BaseExceptionGroup as failed:
            seen = f"{case.as_curl_command()}\n{response.status_code} {response.text[:500]}"
            raise AssertionError(f"{told(failed)}\n{seen}") from None

    return ask


def _hurry(case) -> None:
    """No wait is longer than the test has patience, and none so short that nothing can be answered."""
    headers, query = dict(case.headers or {}), dict(case.query or {})
    if "Request-Timeout" not in headers or _is_wait(headers["Request-Timeout"]):
        headers["Request-Timeout"] = TIMEOUT_S
    if case.method.upper() == "GET" and ("index" in query or "wait" in query) and _is_wait(query.get("wait", 1)):
        query["wait"] = WAIT_S
    if str(query.get("follow")).lower() in {"", "1", "true"}:
        query["follow"] = "0"
    case.headers, case.query = headers, query


def _is_wait(value: object) -> bool:
    try:
        return 0 < float(str(value)) <= 600
    except ValueError:
        return False
