"""Jobs as YAML, whatever they ask for."""

import msgspec
from hypothesis import HealthCheck, given, settings

from orion.jobfile.load import Source, load
from orion.model.api.jobs import JobRequest
from orion.tui.texts.yaml_text import job_yaml
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
