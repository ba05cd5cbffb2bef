"""Bugs planted in the way of a storage system's volumes, as planted.py has them of all else."""

from collections.abc import Callable

from msgspec.structs import replace

import orion.reconcile.claims
import orion.reconcile.csi_steps
import orion.state.tables.claims
from orion.model.csi_node import Phase, StepKind
from orion.node.agent.leases import Leases
from orion.node.routing.plugin_calls import Cleared
from orion.node.volumes.controller_calls import ControllerCalls
from orion.node.volumes.node_volumes import NodeVolumes
from orion.node.volumes.one_volume import OneVolume
from orion.node.volumes.task_volumes import TaskVolumes

# --- on one machine ----------------------------------------------------------------------------------------


def a_call_is_made_before_its_record() -> None:
    save = OneVolume._save

    async def only_what_is_done(self, known):
        phases = {known.staged, *(each.phase for each in known.targets)}
        if phases.isdisjoint({Phase.BEGUN, Phase.ENDING}):
            await save(self, known)

    OneVolume._save = only_what_is_done


def a_boot_is_not_noticed() -> None:
    orion.reconcile.csi_steps.after_boot = lambda known, _boot: known


def a_plugin_is_believed_that_it_is_away() -> None:
    steps = orion.reconcile.csi_steps
    steps._TARGET[False, Phase.LEFT, True] = StepKind.DROP
    steps._STAGED[False, Phase.LEFT, True] = StepKind.FORGET


def a_record_that_the_disk_keeps_is_given_up() -> None:
    """Nobody tries again to remove it."""
    run = OneVolume.run

    async def until_it_fails(self):
        forget = self._tools.records.forget

        async def once(folder):
            try:
                await forget(folder)
            except Exception:
                self.known = self.wanted = None
                raise

        tools = self._tools
        self._tools = type("Tools", (), {**vars(tools), "records": _With(tools.records, forget=once)})()
        await run(self)

    OneVolume.run = until_it_fails


class _With:
    """Something, with another method in the place of one of its own."""

    def __init__(self, of: object, **methods: Callable) -> None:
        self._of = of
        vars(self).update(methods)

    def __getattr__(self, name: str) -> object:
        return getattr(self._of, name)


def what_is_staged_goes_first() -> None:
    """A volume that has to go is unstaged under the tasks that have it."""
    leave = orion.reconcile.csi_steps._leave

    def staged_first(known, needed, seen):
        if not needed and known.staged is Phase.DONE:
            return orion.reconcile.csi_steps._staged_step(known, seen, needed=False)
        return leave(known, needed, seen)

    orion.reconcile.csi_steps._leave = staged_first


# --- claims ------------------------------------------------------------------------------------------------


def a_dead_node_is_not_waited_for() -> None:
    orion.reconcile.claims.SLACK_MS = -86_400_000


def tasks_go_on_without_the_cluster() -> None:
    """The keeper is told of times that are never over."""
    tell = Leases._tell

    async def for_long(self, until_ms, ended=()):
        await tell(self, {each: time_ms + 86_400_000 for each, time_ms in until_ms.items()}, ended)

    Leases._tell = for_long


def a_node_is_clear_before_it_has_heard() -> None:
    answer = TaskVolumes._answer_clear

    async def at_once(self, request, principal):
        found = self._claimed(request.volume)
        if found is None or found.claim.as_of != request.as_of:
            return Cleared(clear=True)
        return await answer(self, request, principal)

    TaskVolumes._answer_clear = at_once


def a_volume_is_taken_from_under_a_container() -> None:
    NodeVolumes._is_held = lambda self, _target: False


def a_late_copy_of_a_call_is_carried_out() -> None:
    """The controller's node goes by what it is told, not by the claim."""
    claimed = ControllerCalls._claimed
    known = {}

    async def as_told(self, request, phase):
        key = request.volume, request.node
        try:
            known[key] = await claimed(self, request, phase)
        except Exception:
            if key not in known:
                raise
        return known[key]

    ControllerCalls._claimed = as_told


def a_failed_unpublish_ends_the_claim() -> None:
    failed = ControllerCalls.failed

    def as_if_done(self, one, error, secrets):
        return replace(failed(self, one, error, secrets), failed="")

    ControllerCalls.failed = as_if_done


def two_nodes_claims_begin() -> None:
    orion.state.tables.claims.excludes = lambda *_, **__: False
    orion.reconcile.claims.excludes = lambda *_, **__: False
