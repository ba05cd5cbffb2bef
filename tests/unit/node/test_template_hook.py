"""node/agent/hooks/templates.py: what a node makes of a task's templates."""

import asyncio

import pytest

from orion.model.allocation import Allocation
from orion.model.container_options import ContainerOptions
from orion.model.errors import EngineError
from orion.model.ids import AllocationId, JobName, NodeId, RaftId
from orion.model.job import TaskSpec
from orion.model.node import Node
from orion.model.resources import Resources
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest
from orion.node.agent.hooks.templates import TemplateExpansion

LABELS = (("arch", "x86_64"), ("hostname", "box"), ("os", "linux"), ("zone", "b_1"))
NODE = Node(NodeId("node1"), RaftId(1), 1, "a:1", "a:2", Resources(), LABELS, "engine", "1")
ALLOCATION = Allocation(AllocationId(0xBEEF), JobName("web"), 0, 2, NODE.id)


def prepared(spec, node=NODE, container=""):
    start = StartRequest(ALLOCATION, spec, container)
    return asyncio.run(TemplateExpansion(lambda: node).prestart(start, Prepared(spec))).spec


def spec(**fields):
    options = ContainerOptions(templates=True, labels=fields.pop("labels", ()))
    return TaskSpec("nginx", options=options, **fields)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Node.Hostname}}", "box"),
        ("{{.Node.ID}}", "node1"),
        ("{{.Node.Labels.zone}}", "b_1"),
        ("{{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}", "linux/x86_64"),
        ("{{.Task.Slot}}", "3"),
        ("{{.Task.Name}}", "web.3"),
        ("{{.Task.ID}}", "0000beef"),
        ("{{.Service.Name}}{{.Job.Name}}", "webweb"),
    ],
)
def test_values(template, text):
    made = prepared(spec(env=(("A", template),), labels=(("b", template),)))
    assert made.env == (("A", text),)
    assert made.options.labels == (("b", text),)


def test_a_host_name():
    assert prepared(spec(hostname="{{.Job.Name}}-{{.Task.Slot}}")).hostname == "web-3"


def test_a_host_name_that_the_node_makes_none_of_is_tried_elsewhere():
    with pytest.raises(EngineError, match="its host name is 'b_1' on node1, which is none") as refused:
        prepared(spec(hostname="{{.Node.Labels.zone}}"))
    assert not refused.value.permanent


def test_a_label_that_the_node_lacks_is_tried_elsewhere():
    with pytest.raises(EngineError, match=r"node1 has no label rack, which \{\{.Node.Labels.rack\}\}") as refused:
        prepared(spec(env=(("A", "{{.Node.Labels.rack}}"),)))
    assert not refused.value.permanent


def test_a_node_that_does_not_know_itself_waits():
    with pytest.raises(NotYet):
        prepared(spec(hostname="{{.Node.ID}}"), node=None)


def test_without_the_mark_nothing_is_filled_in():
    """As a former build has taken the task."""
    plain = TaskSpec("nginx", env=(("A", "{{.Node.ID}}"),))
    assert prepared(plain) is plain


def test_a_container_that_there_is_stays_as_it_is():
    made = spec(env=(("A", "{{.Node.ID}}"),))
    assert prepared(made, container="c0ffee") is made
