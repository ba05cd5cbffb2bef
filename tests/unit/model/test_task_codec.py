"""model/api/codec.py: a task in JSON into its spec, and back, from one declaration."""

import operator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orion.model.after import Condition
from orion.model.api.after_fields import AfterRequest
from orion.model.api.codec import fields_from_spec, job_from_request
from orion.model.api.config_refs import ConfigRefRequest
from orion.model.api.container.network import ContainerFields
from orion.model.api.fields import Reading, fields_of, whole_up_to
from orion.model.api.health_fields import (
    DockerCheckRequest,
    ExecCheckRequest,
    HealthCheckRequest,
    HookRequest,
    HooksRequest,
    HttpCheckRequest,
    TcpCheckRequest,
)
from orion.model.api.ingress_fields import IngressRequest
from orion.model.api.network_fields import NetworkAliasRequest
from orion.model.api.placement_fields import AffinityRequest, AlongsideRequest, PlacementRequest
from orion.model.api.tasks import TaskFields, TaskRequest, TaskView
from orion.model.api.volume_fields import VolumeRequest
from orion.model.container_options import ContainerOptions
from orion.model.errors import FieldErrors
from orion.model.health import UnhealthyAction
from orion.model.ids import JOB_NAME
from orion.model.job import TaskSpec
from support import container_values

_WORD = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
_LABEL = st.from_regex(r"[a-z][a-z0-9-]{0,5}[a-z0-9]", fullmatch=True)
_VARIABLE = st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True)
_HOST = st.sampled_from(["", "127.0.0.1:", "[::1]:", "0.0.0.0:"])
_SECONDS = st.integers(0, 3_600_000).map(lambda ms: ms / 1000)
_CHECK_SECONDS = st.integers(100, 3_600_000).map(lambda ms: ms / 1000)
_PROGRAM = st.lists(_WORD, min_size=1, max_size=3).filter(lambda words: words[0] != "")
_PORT = st.integers(1, 65_535)
_TIMES = {
    "interval_seconds": _CHECK_SECONDS,
    "timeout_seconds": _CHECK_SECONDS,
    "retries": st.integers(1, 1_000),
    "start_period_seconds": _SECONDS,
    "on_unhealthy": st.sampled_from([*UnhealthyAction]).map(str),
}
_CHECKS = st.one_of(
    st.builds(
        HealthCheckRequest,
        http=st.builds(
            HttpCheckRequest,
            _PORT,
            st.sampled_from(["/", "/a?b=c"]),
            st.dictionaries(st.sampled_from(["Host", "X-A"]), st.sampled_from(["", "web", "a b"])),
            st.just(0) | st.integers(100, 599),
        ),
        **_TIMES,
    ),
    st.builds(HealthCheckRequest, tcp=st.builds(TcpCheckRequest, _PORT), **_TIMES),
    st.builds(HealthCheckRequest, exec=st.builds(ExecCheckRequest, _PROGRAM), **_TIMES),
    st.builds(HealthCheckRequest, docker=st.builds(DockerCheckRequest, st.just([]) | _PROGRAM), **_TIMES),
)
_HOOKS = st.lists(st.builds(HookRequest, _PROGRAM, _CHECK_SECONDS), max_size=2)

_PORT = st.integers(1, 65_535)

