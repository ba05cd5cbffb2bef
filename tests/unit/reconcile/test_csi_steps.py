"""One volume's steps on one node, against a model of a plugin that fails, loses answers and loses its mounts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orion.model.csi import Access, AccessMode, FailureKind, NodeFeature
from orion.model.csi_node import CALLS, KnownTarget, KnownVolume, Phase, Step, StepKind, Target, WantedVolume
from orion.reconcile import csi_steps
from orion.reconcile.csi_steps import next_step, terms

STAGING, A, B = "/v/staging", "/v/targets/a", "/v/targets/b"
ALL = frozenset(NodeFeature)
FRESH = KnownVolume("p", "v", staging=STAGING)


def wanted(*paths, readonly=False, **terms_of):
    targets = tuple(Target(path, readonly) for path in paths)
    return WantedVolume("p", "v", terms_of.pop("access", Access()), targets, **terms_of)


def all_steps(want, known, seen, features=ALL, most=50):
    """Carries out every step with success, as a plugin that mounts at every path. Returns (steps, known, seen)."""
    steps, seen = [], set(seen)
    while known is not None and len(steps) < most:
        step = next_step(want, known, seen, features)
        if step is None:
            break
        steps.append(step)
        known = csi_steps.begun(known, step, want, "boot")
        path = step.path or STAGING
        if step.kind in (StepKind.STAGE, StepKind.PUBLISH):
            seen.add(path)
        elif step.kind in (StepKind.UNSTAGE, StepKind.UNPUBLISH, StepKind.UNMOUNT):
            seen.discard(path)
        known = csi_steps.done(known, step, want.size_bytes if want else 0)
    return steps, known, seen


def kinds(steps):
    return [(step.kind.name, step.path.rpartition("/")[2]) for step in steps]


def brought(*paths, **more):
    return all_steps(wanted(*paths, **more), FRESH, ())


def test_in_and_out_in_order_with_what_is_staged_once():
    steps, known, seen = brought(A, B)
    assert kinds(steps) == [("STAGE", ""), ("PUBLISH", "a"), ("PUBLISH", "b")]
    steps, known, seen = all_steps(wanted(B), known, seen)
    assert kinds(steps) == [("UNPUBLISH", "a"), ("DROP", "a")], "the other one still needs what is staged"
    steps, known, seen = all_steps(None, known, seen)
    assert kinds(steps) == [("UNPUBLISH", "b"), ("DROP", "b"), ("UNSTAGE", ""), ("FORGET", "")]
    assert (known, seen) == (None, set())


def test_a_plugin_that_does_not_stage_is_not_asked_to():
    steps, known, seen = all_steps(wanted(A), FRESH, (), frozenset())
    assert kinds(steps) == [("PUBLISH", "a")]
    steps, known, _ = all_steps(None, known, seen, frozenset())
    assert kinds(steps) == [("UNPUBLISH", "a"), ("DROP", "a"), ("FORGET", "")]


def test_other_terms_have_all_go_first():
    _, known, seen = brought(A)
    other = wanted(A, published={"device": "sdb"})
    steps, known, seen = all_steps(other, known, seen)
    assert kinds(steps) == [("UNPUBLISH", "a"), ("DROP", "a"), ("UNSTAGE", ""), ("FORGET", "")]
    assert terms(other) != terms(wanted(A))
    assert terms(other) == terms(wanted(B, published={"device": "sdb"})), "targets and sizes are no terms"
    assert terms(other) != terms(wanted(A, access=Access(AccessMode.SINGLE_NODE_READER_ONLY)))


def test_a_target_that_becomes_read_only_is_published_anew():
    _, known, seen = brought(A)
    steps, known, seen = all_steps(wanted(A, readonly=True), known, seen)
    assert kinds(steps) == [("UNPUBLISH", "a"), ("DROP", "a"), ("PUBLISH", "a")]
    assert known.targets == (KnownTarget(A, True, Phase.DONE),)


def test_growth_is_asked_for_once_and_last():
    steps, known, seen = brought(A, size_bytes=100)
    assert kinds(steps)[-1] == ("EXPAND", "a")
    assert next_step(wanted(A, size_bytes=100), known, seen, ALL) is None
    assert next_step(wanted(A, size_bytes=101), known, seen, ALL).kind is StepKind.EXPAND
    assert next_step(wanted(A, size_bytes=101), known, seen, ALL - {NodeFeature.EXPAND_VOLUME}) is None


def test_after_a_boot_all_is_brought_again():
    _, known, _ = brought(A)
    known = csi_steps.after_boot(known, "other boot")
    assert kinds(all_steps(wanted(A), known, ())[0]) == [("STAGE", ""), ("PUBLISH", "a")]
    gone = [("UNPUBLISH", "a"), ("DROP", "a"), ("UNSTAGE", ""), ("FORGET", "")]
    assert kinds(all_steps(None, known, ())[0]) == gone, "and what is not wanted is taken back all the same"
    assert csi_steps.after_boot(known, known.boot) == known


def test_mounts_that_vanished_are_brought_again_from_the_first_call_on():
    _, known, _ = brought(A)
    assert kinds(all_steps(wanted(A), known, ())[0]) == [("DOUBT", "a"), ("STAGE", ""), ("PUBLISH", "a")]


def test_a_plugin_that_leaves_its_mounts_is_helped():
    known = replace(FRESH, staged=Phase.LEFT, targets=(KnownTarget(A, False, Phase.LEFT),))
    steps, known, seen = all_steps(None, known, {STAGING, A})
    assert kinds(steps) == [("UNMOUNT", "a"), ("DROP", "a"), ("UNMOUNT", "staging"), ("FORGET", "")]
    assert seen == set()


def test_mounts_that_nobody_knows_of_are_taken_away_the_deepest_first():
    assert kinds(all_steps(None, FRESH, {A, B, A + "/in"})[0])[:3] == [
        ("UNMOUNT", "b"),
        ("UNMOUNT", "in"),
        ("UNMOUNT", "a"),
    ]


def test_what_a_plugin_mounts_below_its_own_path_is_left_alone_until_it_says_that_it_is_away():
    _, known, seen = brought(A)
    assert next_step(wanted(A), known, {*seen, STAGING + "/global"}, ALL) is None
    left = replace(FRESH, staged=Phase.LEFT)
    assert next_step(None, left, {STAGING + "/global"}, ALL) == Step(StepKind.UNMOUNT, STAGING + "/global")


@pytest.mark.parametrize("kind", [FailureKind.NOT_FOUND, FailureKind.UNIMPLEMENTED])
def test_what_a_plugin_does_not_have_is_away(kind):
    known = replace(FRESH, staged=Phase.ENDING)
    after, fine = csi_steps.failed(known, Step(StepKind.UNSTAGE), kind)
    assert (after.staged, fine) == (Phase.LEFT, True)
    assert csi_steps.failed(known, Step(StepKind.UNSTAGE), FailureKind.RETRY) == (known, False)


def test_a_publication_that_failed_has_it_staged_again():
    _, known, seen = brought(A)
    step = Step(StepKind.PUBLISH, B)
    known = csi_steps.begun(known, step, wanted(A, B), "boot")
    known, fine = csi_steps.failed(known, step, FailureKind.RETRY)
    assert not fine
    assert kinds(all_steps(wanted(A, B), known, seen)[0]) == [("STAGE", ""), ("PUBLISH", "b")]


def test_what_is_there_in_another_way_is_taken_away_first():
    publish, stage = Step(StepKind.PUBLISH, B), Step(StepKind.STAGE)
    _, known, seen = brought(A)
    known = csi_steps.begun(known, publish, wanted(A, B), "boot")
    known, fine = csi_steps.failed(known, publish, FailureKind.CONFLICT)
    assert not fine
    assert kinds(all_steps(wanted(A, B), known, seen)[0]) == [("UNPUBLISH", "b"), ("STAGE", ""), ("PUBLISH", "b")]
    known, _ = csi_steps.failed(csi_steps.begun(FRESH, stage, wanted(A), "boot"), stage, FailureKind.CONFLICT)
    assert kinds(all_steps(wanted(A), known, ())[0])[:2] == [("UNSTAGE", ""), ("STAGE", "")]
    _, known, _ = brought(A)
    known, _ = csi_steps.failed(known, stage, FailureKind.CONFLICT)
    assert known.staged is Phase.DONE, "never below a task"


class ModelPlugin:
    """Does what CSI says, and complains where the order is not kept."""

    def __init__(self):
        self.staged, self.published = False, {}

    def do(self, step, want):
        if step.kind is StepKind.STAGE:
            assert not self.published or self.staged
            self.staged = True
        elif step.kind is StepKind.PUBLISH:
            assert self.staged, "published before it was staged"
            readonly = next(each.readonly for each in want.targets if each.path == step.path)
            assert self.published.get(step.path, readonly) == readonly, "published in two ways"
            self.published[step.path] = readonly
        elif step.kind is StepKind.UNPUBLISH:
            self.published.pop(step.path, None)
        elif step.kind is StepKind.UNSTAGE:
            assert not self.published, "unstaged below a task"
            self.staged = False

    def seen(self):
        return {*self.published, *([STAGING] if self.staged else [])}


OUTCOMES = st.sampled_from(["ok"] * 6 + ["refused", "lost", "crash before", "crash after", "boot"])
WANTS = st.sampled_from(
    [None, wanted(A), wanted(A, B), wanted(B), wanted(A, readonly=True), wanted(B, context={"x": "y"})]
)


@settings(max_examples=300)
@given(st.lists(st.tuples(WANTS, st.lists(OUTCOMES, max_size=12)), max_size=8), st.data())
def test_any_sequence_keeps_the_order_and_ends_as_wanted(rounds, data):
    plugin, disk, boot = ModelPlugin(), None, 0

    def one(want, outcome):
        """One step. Returns False when there is none left."""
        nonlocal disk, boot
        known = disk or FRESH
        step = next_step(want, known, plugin.seen(), ALL)
        if step is None:
            return False
        if step.kind not in CALLS:
            assert step.kind is not StepKind.UNMOUNT or not plugin.published or disk is None
            disk = csi_steps.done(csi_steps.begun(known, step, want, str(boot)), step)
            return disk is not None or want is not None
        disk = known = csi_steps.begun(known, step, want, str(boot))
        if outcome in ("refused", "crash before"):
            if outcome == "refused":
                disk, _ = csi_steps.failed(known, step, FailureKind.RETRY)
            return True
        plugin.do(step, want)
        if outcome == "ok":
            disk = csi_steps.done(known, step, want.size_bytes if want else 0)
        elif outcome == "lost":
            disk, _ = csi_steps.failed(known, step, FailureKind.RETRY)
        elif outcome == "boot":
            plugin.__init__()
            boot += 1
            disk = csi_steps.after_boot(known, str(boot))
        return True

    for want, outcomes in rounds:
        for outcome in outcomes:
            one(want, outcome)
    final = data.draw(WANTS)
    for _ in range(60):
        if not one(final, "ok"):
            break
    else:
        pytest.fail("it comes to no end")
    if final is None:
        assert disk is None
        assert plugin.seen() == set()
    else:
        assert plugin.published == {each.path: each.readonly for each in final.targets}
        assert plugin.staged
