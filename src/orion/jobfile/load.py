"""Job files as jobs that can be asked for, or all that is wrong with them."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from orion.jobfile.faults import START, Fault, Faults, Mark, WrongFiles
from orion.jobfile.job import Found, LoadedJob, read_job
from orion.jobfile.shape import Budget
from orion.jobfile.tree import Document, Entry, ListNode, Node, ObjectNode, Scalar, join
from orion.model.api.hints import meant
from orion.model.api.values import fields
from orion.model.errors import MAX_SHOWN, FieldError

__all__ = ["MAX_FILE_BYTES", "LoadedJob", "Source", "load"]

MAX_FILE_BYTES = 1024 * 1024
MAX_JOBS = 1_000  # of a file
SEVERAL = "jobs"
KEPT_OUT = "x-"  # keys of what is only there to be referred to, as in Compose

_FORMATS = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_ELSEWHERE = {
    "services": 'this is a Compose file: in a job file its services stand below "jobs", with other keys',
    "apiVersion": "this is a Kubernetes manifest, not a job file",
    "job": 'did you mean "jobs"?',
    "task": 'did you mean "jobs"?',
    "tasks": 'did you mean "jobs"?',
}


class Source(msgspec.Struct, frozen=True):
    """A file's name, by which its faults are told, and its bytes. `format`: toml, yaml or json. Empty: as the name
    says, else as the first line looks.
    """

    file: str
    data: bytes
    format: str = ""


def load(sources: Iterable[Source]) -> list[LoadedJob]:
    """Returns the jobs of all files, in their order. Raises WrongFiles with all that is wrong with any."""
    jobs: list[LoadedJob] = []
    known: dict[str, Found] = {}
    ports: dict[tuple[int, str], LoadedJob] = {}
    shown: list[Fault] = []
    more = 0
    for source in sources:
        faults = Faults(source.file)
        found = list(islice(_jobs(source, faults), MAX_JOBS + 1))
        if len(found) > MAX_JOBS:
            faults.add(found.pop().mark, "", f"more than {MAX_JOBS:,} jobs: divide them among several files")
        for each in found:
            _refuse_second(each, known, faults)
        budget = Budget()
        read = [job for each in found if (job := read_job(each, faults, budget)) is not None]
        for job in read:
            _refuse_shared_ports(job, ports, faults)
        jobs += read
        if not found and not faults:
            faults.add(START, "", "holds no job: a file of one begins with its name, several stand below jobs")
        shown += sorted(faults.shown)
        more += faults.more
    if shown:
        raise WrongFiles(shown[:MAX_SHOWN], more + len(shown[MAX_SHOWN:]))
    return jobs


def _refuse_second(found: Found, known: dict[str, Found], faults: Faults) -> None:
    if found.name and (first := known.setdefault(found.name, found)) is not found:
        words = f"is given twice; first in {first.file}, line {first.mark.line}"
        faults.add(found.mark, found.path or "name", words)


def _refuse_shared_ports(job: LoadedJob, ports: dict[tuple[int, str], LoadedJob], faults: Faults) -> None:
    """Each by itself could be deployed, so that the cluster would refuse the second when it has the first."""
    for at, asked in enumerate(job.request.get("ingress", ())):
        port, protocol = asked["port"], asked.get("protocol", "tcp")
        if (first := ports.setdefault((port, protocol), job)) is not job:
            words = f"{port}/{protocol} is {first.name}'s on every node, in {first.file}: one job can have it"
            fault = job.fault(FieldError(f"/ingress/{at}/port", words))
            faults.add(fault.mark, fault.path, fault.message)


def _jobs(source: Source, faults: Faults) -> Iterator[Found]:
    text = _text(source, faults)
    form = source.format or format_of(source.file) or _looks_like(text)
    if text.strip():
        for document in _reader(form)(text, faults):
            yield from _of_document(document, faults)


def format_of(file: str) -> str:
    """Returns the format that a file's name says, or ""."""
    return next((form for ending, form in _FORMATS.items() if file.lower().endswith(ending)), "")


