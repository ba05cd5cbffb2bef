"""What goes wrong and when: a schedule drawn from the seed.

Each seed turns on some kinds of faults and leaves others off, because a run with everything at once hides what only
shows when one thing fails again and again. Times and kinds are drawn beforehand, the rest by each position of the
schedule from a generator of its own, so that a replay may leave some out (events.py).
"""

from sim import faults_disk, faults_network, faults_outside, faults_process
from sim.cluster import Cluster, Machine, Run
from sim.events import Keep, fault_key
from sim.fault_kit import Fault, Kit
from sim.network import CALM
from sim.recovery import Recovery

MEAN_PAUSES_MS = (250, 1_000, 1_000, 4_000)  # between two faults: each seed draws one
EVERY: tuple[Fault, ...] = (
    *faults_network.FAULTS,
    *faults_process.FAULTS,
    *faults_disk.FAULTS,
    *faults_outside.FAULTS,
)


class Faults:
    """Started with `begin`; `end` heals everything and restarts who is down. `late` machines join in between."""

    def __init__(self, cluster: Cluster, late: list[Machine], recovery: Recovery, keep: Keep) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.kit = Kit(cluster, recovery)
        self._late = late
        self._keep = keep
        self._rng = self.world.rng("faults")
        self.mean_pause_ms = self._rng.choice(MEAN_PAUSES_MS)
        self._kinds = self._choose_kinds()
        self._number = 0
        cluster.at_boundary = lambda log, point: faults_process.at_boundary(self.kit, log, point)
        cluster.on_gone = self._on_gone

    def _choose_kinds(self) -> list[Fault]:
        if self._rng.random() < 0.2:
            return list(EVERY)
        return self._rng.sample(EVERY, self._rng.randint(2, 9))

    # --- the schedule -------------------------------------------------------------------------------------

    def begin(self) -> None:
        kinds = " ".join(kind.__name__ for kind in self._kinds)
        self.world.trace("faults", f"one in {self.mean_pause_ms} ms of: {kinds}")
        bad_from_the_start = self._rng.random() < 0.3
        self._strike(faults_network.bad_network if bad_from_the_start else None)
        for machine in self._late:
            self.world.after(self._rng.uniform(500, 15_000), self._strike, self._join_late(machine))
        self._next()

    def _next(self) -> None:
        self.world.after(self._rng.expovariate(1 / self.mean_pause_ms), self._scheduled)

    def _scheduled(self) -> None:
        if not self.kit.over:
            self._strike(self._rng.choice(self._kinds))
            self._next()

    def _strike(self, fault: Fault | None) -> None:
        key, self._number = fault_key(self._number), self._number + 1
        if fault is not None and not self.kit.over and self._keep.takes(key):
            self.kit.strike(key)
            fault(self.kit)

    def _join_late(self, machine: Machine) -> Fault:
        def join(kit: Kit) -> None:
            kit.did("node joins late", machine.name)
            machine.boot()

        return join

    # --- the end ------------------------------------------------------------------------------------------

    def end(self) -> None:
        kit, cluster = self.kit, self.cluster
        kit.over = True
        kit.armed.clear()
        cluster.network.quality = CALM
        cluster.network.slow_paths.clear()
        cluster.network.lose_nothing()
        cluster.network.cut(set())
        cluster.gossip.lose_events = 0.0
        for engine in cluster.engines.values():
            faults_outside.calm_engine(engine)
            if engine.down:
                engine.come_up()
        for machine in cluster.machines.values():
            machine.disk.heal()
            machine.clock.drift(1.0)
            machine.clock.set_wall(0)
            if machine.run is None:
                machine.boot()
            else:
                machine.run.process.resume()
        for name in kit.drained:
            self.world.spawn(faults_outside.keep_undrained(kit, cluster.machines[name]), name="undrain")
        self.world.trace("faults", "over")

    def _on_gone(self, machine: Machine, run: Run) -> None:
        """A planned stop that was asked for while faults went on may end after them."""
        if self.kit.over:
            self.world.after(500, machine.boot)
