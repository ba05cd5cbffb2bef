"""Which API version is spoken, and what importing the adapter loads."""

import subprocess
import sys

import pytest

from orion.adapters.docker.connection import api_version


def test_importing_it_is_cheap():
    script = "import sys, orion.adapters.docker; print([m for m in ('aiohttp', 'aiodocker') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [
        ("1.41", "1.12", "v1.41"),  # Docker 20.10
        ("1.48", "1.24", "v1.41"),  # Docker 28
        ("1.52", "1.44", "v1.44"),  # Docker 29
        ("1.40", "1.12", "v1.40"),  # Docker 19.03
        ("1.100", "1.99", "v1.99"),
    ],
)
def test_the_api_version_that_both_speak(newest, oldest, spoken):
    assert api_version(newest, oldest) == spoken
