"""How many seeds each planted bug takes to be found, for `script/sim --planted` and the teeth test."""

from collections.abc import Callable

import msgspec

from sim.planted import FIRST_SEED, MOST_SEEDS, PLANTED, Planted
from sim.runner import run_seeds
from sim.scenario import Outcome, run_seed
from sim.shrink import rule_of


class Trial(msgspec.Struct, frozen=True):
    """`seed`: the one that found it, None when none did. `others`: failures under rules that were not expected."""

    bug: Planted
    seed: int | None
    rule: str
    others: list[Outcome]


def attempt(bug: Planted, first: int, count: int, jobs: int = 1) -> Trial:
    """Seeds from `first` on until one fails by an expected rule."""

    bug.scenario.prepare()

    def live(seed: int) -> Outcome:
        bug.plant()
        return run_seed(seed, make=bug.scenario)

    def found(outcome: Outcome) -> bool:
        return rule_of(outcome) in bug.rules

    summary = run_seeds(
        first, seconds=3600, count=count, jobs=jobs, live=live, on_failure=lambda _: None, until=found
    )
    hits = sorted((o for o in summary.failures if found(o)), key=lambda o: o.seed)
    others = [o for o in summary.failures if not found(o)]
    return Trial(bug, hits[0].seed, rule_of(hits[0]), others) if hits else Trial(bug, None, "", others)


def print_table(say: Callable[[str], None], jobs: int, names: str = "") -> bool:
    """From one first seed for all, as a stranger would look for them. Returns whether all were found."""
    say(f"{'planted bug':<42}{'seeds needed':>13}  found by")
    complete = True
    for bug in PLANTED:
        if names not in bug.name:
            continue
        trial = attempt(bug, FIRST_SEED, MOST_SEEDS, jobs)
        complete = complete and trial.seed is not None
        needed = "none of " + str(MOST_SEEDS) if trial.seed is None else str(trial.seed - FIRST_SEED + 1)
        by = f"{trial.rule} (seed {trial.seed})" if trial.seed is not None else ""
        beside = f"; also failed: {', '.join(sorted({rule_of(o) for o in trial.others}))}" if trial.others else ""
        say(f"{bug.name:<42}{needed:>13}  {by}{beside}")
    return complete
