"""Small mutations of what has effects (node/, api/, adapters/docker), each killed by its room's own tests.

A mutant that lives shows a promise that no test holds. Add one whenever a test is written for a fault.
"""

import pytest

from mutants.runner import Copy, failed
from mutants.table import MUTANTS


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    with Copy(tmp_path_factory.mktemp("mutants")) as made:
        yield made


def test_the_tests_pass_without_a_mutation(copy):
    run = copy.run(tuple(dict.fromkeys(test for mutant in MUTANTS for test in mutant.tests)))
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.says.replace(" ", "-"))
def test_a_mutant_is_killed(copy, mutant):
    run = copy.kills(mutant)
    assert failed(run), f"{mutant.old!r} -> {mutant.new!r} in {mutant.file} lives\n{run.stdout}{run.stderr}"
