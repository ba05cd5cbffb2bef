"""The README's first minute, word for word, as a newcomer pastes it: one shell, an engine, nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import images
from support.cleanup import containers
from support.dockerd import Dockerd

pytestmark = [pytest.mark.engine, pytest.mark.root]

ROOT = Path(__file__).parents[2]
# What a node keeps, and where nodes say that they run, is nobody else's here.
PRIVATE = "mkdir -p /run/orion /var/lib/orion; mount -t tmpfs none /run/orion; mount -t tmpfs none /var/lib/orion"
# Job control, as a shell at a terminal has it: kill %1.
READY = "until orion raft 2>/dev/null | grep -q node3; do sleep 0.1; done"  # "a second later"
SCRIPT = "set -m; {private} || exit 99; cd {home}; {words}"


def blocks(heading: str) -> list[str]:
    """The fenced blocks of one section."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index(f"## {heading}") :].partition("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_the_first_minute_works_as_it_stands_and_leaves_nothing_behind(own_engine: Dockerd, tmp_path: Path) -> None:
    assert shutil.which("curl"), "curl is needed: apt-get install --no-install-recommends curl"
    images.nginx(own_engine.host)
    first, use, jobs, end = blocks("A running cluster in a minute")
    install, _, start = first.partition("\n")
    assert install.startswith("python3 -m venv .venv && .venv/bin/pip install . && export PATH=")
    # What has been installed for the tests takes the place of the README's own environment.
    path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    words = f"{start}\n{READY}\n{use}\n{jobs}\nls /var/lib/orion\n{end}\nls /var/lib/orion"
    done = subprocess.run(
        ["nsenter", f"--net=/var/run/netns/{own_engine.namespace}", "unshare", "--mount", "bash", "-c",
         SCRIPT.format(private=PRIVATE, home=tmp_path, words=words)],
        env={"PATH": path, "HOME": str(tmp_path), "DOCKER_HOST": own_engine.host},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    logs = "\n".join(log.read_text()[-2_000:] for log in tmp_path.glob("*.log"))
    told = f"{done.stdout}\n{done.stderr}\n{logs}"
    assert "Served by" in done.stdout, told
    assert re.search(r"^web/0 +nginx +running +node[123] ", done.stdout, re.MULTILINE), told
    assert re.search(r"^shop +service +3/3 +1 +nginx +ready", done.stdout, re.MULTILINE), told
    assert done.stdout.endswith("node1\nnode2\nnode3\nshop\nweb/0\n"), told  # and nothing is left there
    assert containers(own_engine.host, "dev.orion.cluster") == [], told
