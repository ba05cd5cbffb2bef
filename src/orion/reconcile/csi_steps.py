"""Brings one volume of a plugin to where it is wanted on this node, and away again, a call at a time.

The order is ours to keep, since plugins do not: staged before it is published, every target unpublished before it
is unstaged, and nothing left to remember before the controller may unpublish it from the node. A target counts as a
reference to what is staged from its first call to its last.

Whoever carries the steps out writes down `begun` before each call, and `done` or `failed` after it. So after a
crash anywhere the same call is made again, which plugins have to take.
"""

import hashlib
from collections.abc import Collection, Iterator

import msgspec
from msgspec.structs import replace

from orion.model.csi import FailureKind, NodeFeature
from orion.model.csi_node import KnownTarget, KnownVolume, Phase, Step, StepKind, WantedVolume

ABSENT, BEGUN, DONE, ENDING, LEFT = Phase
STAGE, PUBLISH, EXPAND, UNPUBLISH, UNSTAGE, UNMOUNT, DOUBT, DROP, FORGET = StepKind

# (wanted, phase, seen in the kernel's table of mounts) -> what comes next for one target.
_TARGET: dict[tuple[bool, Phase, bool], StepKind | None] = {
    (True, ABSENT, False): PUBLISH,
    (True, ABSENT, True): PUBLISH,
    (True, BEGUN, False): PUBLISH,
    (True, BEGUN, True): PUBLISH,
    (True, DONE, False): DOUBT,  # all of this machine's mounts may be gone, the staged one too
    (True, DONE, True): None,
    (True, ENDING, False): UNPUBLISH,  # what was begun is ended first
    (True, ENDING, True): UNPUBLISH,
    (True, LEFT, False): PUBLISH,
    (True, LEFT, True): UNMOUNT,
    (False, ABSENT, False): DROP,
    (False, ABSENT, True): UNMOUNT,  # nobody knows of it, so no plugin does
    (False, BEGUN, False): UNPUBLISH,
    (False, BEGUN, True): UNPUBLISH,
    (False, DONE, False): UNPUBLISH,
    (False, DONE, True): UNPUBLISH,
    (False, ENDING, False): UNPUBLISH,
    (False, ENDING, True): UNPUBLISH,
    (False, LEFT, False): DROP,
    (False, LEFT, True): UNMOUNT,  # the plugin says that it is away, and is wrong
}

# (some target needs it, phase, seen) -> what comes next for what is staged. Publishing waits for None.
_STAGED: dict[tuple[bool, Phase, bool], StepKind | None] = {
    (True, ABSENT, False): STAGE,
    (True, ABSENT, True): STAGE,
    (True, BEGUN, False): STAGE,
    (True, BEGUN, True): STAGE,
    (True, DONE, False): None,  # not every plugin mounts something there
    (True, DONE, True): None,
    (True, ENDING, False): UNSTAGE,
    (True, ENDING, True): UNSTAGE,
    (True, LEFT, False): STAGE,
    (True, LEFT, True): UNMOUNT,
    (False, ABSENT, False): FORGET,
    (False, ABSENT, True): UNMOUNT,
    (False, BEGUN, False): UNSTAGE,
    (False, BEGUN, True): UNSTAGE,
    (False, DONE, False): UNSTAGE,
    (False, DONE, True): UNSTAGE,
    (False, ENDING, False): UNSTAGE,
    (False, ENDING, True): UNSTAGE,
    (False, LEFT, False): FORGET,
    (False, LEFT, True): UNMOUNT,
}

_BEGINS = {STAGE: BEGUN, PUBLISH: BEGUN, UNPUBLISH: ENDING, UNSTAGE: ENDING}
_ENDS = {STAGE: DONE, PUBLISH: DONE, UNPUBLISH: LEFT, UNSTAGE: LEFT, UNMOUNT: LEFT, DOUBT: BEGUN}
# Failures by which a plugin says that there is nothing to take away.
_AWAY = frozenset({FailureKind.NOT_FOUND, FailureKind.UNIMPLEMENTED})


def next_step(
    wanted: WantedVolume | None, known: KnownVolume, seen: Collection[str], features: Collection[NodeFeature]
) -> Step | None:
    """Returns the next step for one volume, None when all is as wanted. `seen`: the points of mounts (and for block
    volumes the devices) that are at the volume's paths.
    """
    if wanted is not None and known.made_for not in ("", terms(wanted)):
        wanted = None  # brought on other terms: all of it goes first
    needed = {target.path: target.readonly for target in wanted.targets} if wanted else {}
    step = _leave(known, needed, seen)
    if step is None and wanted is not None and needed:
        step = _bring(wanted, known, needed, seen, features)
    elif step is None:
        step = _staged_step(known, seen, needed=False)
    return step


def terms(wanted: WantedVolume) -> str:
    """Returns a digest of what a volume was brought for, without which plugins would be asked with the arguments of
    another publication.
    """
    stated = msgspec.json.encode((wanted.access, wanted.published, wanted.context), order="deterministic")
    return hashlib.sha256(stated).hexdigest()


