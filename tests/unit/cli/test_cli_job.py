"""`orion job`: checks files without a cluster."""

import io
import json
from pathlib import Path

import pytest

from orion.cli.app import run
from orion.jobfile.load import MAX_FILE_BYTES

EXAMPLES = Path(__file__).parents[3] / "docs" / "job-files.md"


@pytest.fixture
def orion(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def ask(*args, stdin=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(["job", *args])
        return (code, *capsys.readouterr())

    return ask


def test_what_is_right_is_named(orion):
    Path("web.toml").write_text('name = "web"\nimage = "nginx"\n')
    Path("all.yaml").write_text("jobs: {db: {image: postgres}, cache: {image: redis}}")
    assert orion("check", "web.toml", "all.yaml") == (0, "web.toml: web\nall.yaml: db\nall.yaml: cache\n", "")


def test_what_is_wrong_is_told_all_at_once(orion):
    Path("web.toml").write_text('name = "web"\nimage = "nginx"\nmemroy = 1\n')
    Path("db.yaml").write_text("name: db\nimage: postgres\nmemory: lots\n")
    code, out, err = orion("check", "web.toml", "db.yaml")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        'web.toml:3:1: memroy: no such key; did you mean "memory"?',
        "db.yaml:3:9: memory: 'lots' is not a size: write it as in 512m, 1.5GB or 100000000",
    ]


def test_standard_input(orion):
    assert orion("check", "-", stdin=b"name: web\nimage: nginx\n") == (0, "<stdin>: web\n", "")
    code, _, err = orion("check", "-", stdin=b'name = "web"\nimagee = "nginx"\n')
    assert (code, err) == (2, '<stdin>:2:1: imagee: no such key; did you mean "image"?\n')


def test_what_would_be_asked_for(orion):
    code, out, _ = orion("check", "-o", "json", "-", stdin=b"name: web\nimage: nginx\nmemory: 64MB\n")
    assert code == 0
    assert json.loads(out) == [{"name": "web", "image": "nginx", "memory": 64_000_000}]


def test_files_that_cant_be_read(orion):
    assert orion("check", "no.toml") == (1, "", "orion: no.toml can't be read: No such file or directory\n")
    assert orion("check", ".") == (1, "", "orion: . can't be read: Is a directory\n")
    code, _, err = orion("check", "/dev/zero")
    assert (code, err) == (
        2,
        f"/dev/zero:1:1: is larger than {MAX_FILE_BYTES:,} bytes, the most that a job file has\n",
    )
    assert orion("check")[0] == 2


def test_the_schema(orion):
    code, out, _ = orion("schema")
    assert code == 0
    assert json.loads(out)["$schema"].endswith("2020-12/schema")


def blocks():
    """The examples of the documentation: their formats and texts."""
    found, form, lines = [], None, []
    for line in EXAMPLES.read_text("utf-8").splitlines():
        if line.startswith("```"):
            if form:
                found.append((form, "\n".join(lines) + "\n"))
            form, lines = (line[3:] if form is None else None), []
        elif form:
            lines.append(line)
    return found


def test_the_examples_of_the_documentation_are_right_and_the_same(orion):
    asked = {}
    for form, text in blocks():
        if form in {"toml", "yaml"}:
            Path(f"a.{form}").write_text(text)
            code, out, err = orion("check", "-o", "json", f"a.{form}")
            assert (code, err) == (0, "")
            asked.setdefault(form, []).append(json.loads(out))
    assert asked["toml"] == asked["yaml"]
    assert len(asked["toml"]) >= 2
