"""node/agent/registration.py: what a node says of its engine in its labels."""

from orion.model.container import EngineInfo
from orion.model.resources import Resources
from orion.node.agent.registration import _labels

OWN = (("arch", "x86_64"), ("zone", "b"))


def engine(*runtimes):
    return EngineInfo("id", "27", Resources(), runtimes=runtimes)


def test_runtimes_that_not_every_engine_has_are_labels():
    found = _labels(OWN, engine("io.containerd.runc.v2", "nvidia", "runc", "runsc"))
    assert found == (("arch", "x86_64"), ("runtime.nvidia", "true"), ("runtime.runsc", "true"), ("zone", "b"))


def test_without_an_engine_or_others_there_is_nothing_to_say():
    assert _labels(OWN, None) == _labels(OWN, engine("runc")) == OWN


def test_the_operator_s_label_and_what_is_no_label_s_name():
    own = (("runtime.nvidia", "old"),)
    assert _labels(own, engine("a b", "nvidia", "x" * 100)) == own
