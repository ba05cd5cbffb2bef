"""Job files: what they may say, and what a request is made of it."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orion.jobfile.faults import WrongFiles
from orion.jobfile.load import MAX_FILE_BYTES, Source, load
from orion.jobfile.request import REQUEST
from orion.model.errors import FieldError, Invalid
from unit.jobfile.render import as_json, as_toml, as_yaml, body
from unit.model.test_task_codec import REQUESTS

SLOW = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
ONE = '{"name": "web", "image": "nginx"}'


def jobs(*texts, file="jobs.yaml"):
    return load([Source(file, text.encode()) for text in texts])


def requests(*texts, file="jobs.yaml"):
    return [job.request for job in jobs(*texts, file=file)]


def wrong(*texts, file="jobs.yaml"):
    with pytest.raises(WrongFiles) as caught:
        jobs(*texts, file=file)
    return caught.value.lines()


# --- any request can be written in any format --------------------------------------------------------------

FORMS = {
    "block.yaml": lambda value: as_yaml(value, flow=False),
    "flow.yml": lambda value: as_yaml(value, flow=True),
    "tables.toml": lambda value: as_toml(value, tables=True),
    "braces.TOML": lambda value: as_toml(value, tables=False),
    "lines.json": lambda value: as_json(value, indent=2),
    "line.json": as_json,
    "json.yaml": lambda value: as_yaml(value, flow=True),
}


def of_job(request):
    """A task's request is that of a job which says nothing else."""
    return msgspec.convert(msgspec.to_builtins(request), REQUEST)


@given(request=REQUESTS)
@settings(SLOW, max_examples=30)
def test_any_request_loads_as_it_was_written(request):
    """In each form, since making one up takes longer than all of them."""
    for file, written in FORMS.items():
        (job,) = load([Source(file, written(body(request)).encode())])
        assert job.name == request.name, file
        assert msgspec.convert(job.request, REQUEST) == of_job(request), file


@given(asked=st.lists(REQUESTS, min_size=1, max_size=3, unique_by=lambda request: request.name))
@settings(SLOW, max_examples=10)
def test_several_jobs_stand_below_their_names(asked):
    for file, written in FORMS.items():
        text = written({"jobs": {request.name: body(request) for request in asked}})
        made = load([Source(file, text.encode())])
        assert [msgspec.convert(job.request, REQUEST) for job in made] == [of_job(each) for each in asked], file


@given(asked=st.lists(REQUESTS, min_size=1, max_size=3, unique_by=lambda request: request.name))
@settings(SLOW, max_examples=10)
def test_several_documents_are_several_jobs(asked):
    text = "---\n".join(as_yaml(body(request), flow=False) for request in asked)
    assert [msgspec.convert(each, REQUEST) for each in requests(text)] == [of_job(request) for request in asked]


# --- what files may say beside JSON ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.yaml", "name: web\nimage: nginx\nmemory: 64MB\nstopGraceSeconds: 1m30s\nenv: {A: 1.50, B: true}\n"),
        ("a.toml", 'name="web"\nimage="nginx"\nmemory="64MB"\nstopGraceSeconds="1m30s"\nenv={A=1.50, B=true}\n'),
        (
            "a.json",
            '{"name":"web","image":"nginx","memory":"64MB","stopGraceSeconds":"1m30s","env":{"A":1.50,"B":true}}',
        ),
    ],
)
def test_amounts_have_units_and_a_number_is_text_where_text_is_wanted(file, text):
    (request,) = requests(text, file=file)
    assert request == {
        "name": "web",
        "image": "nginx",
        "memory": 64_000_000,
        "stopGraceSeconds": 90,
        "env": {"A": "1.50", "B": "true"},
    }


@pytest.mark.parametrize("word", ["no", "on", "yes", "y", "22:22", "1_000", "0644", "1.50", "1e3", "2025-01-01"])
def test_words_of_yaml_stay_as_they_are_written(word):
    (request,) = requests(f"name: web\nimage: nginx\nuser: '1'\nenv: {{A: {word}}}\n")
    assert request["env"] == {"A": word}


