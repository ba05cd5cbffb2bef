"""The next version of orion, made from this one by a patch: one level, one command and a few fields more.

Nodes say a motto when they register. `Job.note` is set where a job is created with the variable NOTE, and by the
command NoteJob, which the newer build makes of a node's label `note-JOB`: so both can be asked for over the API
that there is.
"""

import ast
import shutil
from pathlib import Path

from orion.model.levels import LEVEL

SOURCE = Path(__file__).parents[2] / "src/orion"
NEXT = LEVEL + 1
VERSION = "0.99.0"

_IMPORTS = "from typing import Annotated\nfrom orion.model.levels import since\n"

_FIELD = "    {}: Annotated[str, since(" + str(NEXT) + ')] = ""\n'

_COMMAND = f"""

@since({NEXT})
class NoteJob(Command, frozen=True, array_like=True, tag=90):
    job: JobName
    note: str
    idempotency_key: str
    since: int


@command(NoteJob, fault=lambda _: "")
def note_job(state, step, command):
    record = state.jobs.get(command.job)
    if record is None:
        return NotFound(f"there is no job named {{command.job}}")
    record.job = replace(record.job, note=command.note)
    return command.job


COMMANDS = (*COMMANDS, note_job)
"""

_NODE = """

_former_node = _node


def _node(command, *rest):
    return replace(_former_node(command, *rest), motto=command.motto)
"""

_REGISTRATION = """

_former_command = Registration._command


def _command(self):
    return within(replace(_former_command(self), motto="newer"), self._source.level)


Registration._command = _command
"""

_SUBMIT = """

from orion.state.tables.jobs import NoteJob
from orion.state.tables.node_labels import LabelNode
_former_submit = Submitter.submit


def _newer(command):
    if isinstance(command, CreateJob):
        note = dict(command.job.task.env).get("NOTE", "")
        return replace(command, job=replace(command.job, note=note))
    if isinstance(command, LabelNode) and command.labels[0][0].startswith("note-"):
        ((key, note),) = command.labels
        job = key.removeprefix("note-")
        return NoteJob(command.at_ms, job, note or "", command.idempotency_key, command.since)
    return command


async def _submit(self, command, *, timeout_s):
    return await _former_submit(self, _newer(command), timeout_s=timeout_s)


Submitter.submit = _submit
"""

# What is appended to which module.
_APPENDED = {
    "__init__.py": f'\n__version__ = "{VERSION}"\n',
    "state/tables/jobs.py": _COMMAND,
    "state/tables/nodes.py": _NODE,
    "node/agent/registration.py": _REGISTRATION,
    "node/routing/submit.py": _SUBMIT,
}


def write(root: Path) -> Path:
    """The newer build's sources as `root`/orion. Returns `root`, which goes into PYTHONPATH."""
    tree = root / "orion"
    shutil.copytree(SOURCE, tree, ignore=shutil.ignore_patterns("__pycache__"))
    levels = tree / "model/levels.py"
    text = levels.read_text()
    assert "\nFIRST = " in text, "the patch of the newer build does not fit model/levels.py any more"
    levels.write_text(text.replace("\nFIRST = ", f'\nLEVELS[{NEXT}] = "notes about jobs"\nFIRST = ', 1))
    _add_field(tree / "model/job.py", "Job", _FIELD.format("note"))
    _add_field(tree / "model/node.py", "Node", _FIELD.format("motto"))
    _add_field(tree / "state/tables/nodes.py", "RegisterNode", _FIELD.format("motto"))
    _insert_imports(tree / "state/tables/jobs.py")
    for path, more in _APPENDED.items():
        module = tree / path
        module.write_text(module.read_text() + more)
    return root


def _add_field(path: Path, record: str, line: str) -> None:
    """At the end of the record's fields."""
    text = path.read_text()
    (kind,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == record)
    last = [node for node in kind.body if isinstance(node, ast.AnnAssign)][-1]
    lines = text.splitlines(keepends=True)
    lines.insert(last.end_lineno, line)
    path.write_text("".join(lines))
    _insert_imports(path)


def _insert_imports(path: Path) -> None:
    """After the docstring."""
    text = path.read_text()
    first = ast.parse(text).body[0]
    lines = text.splitlines(keepends=True)
    lines.insert(first.end_lineno, _IMPORTS)
    path.write_text("".join(lines))
