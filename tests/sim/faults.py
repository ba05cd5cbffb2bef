"""What goes wrong, when, and for how long: a schedule drawn from the seed.

Each seed turns on some kinds of faults and leaves others off, because a run with everything at once hides what only
shows when one thing fails again and again. Each fault is counted, so that one that never happens is seen.
"""

import asyncio
from collections.abc import Callable

import msgspec

from orion.model.errors import OrionError
from sim.cluster import Cluster, ConnectionLost, Machine, Run
from sim.disk import SimLog
from sim.loop import ProcessState
from sim.network import CALM, Path, Quality

MEAN_PAUSES_MS = (250, 1_000, 1_000, 4_000)  # between two faults: each seed draws one

Act = Callable[[], None]


class Faults:
    """Started with `begin`; `end` heals everything and restarts who is down."""

    def __init__(self, cluster: Cluster, late: list[Machine]) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self._late = late  # machines that join while faults go on
        self._rng = self.world.rng("faults")
        self._heal_rng = self.world.rng("faults", "duration")
        self._boundary_rng = self.world.rng("faults", "boundary")
        self._over = False
        self._drained: dict[str, None] = {}
        self._wiped = False
        self._armed: dict[str, str] = {}  # machine -> what kind of crash is due at its next I/O boundary
        self._mean_pause_ms = self._rng.choice(MEAN_PAUSES_MS)
        self._kinds = self._choose_kinds()
        cluster.at_boundary = self._at_boundary
        cluster.on_gone = self._on_gone

    def _choose_kinds(self) -> list[Act]:
        every: list[Act] = [
            self.bad_network,
            self.split,
            self.isolate,
            self.one_way,
            self.bridge,
            self.slow_path,
            self.kill,
            self.kill_leader,
            self.lose_power,
            self.crash_at_boundary,
            self.stall,
            self.stall_leader,
            self.planned_stop,
            self.transfer_leader,
            self.engine_down,
            self.engine_flaky,
            self.container_dies,
            self.slow_disk,
            self.lose_gossip_events,
            self.drain,
            self.wipe,
        ]
        if self._rng.random() < 0.2:
            return every
        return self._rng.sample(every, self._rng.randint(2, 8))

    def begin(self) -> None:
        kinds = " ".join(kind.__name__ for kind in self._kinds)
        self.world.trace("faults", f"one in {self._mean_pause_ms} ms of: {kinds}")
        if self._rng.random() < 0.3:
            self._quality(self._draw_quality())
        for machine in self._late:
            self.world.after(self._rng.uniform(500, 15_000), self._join_late, machine)
        self._next()

    def end(self) -> None:
        self._over = True
        self._armed.clear()
        cluster = self.cluster
        cluster.network.quality = CALM
        cluster.network.slow_paths.clear()
        cluster.network.cut(set())
        cluster.gossip.lose_events = 0.0
        for engine in cluster.engines.values():
            engine.faults, engine.slowness = 0.0, 1.0
            if engine.down:
                engine.come_up()
        for machine in cluster.machines.values():
            machine.disk.slowness = 1.0
            if machine.run is None:
                machine.boot()
            else:
                machine.run.process.resume()
        for name in self._drained:
            self.world.spawn(self._keep_undrained(cluster.machines[name]), name="undrain")
        self.world.trace("faults", "over")

    def _on_gone(self, machine: Machine, run: Run) -> None:
        """A planned stop that was asked for while faults went on may end after them."""
        if self._over:
            self.world.after(500, machine.boot)

    def _next(self) -> None:
        pause_ms = self._rng.expovariate(1 / self._mean_pause_ms)
        self.world.after(pause_ms, self._strike)

    def _strike(self) -> None:
        if self._over:
            return
        self._rng.choice(self._kinds)()
        self._next()

    def _join_late(self, machine: Machine) -> None:
        if not self._over:
            self._did("node joins late", machine.name)
            machine.boot()

    # --- tools --------------------------------------------------------------------------------------------

    def _did(self, what: str, detail: str = "") -> None:
        self.world.count(f"fault: {what}")
        self.world.trace("faults", f"{what} {detail}")

    def _heal_after(self, low_ms: float, high_ms: float, heal: Callable[..., object], *args: object) -> None:
        def do() -> None:
            if not self._over:
                heal(*args)

        self.world.after(self._heal_rng.uniform(low_ms, high_ms), do)

    def _one(self) -> Machine | None:
        up = self.cluster.up()
        return self._rng.choice(up) if up else None

    def _hosts(self) -> list[str]:
        return [machine.host for machine in self.cluster.machines.values()]

    # --- network ------------------------------------------------------------------------------------------

    def _draw_quality(self) -> Quality:
        rng = self._rng
        return Quality(
            latency_ms=rng.choice(((0.1, 1.5), (0.1, 1.5), (1.0, 20.0), (5.0, 80.0))),
            loss=rng.choice((0.0, 0.01, 0.05, 0.3)),
            duplicate=rng.choice((0.0, 0.02, 0.2)),
            reorder=rng.choice((0.0, 0.05, 0.3)),
            reorder_ms=rng.choice((5.0, 50.0, 400.0)),
            replay=rng.choice((0.0, 0.02, 0.1)),
        )

    def _quality(self, quality: Quality) -> None:
        self.cluster.network.quality = quality

    def bad_network(self) -> None:
        quality = self._draw_quality()
        self._did("bad network", str(msgspec.structs.astuple(quality)))
        self._quality(quality)
        self._heal_after(500, 6_000, self._quality, CALM)

    def slow_path(self) -> None:
        one, other = self._two_hosts()
        self._did("slow path", f"{one} {other}")
        self.cluster.network.slow_paths[(one, other)] = self._rng.uniform(20, 300)
        self._heal_after(500, 5_000, self.cluster.network.slow_paths.clear)

    def _two_hosts(self) -> tuple[str, str]:
        hosts = self._hosts()
        if len(hosts) == 1:
            return hosts[0], hosts[0]
        one, other = self._rng.sample(hosts, 2)
        return one, other

    def _partition(self, kind: str, paths: set[Path], detail: str) -> None:
        self._did(kind, detail)
        self.cluster.network.cut(paths)
        self._heal_after(300, 7_000, self.cluster.network.cut, set())

    def split(self) -> None:
        hosts = self._hosts()
        self._rng.shuffle(hosts)
        at = self._rng.randint(1, max(1, len(hosts) - 1))
        self._partition("partition", _between(hosts[:at], hosts[at:]), " ".join(hosts[:at]))

    def isolate(self) -> None:
        machine = self.cluster.leader() or self._one()
        if machine is not None:
            others = [host for host in self._hosts() if host != machine.host]
            self._partition("leader cut off", _between([machine.host], others), machine.name)

    def one_way(self) -> None:
        """Everything from one host is lost, or everything to it."""
        machine = self.cluster.leader() if self._rng.random() < 0.5 else self._one()
        if machine is None:
            return
        others = [host for host in self._hosts() if host != machine.host]
        outward = self._rng.random() < 0.5
        paths = {(machine.host, o) if outward else (o, machine.host) for o in others}
        self._partition("one-way partition", paths, f"{'from' if outward else 'to'} {machine.name}")

    def bridge(self) -> None:
        """Two halves that share one host: it reaches everybody, the halves do not reach each other."""
        hosts = self._hosts()
        self._rng.shuffle(hosts)
        middle, *rest = hosts
        half = len(rest) // 2
        self._partition("bridge partition", _between(rest[:half], rest[half:]), f"over {middle}")

    # --- processes ----------------------------------------------------------------------------------------

    def _down_for_a_while(self, machine: Machine) -> None:
        long = self._heal_rng.random() < 0.3
        self._heal_after(20, 10_000 if long else 1_500, machine.boot)

    def kill(self) -> None:
        if machine := self._one():
            self._did("kill -9", machine.name)
            machine.kill()
            self._down_for_a_while(machine)

    def kill_leader(self) -> None:
        if machine := self.cluster.leader():
            self._did("kill -9 of the leader", machine.name)
            machine.kill()
            self._down_for_a_while(machine)

    def lose_power(self) -> None:
        """Of one machine, or of all at once."""
        victims = self.cluster.up() if self._rng.random() < 0.1 else [m for m in (self._one(),) if m]
        for machine in victims:
            self._did("power lost", machine.name)
            machine.kill(power=True)
            for held in machine.engine.running():
                machine.engine.end(held, 137, "")
            self._down_for_a_while(machine)

    def crash_at_boundary(self) -> None:
        machine = self.cluster.leader() if self._rng.random() < 0.5 else self._one()
        if machine is not None:
            self._armed[machine.name] = self._rng.choice(("before", "written", "synced"))

    def _at_boundary(self, log: SimLog, point: str) -> None:
        armed = self._armed.get(log.process.name)
        if armed is None or armed not in point or self._boundary_rng.random() < 0.3:
            return
        del self._armed[log.process.name]
        machine = self.cluster.machines[log.process.name]
        power = self._boundary_rng.random() < 0.5
        self._did(f"crash with I/O {armed}", f"{machine.name} {point}")
        machine.kill(power=power)
        self._down_for_a_while(machine)

    def _stall(self, machine: Machine | None, what: str) -> None:
        if machine is None or machine.run is None:
            return
        process = machine.run.process
        if process.state is ProcessState.RUNNING:
            self._did(what, machine.name)
            process.stall()
            self._heal_after(100, 4_000, process.resume)

    def stall(self) -> None:
        self._stall(self._one(), "process stalled")

    def stall_leader(self) -> None:
        self._stall(self.cluster.leader(), "leader stalled")

    def planned_stop(self) -> None:
        machine = self.cluster.leader() if self._rng.random() < 0.4 else self._one()
        if machine is not None and machine.run is not None:
            self._did("planned stop", machine.name)
            machine.stop()
            self._heal_after(1_000, 8_000, machine.boot)

    def transfer_leader(self) -> None:
        if machine := self._one():
            self._did("leader transfer", machine.name)
            self.world.spawn(self._transfer(machine), name="transfer")

    async def _transfer(self, machine: Machine) -> None:
        try:
            await machine.ask(lambda service: service.transfer_leader("", timeout_s=3.0))
        except (OrionError, ConnectionLost) as error:
            self.world.trace("faults", f"leader transfer: {type(error).__name__}")

    def drain(self) -> None:
        """An operator drains a node, and thinks better of it later."""
        if machine := self._one():
            self._did("node drained", machine.name)
            self._drained[machine.name] = None
            self.world.spawn(self._set_draining(machine, draining=True), name="drain")
            self._heal_after(1_000, 8_000, self._undrain, machine)

    def _undrain(self, machine: Machine) -> None:
        self.world.spawn(self._set_draining(machine, draining=False), name="undrain")

    async def _set_draining(self, machine: Machine, *, draining: bool) -> None:
        """Until it is done, whichever node takes the word."""
        rng = self.world.rng("operator", machine.name, self.world.now_ms)
        while not (draining and self._over):
            through = rng.choice(list(self.cluster.machines.values()))
            try:
                await through.ask(lambda s: s.drain(machine.name, draining=draining, timeout_s=2.0))
            except (OrionError, ConnectionLost):
                await asyncio.sleep(0.5)
            else:
                return

    async def _keep_undrained(self, machine: Machine) -> None:
        """A drain that was not answered may yet come true: look again before believing that it did not."""
        while True:
            await self._set_draining(machine, draining=False)
            await asyncio.sleep(3.0)

    def wipe(self) -> None:
        """A machine loses its disk and comes back under its name as a new member. Once, and only of three voters or
        more: two such losses at once may lose what was acknowledged, whatever anybody does.
        """
        leader = self.cluster.leader()
        if self._wiped or leader is None or leader.node is None:
            return
        conf = leader.node.driver.raft.status().conf
        victims = [m for m in self.cluster.up() if not m.config.bootstrap and m is not leader]
        if len(conf.voters) < 3 or conf.voters_outgoing or not victims:
            return
        self._wiped = True
        machine = self._rng.choice(victims)
        self._did("disk wiped", machine.name)
        machine.kill()
        machine.wipe()
        self._down_for_a_while(machine)

    def slow_disk(self) -> None:
        if machine := self._one():
            self._did("slow disk", machine.name)
            machine.disk.slowness = self._rng.choice((5.0, 30.0, 100.0))
            self._heal_after(500, 4_000, setattr, machine.disk, "slowness", 1.0)

    # --- engines and gossip -------------------------------------------------------------------------------

    def _engine(self):
        return self._rng.choice(list(self.cluster.engines.values()))

    def engine_down(self) -> None:
        engine = self._engine()
        if not engine.down:
            self._did("engine down", engine.id)
            engine.go_down(containers_die=self._rng.random() < 0.5)
            self._heal_after(200, 5_000, engine.come_up)

    def engine_flaky(self) -> None:
        engine = self._engine()
        self._did("engine flaky", engine.id)
        engine.faults, engine.slowness = self._rng.choice((0.1, 0.5)), self._rng.choice((1.0, 5.0))
        self._heal_after(500, 5_000, _calm_engine, engine)

    def container_dies(self) -> None:
        engine = self._engine()
        running = engine.running()
        if running:
            held = self._rng.choice(running)
            self._did("container dies", held.name)
            engine.end(held, 137, "")

    def lose_gossip_events(self) -> None:
        self._did("gossip events lost")
        self.cluster.gossip.lose_events = 0.3
        self._heal_after(500, 5_000, setattr, self.cluster.gossip, "lose_events", 0.0)


def _calm_engine(engine) -> None:
    engine.faults, engine.slowness = 0.0, 1.0


def _between(some: list[str], others: list[str]) -> set[Path]:
    return {path for a in some for b in others for path in ((a, b), (b, a))}