def begun(known: KnownVolume, step: Step, wanted: WantedVolume | None, boot: str) -> KnownVolume:
    """Returns what has to be written down before the step is taken."""
    phase = _BEGINS.get(step.kind)
    known = replace(known, boot=boot)
    if wanted is not None and step.kind in (STAGE, PUBLISH):
        known = replace(known, made_for=terms(wanted))
    if step.kind is PUBLISH and wanted is not None:
        readonly = next(each.readonly for each in wanted.targets if each.path == step.path)
        others = (each for each in known.targets if each.path != step.path)
        return replace(known, targets=(*others, KnownTarget(step.path, readonly, BEGUN)))
    return known if phase is None else _with(known, step, phase)


def done(known: KnownVolume, step: Step, size_bytes: int = 0) -> KnownVolume | None:
    """Returns what is true once the step has succeeded, None when nothing is left to remember. `size_bytes`: of
    EXPAND, what was asked for.
    """
    if step.kind is FORGET:
        return None
    if step.kind is EXPAND:
        return replace(known, size_bytes=size_bytes)
    if step.kind is DROP:
        return replace(known, targets=tuple(each for each in known.targets if each.path != step.path))
    if step.kind is DOUBT:
        return replace(_with(known, step, BEGUN), staged=_doubted(known.staged))
    known = _with(known, step, _ENDS[step.kind])
    return replace(known, size_bytes=0) if step.kind is UNSTAGE else known


def failed(known: KnownVolume, step: Step, kind: FailureKind) -> tuple[KnownVolume, bool]:
    """Returns what is true once the step has failed, and whether the failure comes to a success: what a plugin does
    not have is away.
    """
    if step.kind in (UNPUBLISH, UNSTAGE) and kind in _AWAY:
        return _with(known, step, LEFT), True
    if step.kind is PUBLISH:  # what was staged may not be there any more
        known = replace(known, staged=_doubted(known.staged))
    if kind is FailureKind.CONFLICT and (step.kind is PUBLISH or (step.kind is STAGE and not known.targets)):
        known = _with(known, step, ENDING)  # it is there in another way, which goes first
    return known, False


def after_boot(known: KnownVolume, boot: str) -> KnownVolume:
    """Returns what is still certain after the machine has started anew: nothing that was done."""
    if known.boot == boot:
        return known
    targets = tuple(replace(each, phase=_doubted(each.phase)) for each in known.targets)
    return replace(known, staged=_doubted(known.staged), targets=targets)


# --- inside -----------------------------------------------------------------------------------------------


def _leave(known: KnownVolume, needed: dict[str, bool], seen: Collection[str]) -> Step | None:
    """Returns the next step of a target that has to go, the deepest first."""
    for path, phase, readonly in sorted(_targets(known, seen), reverse=True):
        if path in needed and needed[path] == readonly and phase not in (ENDING.value, LEFT.value):
            continue
        wanted = path in needed and (phase == ABSENT.value or needed[path] == readonly)
        kind = _TARGET[wanted, Phase(phase), path in seen]
        if kind is not None and kind is not PUBLISH:
            return Step(kind, path)
    return None


def _targets(known: KnownVolume, seen: Collection[str]) -> Iterator[tuple[str, str, bool]]:
    """Yields the targets that are known, and mounts that nobody knows of. What is below a path that a plugin was
    given is the plugin's, until it says that the path is free.
    """
    yield from ((each.path, each.phase.value, each.readonly) for each in known.targets)
    given = {each.path: each.phase for each in known.targets} | {known.staging: known.staged}
    held = tuple(path + "/" for path, phase in given.items() if path and phase not in (ABSENT, LEFT))
    yield from ((path, ABSENT.value, False) for path in seen if path not in given and not path.startswith(held))


def _bring(
    wanted: WantedVolume,
    known: KnownVolume,
    needed: dict[str, bool],
    seen: Collection[str],
    features: Collection[NodeFeature],
) -> Step | None:
    phases = {each.path: each.phase for each in known.targets}
    steps = [
        Step(kind, path)
        for path in needed
        if (kind := _TARGET[True, phases.get(path, ABSENT), path in seen]) is not None
    ]
    doubt = next((step for step in steps if step.kind is DOUBT), None)
    if doubt is not None:
        return doubt
    if NodeFeature.STAGE_UNSTAGE_VOLUME in features:
        step = _staged_step(known, seen, needed=True)
        if step is not None:
            return step
    if steps:
        return steps[0]
    if NodeFeature.EXPAND_VOLUME in features and wanted.size_bytes > known.size_bytes:
        return Step(EXPAND, min(needed))
    return None


def _staged_step(known: KnownVolume, seen: Collection[str], *, needed: bool) -> Step | None:
    there = bool(known.staging) and known.staging in seen
    kind = _STAGED[needed, known.staged, there]
    return None if kind is None else Step(kind, known.staging if kind is UNMOUNT else "")


def _with(known: KnownVolume, step: Step, phase: Phase) -> KnownVolume:
    if step.kind in (STAGE, UNSTAGE) or (step.kind is UNMOUNT and step.path == known.staging):
        return replace(known, staged=phase)
    targets = (replace(each, phase=phase) if each.path == step.path else each for each in known.targets)
    return replace(known, targets=tuple(targets))


def _doubted(phase: Phase) -> Phase:
    return BEGUN if phase is DONE else phase
