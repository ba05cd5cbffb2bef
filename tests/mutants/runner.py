"""Runs tests against a copy of the source with one small mutation in it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import msgspec

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300.0  # none takes long but beside others on a busy machine
SEEN_S = 15.0  # what a test waits for in vain ends it: a mutant is not waited for as long as what is right
_PYTEST_FAILED = 1


class Mutant(msgspec.Struct, frozen=True):
    """`old`, which is in `file` once, becomes `new`; one of `tests` (ids below tests/) must fail then.

    `says` is the promise that the mutation breaks.
    """

    says: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


class Copy:
    """A copy of src/ below `home`, whose bytecode is kept from one run to the next. Each run is a process of its
    own, forked from one that has loaded what takes longer than most of these tests (forks.py).
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._turn = 0
        shutil.copytree(ROOT / "src", home / "src", ignore=shutil.ignore_patterns("__pycache__"))
        environment = os.environ | {
            "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._forks = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("forks.py"))],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.kill()
        self._forks.communicate()

    def run(self, tests: tuple[str, ...], **environment: str) -> subprocess.CompletedProcess[str]:
        paths = f"pythonpath={self._home / 'src'} {ROOT / 'tests'}"
        options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", "-o", paths]
        words = [*options, *(str(ROOT / "tests" / test) for test in tests)]
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        with tempfile.NamedTemporaryFile("r", dir=self._home) as told:
            line = {"words": words, "told": told.name, "within_s": TIMEOUT_S, "environment": environment}
            self._forks.stdin.write(json.dumps(line) + "\n")
            self._forks.stdin.flush()
            code = int(self._forks.stdout.readline())
            return subprocess.CompletedProcess(words, code, told.read(), "")

    def kills(self, mutant: Mutant) -> subprocess.CompletedProcess[str]:
        """Runs the mutant's tests against it. The copy is as it was afterwards."""
        path = self._home / mutant.file
        text = path.read_text()
        self._write(path, mutated(text, mutant))
        try:
            return self.run(mutant.tests, TESTS_PATIENT_S=str(SEEN_S))
        finally:
            self._write(path, text)

    def _write(self, path: Path, text: str) -> None:
        # Bytecode is told from newer source by whole seconds and the size, which a mutation may leave alone.
        self._turn += 1
        path.write_text(text)
        at = path.stat().st_mtime + 10 * self._turn
        os.utime(path, (at, at))


def mutated(text: str, mutant: Mutant) -> str:
    """Raises ValueError where the code to be mutated is not there, or not once."""
    found = text.count(mutant.old)
    if found != 1:
        raise ValueError(f"{mutant.file} holds {found} times what is to be mutated: {mutant.old!r}")
    return text.replace(mutant.old, mutant.new)


def failed(run: subprocess.CompletedProcess[str]) -> bool:
    """Returns whether a test failed, rather than all passed or none could be run."""
    return run.returncode == _PYTEST_FAILED and " failed" in run.stdout
