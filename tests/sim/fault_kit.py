"""What every kind of fault is made from: one position in a seed's schedule, with draws of its own, and the cluster
it strikes.
"""

import random
from collections.abc import Callable

from sim.cluster import Cluster, Machine
from sim.recovery import Recovery


class Kit:
    """Lives for a whole seed. `strike` tells which position of the schedule comes next."""

    def __init__(self, cluster: Cluster, recovery: Recovery) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.recovery = recovery
        self.over = False
        self.rng: random.Random = self.world.rng("strike")
        self.key = ""
        self.armed: dict[str, Armed] = {}  # machine -> the crash that is due at one of its next I/O boundaries
        self.drained: dict[str, None] = {}

    def strike(self, key: str) -> None:
        self.key, self.rng = key, self.world.rng("strike", key)

    # --- telling ------------------------------------------------------------------------------------------

    def did(self, what: str, detail: str = "", key: str = "") -> None:
        self.world.count(f"fault: {what}")
        self.world.trace("faults", f"{what} {detail}")
        self.world.happened(key or self.key, f"{what} {detail}".strip())

    # --- healing ------------------------------------------------------------------------------------------

    def heal_after(self, low_ms: float, high_ms: float, heal: Callable[..., object], *args: object) -> None:
        def do() -> None:
            if not self.over:
                heal(*args)

        self.world.after(self.rng.uniform(low_ms, high_ms), do)

    def down_for_a_while(self, machine: Machine, rng: random.Random | None = None) -> None:
        rng = rng or self.rng
        longest_ms = 10_000 if rng.random() < 0.3 else 1_500
        self.world.after(rng.uniform(20, longest_ms), self._boot, machine)

    def _boot(self, machine: Machine) -> None:
        if not self.over:
            machine.boot()

    # --- choosing -----------------------------------------------------------------------------------------

    def one(self) -> Machine | None:
        """Any machine that is up."""
        up = self.cluster.up()
        return self.rng.choice(up) if up else None

    def leader_or_any(self, share: float) -> Machine | None:
        return (self.cluster.leader() if self.rng.random() < share else None) or self.one()

    def loser(self) -> Machine | None:
        """One whose disk may be lost, a voter if there is one."""
        voters = self.recovery.latest_conf()[1].voters
        up = [m for m in self.cluster.up() if self.recovery.can_lose(m)]
        return self.rng.choice([m for m in up if m.raft in voters] or up) if up else None

    def hosts(self) -> list[str]:
        return [machine.host for machine in self.cluster.machines.values()]


class Armed:
    """A crash at an I/O boundary: at `point`, one of a text that `at_boundary` is told."""

    def __init__(self, point: str, key: str, rng: random.Random, *, torn: bool = False) -> None:
        self.point = point
        self.key = key
        self.rng = rng
        self.torn = torn


Fault = Callable[[Kit], None]