# Right values of each field.
VALUES = {
    "image": st.sampled_from(["nginx", "nginx:1.27", "ghcr.io/me/app@sha256:" + "a" * 64]),
    "name": st.from_regex(JOB_NAME, fullmatch=True),
    "command": st.lists(_WORD, max_size=3).filter(lambda words: words[:1] != [""]),
    "env": st.dictionaries(_VARIABLE, _WORD, max_size=3),
    "memory": st.just(0) | st.integers(6 << 20, 1 << 60),
    "cpu": st.integers(0, 1_000_000).filter(lambda millis: not 0 < millis < 10).map(lambda millis: millis / 1000),
    "disk": st.integers(0, 1 << 60),
    "node_selectors": st.dictionaries(_LABEL, _LABEL, max_size=3),
    "port_bindings": st.lists(
        st.tuples(st.integers(1, 65_535), st.sampled_from(["tcp", "udp"]), _HOST),
        max_size=3,
        unique_by=lambda p: p[:2],
    ).map(lambda ports: {f"{port}/{kind}": f"{host}{port}" for port, kind, host in ports}),
    "restart_policy": st.sampled_from(["no", "always", "on-failure", "on-failure:7"]),
    "stop_grace_seconds": _SECONDS,
    "configs": st.lists(_LABEL, max_size=3, unique=True).map(
        lambda keys: [ConfigRefRequest(key, path=f"/etc/{key}", mode="0600") for key in keys]
    ),
    "placement": st.builds(
        PlacementRequest,
        st.sampled_from(["", "spread", "pack"]),
        st.lists(st.sampled_from(["disk=ssd", "zone in (a, b)", "gpu exists", "rack~^r[0-9]+$", "os>=6.1"])),
        st.lists(st.builds(AffinityRequest, st.just("zone!=a"), st.sampled_from([-100, 1, 50]))),
        st.sampled_from(["", "zone"]),
        st.integers(0, 1_000_000),
        st.booleans(),
        st.none() | st.builds(AlongsideRequest, st.just("of-the-other"), pid=st.booleans()),
    ),
    "user": st.sampled_from(["", "nobody", "app:staff", "1000", "2147483647:0"]),
    "health_check": st.none() | _CHECKS,
    "hooks": st.none() | st.builds(HooksRequest, _HOOKS, _HOOKS),
    "drain_seconds": st.none() | _SECONDS,
    "stop_after_disconnect_seconds": st.sampled_from([None, 0, 3, 86_400]),
    "priority": st.integers(-100, 100),
    "networks": st.lists(st.from_regex(JOB_NAME, fullmatch=True), max_size=3, unique=True),
    "allow_from": st.lists(st.from_regex(JOB_NAME, fullmatch=True), max_size=3, unique=True),
    "network_aliases": st.lists(
        st.builds(NetworkAliasRequest, st.from_regex(JOB_NAME, fullmatch=True)), max_size=3, unique=True
    ),
    "after": st.lists(
        st.builds(
            AfterRequest, st.sampled_from(["db", "a-1"]), st.sampled_from([*map(str, Condition)]), st.booleans()
        ),
        max_size=2,
        unique_by=lambda each: each.job,
    ),
    "ingress": st.lists(
        st.builds(IngressRequest, _PORT, _PORT, st.sampled_from(["tcp", "udp"]), st.booleans()),
        max_size=3,
        unique_by=lambda each: (each.port, each.protocol),
    ).map(lambda ports: sorted(ports, key=lambda each: (each.port, each.protocol))),
    "hostname": st.sampled_from(["", "db", "9", "a--b", "DB-1.example.org"]),
    "volumes": st.lists(
        st.one_of(
            st.builds(
                VolumeRequest,
                st.sampled_from(["/data", "/var/lib/x"]),
                st.sampled_from(["d", "data", "a.b_c-1"]),
                read_only=st.booleans(),
                per_slot=st.booleans(),
                nocopy=st.booleans(),
                subpath=st.sampled_from(["", "a", "a/b c"]),
            ),
            st.builds(
                VolumeRequest,
                st.just("/srv"),
                source=st.sampled_from(["/", "/srv/x"]),
                read_only=st.booleans(),
                shared=st.booleans(),
            ),
        ),
        max_size=3,
        unique_by=lambda each: each.target,
    ),
    **container_values.VALUES,
}


def _of_one_network(request):
    """Networks of the cluster's and another one don't go together."""
    placement = request.placement
    beside = placement.alongside if isinstance(placement, PlacementRequest) else None
    apart = request.network_mode or (isinstance(beside, AlongsideRequest) and beside.network)
    return replace(request, networks=[], ingress=[], allow_from=[], network_aliases=[]) if apart else request


REQUESTS = st.builds(TaskRequest, **VALUES).map(_of_one_network)


def test_every_field_has_values_to_be_tested_with():
    assert set(VALUES) == set(TaskFields.__struct_fields__)


