"""Jobs as YAML, whatever they ask for."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from orion.jobfile.load import Source, load
from orion.model.api.jobs import JobRequest
from orion.model.api.nodes import Amounts
from orion.tui.texts.yaml_text import job_yaml, yaml_text
from unit.model.test_task_codec import REQUESTS


@given(REQUESTS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_any_job_is_read_back_as_it_was_written(asked):
    fields = {name: getattr(asked, name) for name in asked.__struct_fields__}
    request = JobRequest(**{**fields, "name": "web"})
    (read,) = load([Source("web.yaml", job_yaml(request).encode())])
    assert msgspec.convert(read.request, JobRequest) == request


def test_what_is_as_by_default_is_left_out():
    assert job_yaml(JobRequest(image="nginx", name="web", cpu=0.0, count=1)) == "name: web\nimage: nginx\n"


def test_whole_numbers_are_written_as_such():
    told = yaml_text(Amounts(8e9, 1.5, None))
    assert "total: 8000000000\n" in told
    assert "1.5\n" in told


@pytest.mark.parametrize(
    ("memory", "written"),
    [
        (64 * 1024**2, "64MiB"),
        (1536 * 1024**2, "1.5GiB"),
        (100_000_000, "100MB"),
        (67_108_865, "67108865"),
        (16_106_127_001, "16106127001"),
    ],
)
def test_amounts_are_written_as_people_do_where_that_is_exact(memory, written):
    told = job_yaml(JobRequest(image="nginx", name="web", memory=memory))
    assert told == f"name: web\nimage: nginx\nmemory: {written}\n"
    (read,) = load([Source("web.yaml", told.encode())])
    assert msgspec.convert(read.request, JobRequest).memory == memory
