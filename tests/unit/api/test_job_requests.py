"""model/api: what a task request may say, and how every wrong field is named."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.after import After, Condition
from orion.model.api.after_fields import AfterRequest
from orion.model.api.codec import job_from_request, name_for
from orion.model.api.network_fields import NetworkAliasRequest as Alias
from orion.model.api.placement_fields import AlongsideRequest, PlacementRequest
from orion.model.api.rules import show_restart
from orion.model.api.tasks import TaskRequest
from orion.model.errors import Invalid, pointer
from orion.model.ids import JOB_NAME
from orion.model.job import JobKind, PortBinding, RestartMode, RestartPolicy
from orion.model.labels import label_error
from orion.model.limits import MAX_PORTS, MAX_SELECTORS
from orion.model.network import NetworkAlias
from orion.model.resources import MIB, Resources


def job(**fields):
    return job_from_request(TaskRequest(**{"image": "nginx", **fields}), "web", 5)


def wrong(name="web", **fields):
    with pytest.raises(Invalid) as caught:
        job_from_request(TaskRequest(**{"image": "nginx", **fields}), name, 5)
    return {error.pointer: error.message for error in caught.value.errors}


def test_a_whole_request_becomes_a_job():
    made = job(
        command=["sleep", "60"],
        env={"B": "2", "A": "1"},
        memory=100_000_000,
        cpu=0.25,
        disk=10,
        node_selectors={"zone": "b", "arch": "x86_64"},
        port_bindings={"80/tcp": "8080", "53/udp": "", "443": "0", "90": 9090},
        restart_policy="on-failure:3",
        stop_grace_seconds=2.5,
    )
    assert (made.name, made.kind, made.count, made.version, made.created_at_ms) == ("web", JobKind.SERVICE, 1, 0, 5)
    spec = made.task
    assert spec.command == ("sleep", "60")
    assert spec.env == (("A", "1"), ("B", "2"))
    assert spec.resources == Resources(250, 100_000_000, 10)
    assert spec.constraints == (("arch", "x86_64"), ("zone", "b"))
    assert spec.ports == (
        PortBinding(53, "udp", 0),
        PortBinding(80, "tcp", 8080),
        PortBinding(90, "tcp", 9090),
        PortBinding(443, "tcp", 0),
    )
    assert spec.restart == RestartPolicy(RestartMode.ON_FAILURE, 3)
    assert spec.stop_grace_ms == 2500


def test_defaults():
    spec = job().task
    assert (spec.command, spec.env, spec.ports, spec.constraints) == ((), (), (), ())
    assert spec.resources == Resources()
    assert spec.restart == RestartPolicy()


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1.27",
        "library/nginx",
        "docker.io/library/nginx:latest",
        "localhost:5000/my/app:v1",
        "ghcr.io/me/my_app",
        "me/my__app-2.0",
        "[::1]:5000/app",
        "app@sha256:" + "a" * 64,
        "REGISTRY.example/app:V1",
        "sha256:" + "0" * 64,
    ],
)
def test_image_names_that_docker_takes(image):
    assert job(image=image).task.image == image


@pytest.mark.parametrize(
    "image",
    ["", " nginx", "Nginx", "nginx:", "nginx:a b", "/nginx", "a//b", "a@sha256:12", "-a", "a..b", "a" * 600, "é"],
)
def test_image_names_that_docker_refuses(image):
    assert list(wrong(image=image)) == ["/image"]


def test_an_upper_case_image_is_explained():
    assert "lower case" in wrong(image="MyApp")["/image"]


@pytest.mark.parametrize("name", ["", "Web", "-a", "a-", "a_b", "a.b", "a" * 64, "web/0"])
def test_names_that_are_no_dns_label(name):
    assert list(wrong(name)) == ["/name"]


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"memory": -1}, "/memory", "negative"),
        ({"memory": 6 * MIB - 1}, "/memory", "6 MiB"),
        ({"memory": 1 << 62}, "/memory", "larger than any machine"),
        ({"cpu": -0.5}, "/cpu", "negative"),
        ({"cpu": 0.001}, "/cpu", "0.01"),
        ({"cpu": 1e300}, "/cpu", "larger than any machine"),
        ({"disk": -1}, "/disk", "negative"),
        ({"stop_grace_seconds": -1.0}, "/stopGraceSeconds", "0 to 3600"),
        ({"stop_grace_seconds": 1e9}, "/stopGraceSeconds", "0 to 3600"),
        ({"restart_policy": "sometimes"}, "/restartPolicy", "no, always, on-failure"),
        ({"restart_policy": "always:3"}, "/restartPolicy", "no, always, on-failure"),
        ({"restart_policy": "on-failure:-1"}, "/restartPolicy", "no, always, on-failure"),
        ({"restart_policy": "on-failure:99999999"}, "/restartPolicy", "at most"),
        ({"restart_policy": "unless-stopped"}, "/restartPolicy", "always is the same"),
        ({"env": {"1A": ""}}, "/env/1A", "variable's name"),
        ({"env": {"A=B": ""}}, "/env/A=B", "variable's name"),
        ({"env": {"": ""}}, "/env/", "variable's name"),
        ({"env": {"A": "x\0"}}, "/env/A", "zero byte"),
        ({"env": {"A": "é" * 70_000}}, "/env/A", "longer than Linux allows"),
        ({"command": [""]}, "/command/0", "empty word"),
        ({"command": ["a", "b\0"]}, "/command/1", "zero byte"),
        ({"node_selectors": {"a b": "c"}}, "/nodeSelectors/a b", "label's name"),
        ({"node_selectors": {"a": "b c"}}, "/nodeSelectors/a", "label's value"),
        ({"port_bindings": {"0": ""}}, "/portBindings/0", "1 to 65535"),
        ({"port_bindings": {"65536/tcp": ""}}, "/portBindings/65536~1tcp", "1 to 65535"),
        ({"port_bindings": {"http": ""}}, "/portBindings/http", "80/tcp"),
        ({"port_bindings": {"80/sctp": ""}}, "/portBindings/80~1sctp", "80/tcp"),
        ({"port_bindings": {"٨٠": ""}}, "/portBindings/٨٠", "80/tcp"),
        ({"port_bindings": {"80": "70000"}}, "/portBindings/80", "1 to 65535"),
        ({"port_bindings": {"80": "-1"}}, "/portBindings/80", "1 to 65535"),
        ({"port_bindings": {"80": -1}}, "/portBindings/80", "1 to 65535"),
        ({"port_bindings": {"80": 10**30}}, "/portBindings/80", "1 to 65535"),
        ({"port_bindings": {"80": "db:8080"}}, "/portBindings/80", "not an IP address"),
        ({"port_bindings": {"80": "1", "80/tcp": "2"}}, "/portBindings/80~1tcp", "given twice"),
        ({"port_bindings": {"80": "8080", "81": "8080"}}, "/portBindings/81", "asked for twice"),
        ({"port_bindings": {str(p): "" for p in range(1, MAX_PORTS + 2)}}, "/portBindings", "a task can have 64"),
        ({"node_selectors": {f"a{n}": "" for n in range(MAX_SELECTORS + 1)}}, "/nodeSelectors", "can ask for 64"),
    ],
)
def test_what_is_wrong_is_named(fields, where, words):
    errors = wrong(**fields)
    assert list(errors) == [where]
    assert words in errors[where]


def test_one_host_port_serves_both_protocols():
    assert len(job(port_bindings={"53/tcp": "53", "53/udp": "53"}).task.ports) == 2


def test_two_dynamic_ports_do_not_clash():
    assert len(job(port_bindings={"80": "", "81": "0"}).task.ports) == 2


def test_all_wrong_fields_are_named_at_once():
    errors = wrong("Bad", image="Bad", memory=-1, cpu=-1, port_bindings={"x": "", "80": "y"}, restart_policy="z")
    assert sorted(errors) == [
        "/cpu",
        "/image",
        "/memory",
        "/name",
        "/portBindings/80",
        "/portBindings/x",
        "/restartPolicy",
    ]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("no", RestartPolicy(RestartMode.NO, 0)),
        ("always", RestartPolicy(RestartMode.ALWAYS, 0)),
        ("on-failure", RestartPolicy(RestartMode.ON_FAILURE, 0)),
        ("on-failure:0", RestartPolicy(RestartMode.ON_FAILURE, 0)),
        ("on-failure:5", RestartPolicy(RestartMode.ON_FAILURE, 5)),
    ],
)
def test_restart_policies(text, policy):
    assert job(restart_policy=text).task.restart == policy


@pytest.mark.parametrize("text", ["no", "always", "on-failure", "on-failure:5"])
def test_a_restart_policy_is_shown_as_it_was_given(text):
    assert show_restart(job(restart_policy=text).task.restart) == text


@pytest.mark.parametrize(
    "user", ["", "root", "0", "_apt", "a.b-c", "host$", "1a", "app:staff", "1000:0", "2147483647"]
)
def test_users_that_docker_takes(user):
    assert job(user=user).task.user == user


@pytest.mark.parametrize(
    "user", ["-1", "2147483648", "99999999999", "a b", "a:b:c", ":", "a:", ":a", "app\n", "é", "a" * 129]
)
def test_users_that_docker_refuses(user):
    errors = wrong(user=user)
    assert list(errors) == ["/user"]
    assert "is no user: write a name or a number" in errors["/user"]


def test_what_comes_first_is_in_the_order_in_which_it_is_asked_for():
    made = job(after=[AfterRequest("db"), AfterRequest("app-1", "started", False)])
    assert made.task.after == (After("db", Condition.HEALTHY), After("app-1", Condition.STARTED, False))


def test_a_job_names_the_networks_that_it_is_on():
    made = job(networks=["front", "default"])
    assert made.task.networks == made.task.network_names == ("front", "default")
    assert job().task.network_names == ("default",)


def test_a_job_says_who_may_reach_it():
    made = job(allow_from=["web", "worker"])
    assert made.task.allow_from == ("web", "worker")
    assert made.task.node_labels == (("overlay", "vxlan"),)
    assert job(allow_from=["*"]).task == job(allow_from=[]).task == job().task


def test_a_job_has_other_names_on_all_of_its_networks_or_on_one():
    asked = [Alias("api"), Alias("db", "back"), Alias("db", "front")]
    made = job(networks=["front", "back"], network_aliases=asked)
    assert made.task.aliases == (
        NetworkAlias("api"),
        NetworkAlias("db", "back"),
        NetworkAlias("db", "front"),
    )
    assert job(network_aliases=[Alias("api", "default")]).task.aliases == (NetworkAlias("api", "default"),)
    assert made.task.node_labels == (("overlay", "vxlan"),), "for its networks"
    assert job(network_aliases=[Alias("api")]).task.node_labels == ()


_BESIDE = PlacementRequest(alongside=AlongsideRequest("vpn", network=True))


@pytest.mark.parametrize(
    ("more", "where", "words"),
    [
        ({"networks": ["Front"]}, "/networks/0", "'Front' is no network's name"),
        ({"networks": ["front", "front"]}, "/networks/1", "front is named twice"),
        ({"networks": [f"n{n}" for n in range(17)]}, "/networks", "a job is on at most 16 networks"),
        ({"allow_from": ["Web"]}, "/allowFrom/0", "'Web' is no job's name"),
        ({"allow_from": ["web", "web"]}, "/allowFrom/1", "web is named twice"),
        ({"allow_from": ["web", "*"]}, "/allowFrom/1", "* is everybody: it stands alone, or is left out"),
        ({"allow_from": [f"n{n}" for n in range(65)]}, "/allowFrom", "a job allows at most 64 others"),
        ({"allow_from": ["web"], "network_mode": "none"}, "/allowFrom", "networkMode don't go together"),
        (
            {"allow_from": ["web"], "placement": _BESIDE},
            "/allowFrom",
            "the network of vpn's task don't go together",
        ),
        ({"network_aliases": [Alias("Api")]}, "/networkAliases/0/name", "'Api' can't be an alias"),
        ({"network_aliases": [Alias("a.b")]}, "/networkAliases/0/name", "'a.b' can't be an alias"),
        (
            {"network_aliases": [Alias("a", "front")]},
            "/networkAliases/0/network",
            "'front' is none of its",
        ),
        ({"network_aliases": [Alias("a"), Alias("a")]}, "/networkAliases/1", "a is given twice"),
        ({"network_aliases": [Alias(f"n{n}") for n in range(17)]}, "/networkAliases", "at most 16 aliases"),
        ({"network_aliases": [Alias("a")], "network_mode": "host"}, "/networkAliases", "don't go together"),
        ({"networks": ["front"], "network_mode": "host"}, "/networks", "networkMode don't go together"),
        ({"networks": ["front"], "placement": _BESIDE}, "/networks", "the network of vpn's task don't go together"),
    ],
)
def test_networks_that_can_not_be_are_named(more, where, words):
    (found,) = wrong(**more).items()
    assert found[0] == where
    assert words in found[1]


@pytest.mark.parametrize(
    ("after", "where", "words"),
    [
        ([AfterRequest("Db")], "/after/0/job", "'Db' is no job's name"),
        ([AfterRequest("db"), AfterRequest("db", "started")], "/after/1/job", "db is named twice"),
        ([AfterRequest("web")], "/after/0/job", "web is the job itself; name another one"),
        ([AfterRequest("db", "well")], "/after/0/condition", "write started, healthy or completed"),
        ([AfterRequest(f"j{n}") for n in range(17)], "/after", "after has 17 jobs; a task can wait for 16"),
    ],
)
def test_an_order_that_can_not_be_is_named(after, where, words):
    with pytest.raises(Invalid) as caught:
        job_from_request(TaskRequest("nginx", "web", after=after), "web", 5)
    (error,) = caught.value.errors
    assert error.pointer == where
    assert words in error.message


@pytest.mark.parametrize(
    "hostname",
    ["", "db", "9", "DB", "a--b", "db.example.org", "3com.net", "1.2.3", "1.2.3.4a", "a" * 63, f"{'a' * 60}.bbb"],
)
def test_host_names_of_rfc_1123(hostname):
    assert job(hostname=hostname).task.hostname == hostname


@pytest.mark.parametrize(
    "hostname",
    ["-a", "a-", "a.-b", "a-.b", "a.", "a..b", "a_b", "a b", "a\n", "é", "1.2.3.4", "a" * 64, f"{'a' * 60}.bbbb"],
)
def test_what_is_no_host_name(hostname):
    errors = wrong(hostname=hostname)
    assert list(errors) == ["/hostname"]
    assert "is no host name: write letters, digits and hyphens" in errors["/hostname"]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx-0a1b2"),
        ("ghcr.io/me/My_App:1.0", "my-app-0a1b2"),
        ("localhost:5000/a@sha256:" + "0" * 64, "a-0a1b2"),
        ("___", "task-0a1b2"),
        ("a" * 300, "a" * 40 + "-0a1b2"),
    ],
)
def test_a_name_is_made_from_the_image(image, name):
    assert name_for(image, 0x0A1B2) == name


@given(st.text(), st.integers(0, 2**20 - 1))
def test_a_made_name_is_always_a_job_name(image, random):
    assert JOB_NAME.fullmatch(name_for(image, random))


@given(
    st.builds(
        TaskRequest,
        image=st.text(),
        command=st.lists(st.text(), max_size=3),
        env=st.dictionaries(st.text(), st.text(), max_size=3),
        memory=st.integers(),
        cpu=st.floats(allow_nan=True),
        disk=st.integers(),
        node_selectors=st.dictionaries(st.text(), st.text(), max_size=3),
        port_bindings=st.dictionaries(st.text(), st.text() | st.integers(), max_size=3),
        restart_policy=st.text(),
        user=st.text(),
        hostname=st.text(),
        stop_grace_seconds=st.floats(),
    ),
    st.text(),
)
def test_any_request_is_a_job_or_invalid_and_a_job_fits_the_log(request, name):
    errors = ()
    try:
        made = job_from_request(request, name, 0)
    except Invalid as error:
        errors = error.errors
    else:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=type(made)) == made
    assert all(e.pointer.startswith("/") and e.message and len(e.message) < 400 for e in errors)


def test_pointers_are_escaped():
    assert pointer("a/b", "c~d", 0) == "/a~1b/c~0d/0"


@pytest.mark.parametrize(
    ("key", "value", "ok"), [("zone", "eu-1", True), ("a/b.c", "", True), ("", "x", False), ("-a", "", False)]
)
def test_labels(key, value, ok):
    assert (label_error(key, value) is None) == ok


def test_what_is_wrong_with_a_label_is_said_in_few_words():
    assert len(label_error("k" * 100_000, "")) < 200
    assert len(label_error("k", "v" * 100_000)) < 200


@pytest.mark.parametrize(
    ("value", "host_port", "host_ip"),
    [
        ("127.0.0.1:8085", 8085, "127.0.0.1"),
        ("127.0.0.1:", 0, "127.0.0.1"),
        ("[::1]:8085", 8085, "::1"),
        ("::1:8085", 8085, "::1"),
        ("0.0.0.0:80", 80, "0.0.0.0"),
    ],
)
def test_a_port_of_one_address(value, host_port, host_ip):
    assert job(port_bindings={"80/tcp": value}).task.ports == (PortBinding(80, "tcp", host_port, host_ip),)


@pytest.mark.parametrize("value", ["localhost:80", "[fe80::1%eth0]:80", "1.2.3:80", ":80", "127.0.0.1:x"])
def test_what_is_no_address_to_publish_on(value):
    with pytest.raises(Invalid) as wrong:
        job(port_bindings={"80/tcp": value})
    assert [error.pointer for error in wrong.value.errors] == ["/portBindings/80~1tcp"]
