"""Programs that the plugin runs, and what their failure is called."""

import os
import shutil
import subprocess

from grpclib.const import Status

from orion.csi_dir.failed import Failed

_SYSTEM = "/usr/sbin:/sbin"  # where Debian has mkfs, and a service's PATH may not lead


def find(name: str) -> str | None:
    """Returns the path of the program, None where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SYSTEM}")


def run(*words: str, well: tuple[int, ...] = (0,), failed: Status = Status.INTERNAL) -> None:
    """Runs a program to its end. `well`: exit codes that are none of a failure. Raises Failed with its last words,
    and RESOURCE_EXHAUSTED where the disk is full.
    """
    program = find(words[0])
    if program is None:
        raise Failed(failed, f"{words[0]} is not installed here")
    command = [program, *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 -- paths of ours
    if done.returncode not in well:
        status = Status.RESOURCE_EXHAUSTED if "No space left" in done.stderr else failed
        told = (done.stderr.strip() or done.stdout.strip())[-300:]
        raise Failed(status, f"{words[0]} failed with {done.returncode}: {told}")