def test_numbers_of_yaml():
    (request,) = requests("name: web\nimage: nginx\nmemory: 0x4000000\ncpu: 5e-1\nportBindings: {80: 8080}\n")
    assert (request["memory"], request["cpu"], request["portBindings"]) == (0x4000000, 0.5, {"80": 8080})


def test_anchors_aliases_and_merge_keys():
    text = """
x-common: &common
  image: nginx
  env: &env {A: "1", B: "2"}
jobs:
  web:
    <<: *common
    env: {<<: *env, B: "3"}
  api: {<<: [{image: api}, *common]}
"""
    assert requests(text) == [
        {"name": "web", "image": "nginx", "env": {"A": "1", "B": "3"}},
        {"name": "api", "image": "api", "env": {"A": "1", "B": "2"}},
    ]


def test_a_name_may_be_said_again():
    assert requests("jobs: {web: {name: web, image: nginx}}") == [{"name": "web", "image": "nginx"}]


def test_documents_without_anything_are_passed_over():
    assert requests("---\n# nothing\n---\n" + ONE + "\n---\n...\n") == [{"name": "web", "image": "nginx"}]


def test_a_byte_order_mark_and_line_ends_of_windows():
    assert requests("\ufeffname: web\r\nimage: nginx\r\n") == [{"name": "web", "image": "nginx"}]


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        "\n  " + ONE,
        "# a job\nname: web\nimage: nginx\n",
        '# a job\nname = "web"\nimage = "nginx"\n',
        '[jobs.web]\nimage = "nginx"\n',
        "---\nname: web\nimage: nginx\n",
        "name: web # a = b\nimage: nginx\n",
    ],
)
def test_what_comes_without_a_name_is_known_by_its_first_line(text):
    assert requests(text, file="<stdin>") == [{"name": "web", "image": "nginx"}]


# --- refusals ----------------------------------------------------------------------------------------------


def test_faults_of_all_files_are_told_in_their_order():
    lines = wrong("name: web\nimage: nginx\nmemroy: 1\nenviroment: {}", "image: x", ONE, file="a.yaml")
    assert lines == [
        'a.yaml:3:1: memroy: no such key; did you mean "memory"?',
        'a.yaml:4:1: enviroment: no such key; did you mean "env"?',
        "a.yaml:1:1: name: is missing: a file of one job says it; several stand below jobs, each by its name",
        "a.yaml:1:10: name: is given twice; first in a.yaml, line 1",
    ]


def test_a_port_of_every_node_is_one_jobs():
    first = "jobs:\n  c:\n    image: nginx\n    ingress: [{port: 9000, containerPort: 80}]\n"
    second = "  d:\n    image: nginx\n    ingress:\n    - {containerPort: 80, port: 9000}\n"
    other = "  e:\n    image: nginx\n    ingress: [{port: 9000, containerPort: 80, protocol: udp}]\n"
    assert wrong(first + second + other, file="a.yaml") == [
        "a.yaml:8:33: jobs.d.ingress[0].port: 9000/tcp is c's on every node, in a.yaml: one job can have it"
    ]
    assert [each["name"] for each in requests(first + other)] == ["c", "e"]


def test_no_more_than_twenty_are_told_and_the_others_counted():
    many = "name: web\nimage: nginx\nenv: {" + ", ".join(f"{n}A: x" for n in range(50)) + "}"
    lines = wrong(many, many)
    assert len(lines) == 21
    assert lines[-1] == "and 81 more"


def test_bytes_that_are_no_text():
    with pytest.raises(WrongFiles, match=r"a.toml:2:9: is not UTF-8 from here on"):
        load([Source("a.toml", b'name = "web"\nimage = \xff')])


def test_a_file_that_is_too_large_is_not_read():
    assert wrong("#" * (MAX_FILE_BYTES + 1)) == [
        "jobs.yaml:1:1: is larger than 1,048,576 bytes, the most that a job file has"
    ]