def _reader(form: str) -> Callable[[str, Faults], Iterator[Document]]:
    if form == "toml":
        from orion.jobfile.toml_reader import read_toml

        return read_toml
    if form == "json":
        from orion.jobfile.json_reader import read_json

        return read_json
    from orion.jobfile.yaml_reader import read_yaml

    return read_yaml


def _text(source: Source, faults: Faults) -> str:
    """Returns the text, or "" once it is said why there is none."""
    if len(source.data) > MAX_FILE_BYTES:
        faults.add(START, "", f"is larger than {MAX_FILE_BYTES:,} bytes, the most that a job file has")
        return ""
    try:
        text = source.data.decode()
    except UnicodeDecodeError as error:
        before = source.data[: error.start].decode()
        faults.add(_end_of(before), "", "is not UTF-8 from here on")
        return ""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if match := _CONTROL.search(text):
        faults.add(_end_of(text[: match.start()]), "", f"holds the control character {match[0]!r}")
        return ""
    return text


def _end_of(text: str) -> Mark:
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _looks_like(text: str) -> str:
    for line in text.split("\n"):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if bare.startswith("{"):
            return "json"
        return "toml" if bare.startswith("[") or "=" in bare.partition(":")[0] else "yaml"
    return "yaml"


# --- documents ---------------------------------------------------------------------------------------------


def _of_document(document: Document, faults: Faults) -> Iterator[Found]:
    root = document.root
    if not isinstance(root, ObjectNode):
        if not (isinstance(root, Scalar) and root.value is None):  # a document of comments
            faults.add(root.mark, "", "a job file is an object: keys with values, as name and image")
        return
    entries = {key: entry for key, entry in root.entries.items() if not key.startswith(KEPT_OUT)}
    if SEVERAL in entries:
        yield from _several(entries, document, faults)
    elif foreign := [entry for key, entry in entries.items() if key in _ELSEWHERE]:
        for entry in foreign:
            faults.add(entry.mark, entry.key, _ELSEWHERE[entry.key])
    elif entries:
        yield from _one(ObjectNode(entries, root.mark), document, faults)


def _one(node: ObjectNode, document: Document, faults: Faults) -> Iterator[Found]:
    entry = node.entries.get("name")
    if entry is None:
        if document.whole:
            words = f"is missing: a file of one job says it; several stand below {SEVERAL}, each by its name"
            faults.add(node.mark, "name", words)
        yield Found(faults.file, None, "", node.mark, node, document.whole)
        return
    yield Found(faults.file, _word(entry.value), "", entry.value.mark, node, document.whole)


def _several(entries: dict[str, Entry], document: Document, faults: Faults) -> Iterator[Found]:
    from orion.jobfile.request import REQUEST

    known = fields(REQUEST)
    for key, entry in entries.items():
        if key == SEVERAL:
            continue
        near = meant(key, {SEVERAL, *known})
        words = f"belongs to a job: write it below {SEVERAL}, in the job's own part" if near in known else ""
        faults.add(entry.mark, join("", key), words or f"no such key beside {SEVERAL}")
    jobs = entries[SEVERAL]
    if not isinstance(jobs.value, ObjectNode):
        if not (isinstance(jobs.value, Scalar) and jobs.value.kind):
            faults.add(jobs.mark, SEVERAL, f"must hold jobs by their names, not {_kind_of(jobs.value)}")
        return
    for name, job in jobs.value.entries.items():
        path = join(SEVERAL, name)
        if not isinstance(job.value, ObjectNode):
            faults.add(job.mark, path, f"must be a job: keys with values, as image; not {_kind_of(job.value)}")
            continue
        inner = job.value.entries.get("name")
        if inner is not None and _word(inner.value) != name:
            faults.add(inner.value.mark, join(path, "name"), f"differs from the name in line {job.mark.line}")
        yield Found(faults.file, name, path, job.mark, job.value, document.whole)


def _word(node: Node) -> str | None:
    return node.text if isinstance(node, Scalar) and node.value is not None else None


def _kind_of(node: Node) -> str:
    from orion.model.api.values import kind_of

    value: Any = node.value if isinstance(node, Scalar) else [] if isinstance(node, ListNode) else {}
    return kind_of(value)
