"""What is said of a pull."""

import pytest

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.pull import PullProgress, pull_text


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (PullProgress(), "pulling web"),
        (PullProgress(500_000, 4_000_000), "pulling web: 500 kB of 4 MB"),
        (PullProgress(2_000_000, 54_100_000), "pulling web: 2 of 54.1 MB"),
        (PullProgress(0, 54_100_000), "pulling web: 0 B of 54.1 MB"),
        (PullProgress(54_100_000, 54_100_000), "pulling web: 54.1 MB loaded, unpacking"),
    ],
)
def test_the_sentence(progress, words):
    assert pull_text("web", progress) == words
    assert pull_text("web", progress, "no route to host") == f"{words}; the last try: no route to host"


def test_another_reason_ends_what_is_said_of_a_pull():
    status = AllocationStatus(AllocationState.PULLING, "no route to host", pull=PullProgress(1, 2))
    assert status.reason_text("web") == "pulling web: 1 of 2 B; the last try: no route to host"
    assert status.because("node1 went down").reason_text("web") == "node1 went down"
