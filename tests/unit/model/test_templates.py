"""model/templates.py: templates in texts of a task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.api.codec import job_from_request
from orion.model.api.tasks import TaskRequest
from orion.model.errors import Invalid
from orion.model.templates import KNOWN, expanded, holds_any, unknown_in


def fill(text):
    return expanded(text, lambda name: f"<{name}>")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("web-{{.Task.Slot}}", "web-<.Task.Slot>"),
        ("{{ .Node.Hostname }}{{.Node.ID}}", "<.Node.Hostname><.Node.ID>"),
        ("{{.Node.Labels.rack/a-b}}", "<.Node.Labels.rack/a-b>"),
        ('{{"{{"}}.Task.Slot}}', "{{.Task.Slot}}"),
        ("{{ jinja }} {{# each }} { {.Task.Slot} } {{", "{{ jinja }} {{# each }} { {.Task.Slot} } {{"),
        ("plain", "plain"),
    ],
)
def test_what_is_filled_in_and_what_is_left(text, filled):
    assert fill(text) == filled
    assert holds_any(text) == (text != filled)


@pytest.mark.parametrize("name", [*KNOWN, ".Node.Labels.zone", ".Node.Labels.a/b.c"])
def test_known_names(name):
    assert unknown_in(f"a{{{{{name}}}}}b") is None


@pytest.mark.parametrize(
    "name", [".Node.Name", ".Task", ".Node.Labels.", ".Node.Labels.a b", ".", ".Service.Labels.a"]
)
def test_unknown_names(name):
    assert unknown_in(f"a{{{{.Task.ID}}}}{{{{{name}}}}}b") == name.strip()


@given(st.text())
def test_any_text_is_read(text):
    unknown_in(text)
    assert fill(text) == text or holds_any(text)


def wrong(**fields):
    with pytest.raises(Invalid) as caught:
        job_from_request(TaskRequest("nginx", **fields), "web", 5)
    return {error.pointer: error.message for error in caught.value.errors}


def test_unknown_names_are_refused_with_those_that_there_are():
    errors = wrong(env={"A": "{{.Task.Nmae}}"}, labels={"b": "{{.X}}"}, hostname="a-{{.Node.Name}}")
    assert set(errors) == {"/env/A", "/labels/b", "/hostname"}
    for message in errors.values():
        assert "which is not known: there are .Node.Hostname" in message
        assert ".Node.Labels.KEY" in message


@pytest.mark.parametrize(
    "hostname", ["{{.Task.Slot}}", "a-{{ .Node.Labels.zone }}.b", "{{.Job.Name}}{{.Task.Slot}}"]
)
def test_a_host_name_may_be_made_on_its_node(hostname):
    spec = job_from_request(TaskRequest("nginx", hostname=hostname), "web", 5).task
    assert spec.hostname == hostname
    assert spec.options.templates


@pytest.mark.parametrize("hostname", ["a_{{.Task.Slot}}", "{{ jinja }}", "a" * 65, "{{.Task.Slot}} x"])
def test_what_is_no_host_name_on_any_node(hostname):
    assert "is no host name" in wrong(hostname=hostname)["/hostname"]


def test_a_former_build_is_not_given_a_task_with_templates():
    """It would start it with the text as it stands: the mark is of a level that it does not know."""
    for fields in ({"env": {"A": "{{.Task.Slot}}"}}, {"labels": {"a": "{{.Node.ID}}"}}):
        assert job_from_request(TaskRequest("nginx", **fields), "web", 5).task.options.templates
    assert job_from_request(TaskRequest("nginx", env={"A": "{{ jinja }}"}), "web", 5).task.options is None
