"""Runs tests against a copy of the source with one small mutation in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300.0  # none takes long but beside others on a busy machine
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
    """A copy of src/ below `home`, whose bytecode is kept from one run to the next."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._turn = 0
        shutil.copytree(ROOT / "src", home / "src", ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PYTHONPYCACHEPREFIX": str(self._home / "bytecode"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # they take longer to load than most of these tests
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        paths = f"pythonpath={self._home / 'src'} {ROOT / 'tests'}"
        options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", "-o", paths]
        named = [str(ROOT / "tests" / test) for test in tests]
        command = [sys.executable, "-m", "pytest", *options, *named]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )

    def kills(self, mutant: Mutant) -> subprocess.CompletedProcess[str]:
        """Runs the mutant's tests against it. The copy is as it was afterwards."""
        path = self._home / mutant.file
        text = path.read_text()
        self._write(path, mutated(text, mutant))
        try:
            return self.run(mutant.tests)
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
