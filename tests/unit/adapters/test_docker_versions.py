"""Which API version is spoken."""

import pytest

from orion.adapters.docker.connection import api_version


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
