"""A failing seed -> the shortest list of events that still fails by the same rule.

Delta debugging (Zeller's ddmin) over what happened in the seed: faults and client operations are left out in ever
smaller groups, and the safety phase is cut short. Events draw from generators of their own (events.py), so what is
left stays as it was; only what follows from it changes. Each try is a whole run in a process of its own.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from sim.events import Keep, shown
from sim.runner import run_seeds
from sim.scenario import Outcome, Scenario, replay

Plant = Callable[[], None]
AFTER_THE_LAST_S = 0.5  # the safety phase ends so long after the last event
AT_THE_END = ("liveness", "linearizable history", "linearizable reads")  # found out when all is over
SLACK = 1.5  # other failures are looked for so much longer than the first took


class Shrunk(msgspec.Struct, frozen=True):
    """`events`: how many there were at first; `tries`: runs that it took; `complete`: nothing more can be left out,
    one by one.
    """

    keep: Keep
    outcome: Outcome
    events: int
    tries: int
    complete: bool


class Shrinker:
    def __init__(
        self,
        seed: int,
        *,
        limit_s: float,
        jobs: int,
        plant: Plant = lambda: None,
        scenario: type[Scenario] = Scenario,
    ) -> None:
        self._seed = seed
        self._scenario = scenario
        self._limit_s = limit_s
        self._end = time.monotonic() + limit_s
        self._jobs = jobs
        self._plant = plant
        self._tries = 0
        self._best = Keep()
        self._all = 0
        self._until_s: float | None = None
        self._outcome: Outcome

    def shrink(self) -> Shrunk | None:
        """None when the seed does not fail."""
        outcome = self._first_failing([Keep()], rule=None)
        if outcome is None:
            return None
        self._outcome = outcome[1]
        self._all = len(self._outcome.happened)
        rule = rule_of(self._outcome)
        failed_s = self._outcome.virtual_s
        if rule not in AT_THE_END:
            self._until_s = SLACK * failed_s + 2.0
        self._try([Keep(None, round(failed_s, 3))], rule)  # the same run, without what would have come later
        self._try([self._only(self._keys())], rule)
        self._try([Keep(frozenset()), *self._one_sort_only()], rule)
        self._cut_short(rule)
        complete = self._minimize(rule)
        self._cut_short(rule)
        return Shrunk(self._best, self._outcome, self._all, self._tries, complete)

    # --- what to try --------------------------------------------------------------------------------------

    def _keys(self) -> list[str]:
        """Of what happened in the best run so far, in order; what is done to nobody can go at once."""
        return list(dict.fromkeys(event.key for event in self._outcome.happened))

    def _only(self, keys: Sequence[str]) -> Keep:
        return Keep(frozenset(keys), self._best.safety_s)

    def _one_sort_only(self) -> list[Keep]:
        events = self._outcome.happened
        return [self._only([e.key for e in events if e.is_fault == is_fault]) for is_fault in (True, False)]

    def _cut_short(self, rule: str) -> None:
        events = self._outcome.happened
        last_s = max((event.at_s for event in events), default=0.0)
        shorter = [1.0, last_s / 2, last_s, last_s + AFTER_THE_LAST_S]
        known_s = self._best.safety_s
        tries = [
            Keep(self._best.events, round(s, 3)) for s in shorter if s > 0 and (known_s is None or s < known_s)
        ]
        self._try(tries, rule)

    def _minimize(self, rule: str) -> bool:
        """True once no single event can be left out."""
        parts = 2
        while len(keys := self._keys()) > 1 or (keys and parts == 1):
            parts = min(parts, len(keys))
            size = -(-len(keys) // parts)
            chunks = [keys[i : i + size] for i in range(0, len(keys), size)]
            rests = [self._only([k for k in keys if k not in chunk]) for chunk in chunks]
            halves = [self._only(chunk) for chunk in chunks] if parts == 2 else []
            if self._try([*halves, *rests], rule):
                parts = max(2, parts - 1)
            elif parts >= len(keys):
                return time.monotonic() < self._end
            else:
                parts = 2 * parts
            if time.monotonic() >= self._end:
                return False
        return True

    # --- trying -------------------------------------------------------------------------------------------

    def _try(self, candidates: list[Keep], rule: str) -> bool:
        found = self._first_failing(candidates, rule)
        if found is None:
            return False
        self._best, self._outcome = found
        return True

    def _first_failing(self, candidates: list[Keep], rule: str | None) -> tuple[Keep, Outcome] | None:
        left_s = self._end - time.monotonic()
        if not candidates or left_s <= 0:
            return None

        def live(number: int) -> Outcome:
            self._plant()
            outcome = replay(self._seed, candidates[number], until_s=self._until_s, scenario=self._scenario)
            outcome.seed = number
            return outcome

        def fits(outcome: Outcome) -> bool:
            return bool(outcome.failure) and rule in (None, rule_of(outcome))

        summary = run_seeds(
            0,
            seconds=left_s,
            jobs=self._jobs,
            count=len(candidates),
            live=live,
            on_failure=lambda _: None,
            until=fits,
        )
        self._tries += summary.seeds
        hits = sorted((o for o in summary.failures if fits(o)), key=lambda o: o.seed)
        if not hits:
            return None
        keep = candidates[hits[0].seed]
        hits[0].seed = self._seed
        return keep, hits[0]


def rule_of(outcome: Outcome) -> str:
    return outcome.failure.partition(":")[0]


def told(shrunk: Shrunk, plant_words: str = "") -> str:
    """The list, and the command that replays exactly it."""
    keep, outcome = shrunk.keep, shrunk.outcome
    lines = [f"{event.at_s:12.6f} s  {event.key:<18} {event.what}" for event in outcome.happened]
    command = f"script/sim --seed {outcome.seed}"
    if plant_words:
        command += f" --plant '{plant_words}'"
    if keep.events is not None:
        command += f" --only '{shown(keep.events)}'"
    if keep.safety_s is not None:
        command += f" --safety {keep.safety_s:g}"
    how = "none of them can be left out" if shrunk.complete else "more could perhaps be left out, with more time"
    return "\n".join(
        [
            f"{outcome.failure}",
            f"{len(lines)} of {shrunk.events} events are left after {shrunk.tries} runs; {how}:",
            *lines,
            f"again: {command}",
        ]
    )
