"""/openapi.json is made from the declarations that the router is made from."""

import json
import re

import msgspec

from orion.api.endpoint import Scope
from orion.api.routes import ENDPOINTS
from orion.model.api.container.network import ContainerFields
from orion.model.api.fields import fields_of
from orion.model.api.tasks import TaskFields


def document(api):
    answer = api.ask("GET", "/openapi.json")
    assert answer.kind == "application/json"
    return answer.json


def test_every_route_is_described(api):
    paths = document(api)["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {(e.method, e.path) for e in ENDPOINTS} | {("GET", "/openapi.json")}


def test_every_described_route_answers(api):
    for path, methods in document(api)["paths"].items():
        for method in methods:
            if path == "/events":
                continue
            named = path.replace("{id}", "nope").replace("{key}", "nope/too").replace("{name}", "nope")
            answer = api.ask(method.upper(), named, b"" if method in {"post", "put"} else None)
            described = methods[method]["responses"]
            assert str(answer.status) in described, (method, path)
            assert answer.status not in {405, 500}, (method, path)
            assert answer.status != 404 or "nope" in answer.json["detail"], (method, path)


def test_every_reference_leads_somewhere_and_every_operation_has_its_own_id(api):
    whole = document(api)
    schemas = whole["components"]["schemas"]
    assert {"TaskRequest", "TaskView", "AllocationView", "NodeView", "RaftView", "EventView", "Problem"} <= set(
        schemas
    )
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(whole)):
        assert name in schemas
    ids = [operation["operationId"] for methods in whole["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


def test_path_parameters_are_those_of_the_path(api):
    for path, methods in document(api)["paths"].items():
        for operation in methods.values():
            named = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
            assert named == re.findall(r"{(\w+)}", path)
            for parameter in operation["parameters"]:
                assert parameter["schema"]
                assert parameter["description"]


def test_request_fields_are_camel_case_and_closed(api):
    schema = document(api)["components"]["schemas"]["TaskRequest"]
    assert schema["required"] == ["image"]
    assert schema["additionalProperties"] is False
    assert {"portBindings", "nodeSelectors", "restartPolicy"} <= set(schema["properties"])
    create = document(api)["paths"]["/tasks"]["post"]
    assert create["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/TaskRequest"
    }
    assert create["responses"]["201"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/TaskView"
    }


def test_every_refusal_is_a_problem_document_and_none_is_left_open(api):
    for methods in document(api)["paths"].values():
        for operation in methods.values():
            codes = set(operation["responses"])
            assert {"400", "403", "405", "431", "500", "503"} <= codes
            assert "default" not in codes
            for code in codes - {"101", "200", "201", "202", "204"}:
                response = operation["responses"][code]
                assert response["description"]
                assert list(response["content"]) == ["application/problem+json"]


def test_what_is_refused_is_what_the_description_says(api):
    """Of limits that are easy to count: one less is taken, one more is not."""
    schema = document(api)["components"]["schemas"]["TaskRequest"]["properties"]
    for field, least_wrong in (("command", 4_097), ("env", 4_097), ("nodeSelectors", 65), ("portBindings", 65)):
        limit = schema[field].get("maxItems", schema[field].get("maxProperties"))
        assert limit == least_wrong - 1
    assert schema["configs"]["maxItems"] == 64
    assert schema["stopGraceSeconds"]["maximum"] == 3_600
    assert schema["image"]["maxLength"] == 512


ASKS_ONLY = {"/jobs/{name}/plan"}  # with a body, and changes nothing


def test_every_route_says_who_may_ask():
    for endpoint in ENDPOINTS:
        reads = endpoint.method == "GET" or endpoint.path in ASKS_ONLY
        assert reads or endpoint.scope is not Scope.READ, endpoint.path
    admin = {e.path for e in ENDPOINTS if e.scope is Scope.ADMIN}
    assert {"/snapshot", "/raft/transfer", "/nodes/{id}/drain"} <= admin
    assert not any(path.startswith(("/tasks", "/configs")) for path in admin)


def test_every_field_of_a_task_says_what_it_is(api):
    properties = document(api)["components"]["schemas"]["TaskRequest"]["properties"]
    for field in fields_of(TaskFields):
        assert properties[field.json]["description"].startswith(field.description)


def test_an_answer_has_all_that_it_can_have(api):
    schemas = document(api)["components"]["schemas"]
    for name in ("NodeView", "RaftView", "MemberView"):
        assert schemas[name]["required"] == list(schemas[name]["properties"])
    assert schemas["TaskRequest"]["required"] == ["image"]


def test_a_task_is_shown_with_all_but_the_options_of_its_container(api):
    shown = document(api)["components"]["schemas"]["TaskView"]
    options = {field.encode_name for field in msgspec.structs.fields(ContainerFields)}
    assert set(shown["required"]) == set(shown["properties"]) - options
    assert options < set(shown["properties"])
