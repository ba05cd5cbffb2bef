"""The duties that there are. Another is one more file, and one more line in `leader_and_voters`."""

from collections.abc import Awaitable, Callable, MutableSet

from orion.model.ids import JobName, NodeId, RaftId
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.claims import ClaimsDuty
from orion.node.leader.cluster_watch import ClusterWatch
from orion.node.leader.collection import Collection
from orion.node.leader.controllers import Controllers
from orion.node.leader.cron import Cron
from orion.node.leader.deployments import Deployments
from orion.node.leader.heard import Heard
from orion.node.leader.leader import Leader
from orion.node.leader.moves import Moving
from orion.node.leader.node_health import NodeHealth
from orion.node.leader.proposer import Proposer
from orion.node.leader.scheduling import Scheduling
from orion.node.leader.storage import Storage
from orion.node.leader.subnets import SubnetLeases
from orion.node.leader.system import System
from orion.node.leader.volume_moves import VolumeMoves
from orion.node.leader.volume_turns import VolumeTurns
from orion.node.leader.voters import Voters
from orion.node.membership.directory import Directory
from orion.node.membership.liveness import Liveness
from orion.node.routing.forward import Forward
from orion.ports.clock import Clock
from orion.ports.machine import Machine
from orion.ports.peers import Peers
from orion.process.config import Tuning


def leader_and_voters(
    *,
    me: NodeId,
    raft: RaftId,
    tuning: Tuning,
    clock: Clock,
    machine: Machine,
    driver: RaftDriver,
    directory: Directory,
    peers: Peers,
    forward: Forward,
    gossip_changed: Callable[[], Awaitable[None]],
    begun_moves: MutableSet[JobName],
) -> tuple[Leader, Voters]:
    """The leader with all its duties; and the one of them that is asked what it will do next."""
    proposer = Proposer(driver)
    heard = Heard(driver, tuning)
    liveness = Liveness(
        me=me,
        peers=peers,
        directory=directory,
        view=lambda: driver.view,
        gossip_changed=gossip_changed,
        hears=heard.hears,
        hears_others=heard.hears_others,
        changed=driver.watch.nudge,
    )
    cluster = ClusterWatch(driver, directory, liveness)
    turns, controllers = VolumeTurns(driver.watch.nudge), Controllers(driver)
    voters = Voters(raft=raft, tuning=tuning, clock=clock, driver=driver, cluster=cluster)
    duties = (
        NodeHealth(
            stop_grace_ms=tuning.stop_grace_ms,
            clock=clock,
            driver=driver,
            directory=directory,
            liveness=liveness,
            cluster=cluster,
            proposer=proposer,
        ),
        liveness,
        Scheduling(clock=clock, driver=driver, proposer=proposer),
        Deployments(clock=clock, driver=driver, proposer=proposer, forward=forward),
        Moving(clock=clock, driver=driver, proposer=proposer, begun=begun_moves),
        System(clock=clock, driver=driver, proposer=proposer),
        SubnetLeases(clock=clock, driver=driver, proposer=proposer),
        ClaimsDuty(
            clock=clock,
            driver=driver,
            proposer=proposer,
            forward=forward,
            turns=turns,
            controllers=controllers,
        ),
        VolumeMoves(clock=clock, driver=driver, proposer=proposer, forward=forward),
        Storage(
            clock=clock,
            driver=driver,
            proposer=proposer,
            forward=forward,
            turns=turns,
            controllers=controllers,
        ),
        Cron(clock=clock, driver=driver, proposer=proposer),
        Collection(clock=clock, driver=driver, proposer=proposer),
        voters,
    )
    leader = Leader(clock=clock, machine=machine, driver=driver, proposer=proposer, duties=duties)
    return leader, voters