def bomb(levels, width=9):
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(["x-all:", *(f"  {line}" for line in lines), ""])


def test_aliases_within_aliases_are_refused_when_they_are_too_many():
    text = bomb(12) + "name: web\nimage: nginx\ncommand: *a11\n"
    assert wrong(text) == ["jobs.yaml:14:7: is too large with its aliases put in"]


def test_a_long_text_that_is_named_often_is_refused():
    text = f"x-all: &a {'x' * 100_000}\nname: web\nimage: nginx\ncommand: [{', '.join(['*a'] * 1000)}]\n"
    assert wrong(text) == ["jobs.yaml:2:7: is too large with its aliases put in"]


def test_jobs_that_are_aliases_of_one_are_counted_together():
    env = ", ".join(f"A{n}: x" for n in range(4_000))
    again = "".join(f"  j{n}: *a\n" for n in range(120))
    lines = wrong(f"x-all: &a {{image: nginx, env: {{{env}}}}}\njobs:\n{again}")
    assert lines[0] == "jobs.yaml:52:3: jobs.j49: is too large with its aliases put in"
    assert lines[-1] == "and 51 more"


def test_more_jobs_than_a_file_may_have():
    many = "".join(f"  j{n}: {{image: nginx}}\n" for n in range(1_001))
    assert wrong(f"jobs:\n{many}") == ["jobs.yaml:1002:3: more than 1,000 jobs: divide them among several files"]


def test_merges_of_merges_are_refused_when_they_are_too_many():
    keys = "\n".join(f"  k{n}: 1" for n in range(1000))
    merges = "\n".join(f"x-{n}: {{<<: *all}}" for n in range(1000))
    (line,) = wrong(f"x-all: &all\n{keys}\n{merges}\nname: web\nimage: nginx\n")
    assert line.endswith("the file has more than 100,000 values")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        "- " * 500_000,
        "{a: " * 250_000,
        "? " * 500_000,
        "&a " * 300_000,
        "'" * 1_000_000,
        '"\\' * 500_000,
        "a" * 1_000_000,
        "a: 1\n" * 200_000,
        "a." * 500_000 + "a = 1",
        "a = " + "[" * 1_000_000,
        "a = " + "{a = " * 200_000,
        "a = " + "1" * 1_000_000,
        "a = \n" * 200_000,
        "[a]\n" * 250_000,
        '"""' * 300_000,
        'a = """' + '"" ' * 300_000,
        "[a." * 300_000,
        '{"a":' * 200_000,
        "1" * 1_000_000,
        "1e" + "9" * 100_000,
        '"\\ud800' * 100_000,
        "#\n" * 500_000,
        "---\n" * 250_000,
        "a: [\n---\n" * 100_000,
        "*a " * 300_000,
        "!a " * 300_000,
    ],
    ids=lambda text: repr(text[:12]),
)
@pytest.mark.parametrize("form", ["yaml", "toml", "json"])
def test_a_megabyte_of_nonsense_is_refused(text, form):
    with pytest.raises(WrongFiles) as caught:
        load([Source("a", text.encode(), form)])
    assert all(len(line) < 5_000 for line in caught.value.lines())


# --- refusals by the cluster -------------------------------------------------------------------------------


def test_a_refusal_by_the_cluster_is_told_with_the_place():
    (job,) = jobs("name: web\nimage: nginx\nportBindings:\n  80/tcp: 8080\nenv: {A: b}\n")
    refusal = Invalid(
        (
            FieldError("/portBindings/80~1tcp", "host port 8080 is taken"),
            FieldError("/memory", "memory is too little"),
            FieldError("/env/A/x", "env A is wrong"),
        )
    )
    assert job.refused(refusal).lines() == [
        'jobs.yaml:4:11: portBindings["80/tcp"]: host port 8080 is taken',
        "jobs.yaml:1:7: memory is too little",
        "jobs.yaml:5:10: env.A: is wrong",
    ]