def test_every_field_of_a_spec_comes_from_a_field_of_the_request():
    places = {field.spec.partition(".")[0] for field in fields_of(TaskFields) if field.spec}
    places |= {field.beside for field in fields_of(TaskFields) if field.beside}
    assert places == set(TaskSpec.__struct_fields__)


@pytest.mark.parametrize(
    "field", [f for f in fields_of(TaskFields) if f.spec and f.name != "image"], ids=lambda f: f.name
)
def test_a_field_that_is_as_by_default_is_never_wrong_and_its_place_is_too(field):
    """So the codec does not read it."""
    request = TaskRequest(image="nginx")
    value, errors = getattr(request, field.name), FieldErrors()
    read = field.read(value, Reading(request, field.json, errors)) if field.read else value
    spec = replace(TaskSpec(request.image), options=ContainerOptions())
    places = operator.attrgetter(field.spec, *filter(None, [field.beside]))
    assert read == places(spec)
    assert not errors


def test_every_field_says_what_it_is():
    assert [field.name for field in fields_of(TaskFields)] == list(TaskFields.__struct_fields__)
    for field in fields_of(TaskFields):
        assert field.description.endswith(".")


def shown(request):
    """What a task of this request shows of it, as a client sees it."""
    job = job_from_request(request, request.name, 0)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(job), type=type(job))
    view = TaskView(
        **fields_from_spec(kept.task),
        name=kept.name,
        priority=kept.priority,
        id="web/0",
        state="pending",
        reason="",
        node_id=None,
        address="",
        ports={},
        created_at=None,
        started_at=None,
        finished_at=None,
        allocations=[],
    )
    text = msgspec.json.encode(view)
    keys = msgspec.json.decode(text)
    defaults = {info.encode_name: info for info in msgspec.structs.fields(ContainerFields)}
    assert all(keys[key] not in (info.default, [], {}) for key, info in defaults.items() if key in keys)
    return msgspec.json.decode(text, type=TaskView)


@settings(max_examples=60)
@given(REQUESTS)
def test_what_is_asked_for_is_what_is_shown(request):
    view = shown(request)
    assert {name: getattr(view, name) for name in VALUES} == {name: getattr(request, name) for name in VALUES}


@settings(max_examples=60)
@given(REQUESTS)
def test_what_is_shown_can_be_asked_for_again(request):
    view = shown(request)
    again = TaskRequest(**{name: getattr(view, name) for name in VALUES})
    assert job_from_request(again, again.name, 0) == job_from_request(request, request.name, 0)


def test_a_task_without_options_has_none_in_its_spec_and_shows_none():
    job = job_from_request(TaskRequest("nginx", env={"A": "{{ not one of ours }}"}), "web", 0)
    assert job.task.options is None
    assert not set(fields_from_spec(job.task)) & set(ContainerFields.__struct_fields__)


def test_every_option_of_a_container_comes_from_a_field():
    places = {field.spec.removeprefix("options.") for field in fields_of(ContainerFields)}
    assert places | {"templates"} == set(ContainerOptions.__struct_fields__)


def test_what_nobody_asked_for_is_shown_as_its_default():
    view, request = shown(TaskRequest("nginx", name="web")), TaskRequest("nginx", name="web")
    assert {name: getattr(view, name) for name in VALUES} == {name: getattr(request, name) for name in VALUES}


@pytest.mark.parametrize("most", [0, 9, 10, 255, 1_000, 2_147_483_647])
def test_a_pattern_of_whole_numbers_ends_at_the_largest(most):
    import re

    pattern = re.compile(whole_up_to(most))
    for number in {0, most // 2, most - 1, most}:
        assert number < 0 or pattern.fullmatch(str(number))
    assert not pattern.fullmatch(str(most + 1))
    assert not pattern.fullmatch(str(most * 10 + 9))


def test_an_unset_field_is_not_sent_so_that_a_node_that_does_not_know_it_takes_the_rest():
    assert msgspec.json.encode(TaskRequest("nginx")) == b'{"image":"nginx"}'
