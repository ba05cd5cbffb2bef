"""What is done next for a volume, and when it is tried again."""

import pytest
from msgspec.structs import replace

from orion.model.csi import FailureKind
from orion.reconcile.rests import REFUSED_AGAIN_MS, Rests
from orion.reconcile.storage import (
    FIRST_AGAIN_MS,
    LONGEST_AGAIN_MS,
    SURE,
    Standing,
    StorageStep,
    is_expected,
    next_step,
    was_never_there,
)

NEW = Standing("data", 7, "dir.csi.orion.dev")
MADE = replace(NEW, asked=True, made=True)


@pytest.mark.parametrize(
    ("standing", "step"),
    [
        (NEW, StorageStep.ASK),
        (replace(NEW, asked=True), StorageStep.MAKE),
        (MADE, StorageStep.NOTHING),
        (replace(MADE, unready=True), StorageStep.MAKE),
        (replace(MADE, grow_to=5), StorageStep.GROW),
        (replace(NEW, asked=True, removing=True), StorageStep.MAKE),
        (replace(MADE, removing=True), StorageStep.DELETE),
        (replace(MADE, removing=True, unready=True), StorageStep.DELETE),
        (replace(MADE, removing=True, held=True), StorageStep.NOTHING),
        (replace(MADE, removing=True, given=True), StorageStep.END),
        (replace(NEW, removing=True), StorageStep.END),
    ],
)
def test_the_next_step(standing, step):
    assert next_step(standing) is step


def test_only_a_call_that_is_refused_again_and_again_says_that_nothing_was_made():
    gone = replace(NEW, asked=True, removing=True)
    final, conflict = FailureKind.FINAL.value, FailureKind.CONFLICT.value
    assert was_never_there(gone, final, SURE)
    assert not was_never_there(gone, final, SURE - 1)
    assert is_expected(gone, final)
    assert not is_expected(gone, conflict)
    assert not is_expected(replace(gone, made=True), final)
    assert not is_expected(replace(gone, removing=False), final)
    assert not was_never_there(gone, conflict, SURE)  # there is one
    assert not was_never_there(gone, FailureKind.RETRY.value, 100)
    assert not was_never_there(replace(gone, removing=False), final, SURE)
    assert not was_never_there(replace(gone, made=True), final, SURE)


def test_waits_grow_and_end_with_other_terms():
    rests = Rests(FIRST_AGAIN_MS, LONGEST_AGAIN_MS)
    waits = [rests.failed(NEW.subject, "a", 0) and rests.until_ms(NEW.subject, "a") for _ in range(10)]
    assert waits[:3] == [FIRST_AGAIN_MS, FIRST_AGAIN_MS * 2, FIRST_AGAIN_MS * 4]
    assert waits[-1] == LONGEST_AGAIN_MS
    assert rests.until_ms(NEW.subject, "b") == 0
    assert rests.times(NEW.subject) == 0


def test_what_never_succeeds_is_asked_again_on_other_terms_or_much_later():
    rests = Rests(FIRST_AGAIN_MS, LONGEST_AGAIN_MS)
    rests.failed(NEW.subject, ("1.0",), 0, never=True)
    assert rests.until_ms(NEW.subject, ("1.0",)) == REFUSED_AGAIN_MS
    assert rests.until_ms(NEW.subject, ("1.1",)) == 0


def test_refusals_of_one_kind_are_counted_by_themselves():
    rests = Rests(FIRST_AGAIN_MS, LONGEST_AGAIN_MS)
    kinds = ("final", "final", "retry", "final", "final")
    assert [rests.failed(NEW.subject, "a", 0, kind) for kind in kinds] == [1, 2, 1, 1, 2]


def test_what_is_gone_is_forgotten():
    rests = Rests(FIRST_AGAIN_MS, LONGEST_AGAIN_MS)
    rests.failed(NEW.subject, "a", 0)
    rests.keep({NEW.subject})
    assert rests.times(NEW.subject) == 1
    rests.keep(())
    assert rests.times(NEW.subject) == 0
