"""One volume on this node: a call at a time, until all is as wanted."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from orion.model.csi import NEVER, FailureKind, NodeFeature, SizeRange
from orion.model.csi_node import CALLS, UNDOING, KnownVolume, Phase, Step, StepKind, WantedVolume
from orion.model.errors import OrionError
from orion.node.runtime.isolation import UNFORESEEN
from orion.node.volumes.one_plugin import OnePlugin
from orion.node.volumes.plugins import Plugins
from orion.ports.csi import CsiFailed, CsiPlugin
from orion.ports.csi_records import CsiRecords
from orion.ports.mounts import Mounts
from orion.reconcile import csi_steps

log = logging.getLogger(__name__)

_AWAY = frozenset({StepKind.UNPUBLISH, StepKind.UNMOUNT, StepKind.DROP})
FIRST_AGAIN_S = 0.5
LONGEST_AGAIN_S = 60.0


class Tools:
    """All that a volume's runner needs, and how many calls this node makes at once."""

    def __init__(self, plugins: Plugins, mounts: Mounts, records: CsiRecords, calls_at_once: int) -> None:
        self.plugins = plugins
        self.mounts = mounts
        self.records = records
        self.calls = asyncio.Semaphore(calls_at_once)


class OneVolume:
    """`wanted` None: it has to go. `why`: why it is not as wanted, "" when it is. `known` None: nothing is left of
    it here.
    """

    def __init__(
        self,
        folder: str,
        known: KnownVolume,
        tools: Tools,
        on_change: asyncio.Event,
        is_held: Callable[[str], bool],
    ) -> None:
        self.known: KnownVolume | None = known
        self.wanted: WantedVolume | None = None
        self.why = ""
        self.settled = False
        self.held = False  # by a container, which is to end first
        self._folder = folder
        self._words = f"volume {known.id}"  # for the log
        self._fresh = KnownVolume(known.plugin, known.id, staging=known.staging)
        self._saved = known  # as it is on the disk, which has no record of one that is fresh
        self._seen: list[str] = []  # mounted, at the last look
        self._tools = tools
        self._on_change = on_change
        self._is_held = is_held
        self._look = asyncio.Event()
        self._again_s = FIRST_AGAIN_S
        # What will never be taken, and by which generation of the plugin.
        self._refused: tuple[int, WantedVolume | None] | None = None

    @property
    def directory(self) -> str:
        return f"{self._tools.records.directory}/{self._folder}"

    @property
    def gone(self) -> bool:
        return self.known is None and self.wanted is None

    def ready(self, path: str) -> bool:
        """Returns whether a task may use this path now: published on the terms that are wanted, and seen mounted by
        this process: what a record says may have been before the machine started.
        """
        known, wanted = self.known, self.wanted
        if path not in self._seen or known is None or wanted is None:
            return False
        if known.made_for != csi_steps.terms(wanted):
            return False
        readonly = {each.path: each.readonly for each in wanted.targets}
        return path in readonly and any(
            each.path == path and each.phase is Phase.DONE and each.readonly == readonly[path]
            for each in known.targets
        )

    def want(self, wanted: WantedVolume | None) -> None:
        if wanted is not None and wanted.name:
            self._words = f"volume {wanted.name} ({wanted.id})"
        if wanted != self.wanted:
            self.wanted = wanted
            self.settled = False
            self._again_s = FIRST_AGAIN_S
            self._look.set()

    def release(self) -> None:
        """Has it looked at again whether a container still uses what is to go."""
        if self.held:
            self._look.set()

    def look(self) -> None:
        """Has the kernel and the plugin looked at again."""
        self._look.set()

    async def run(self) -> None:
        """Returns when nothing is left of it. Cancelled, it leaves a record of the call that was under way."""
        while not self.gone:
            self._look.clear()
            self.known = self.known or self._fresh
            try:
                going_on = await self._one_step(self.known)
                if not going_on:
                    self._settle()
            except OrionError as error:
                going_on = False
                await self._failed(error.detail, error)
            except UNFORESEEN as error:
                log.exception("a bug in Orion, with %s", self._words)
                going_on = False
                await self._failed(f"a bug in Orion ({type(error).__name__}: {error})", None)
            if not going_on and not self.gone and not self.why:
                await self._look.wait()

    async def _one_step(self, known: KnownVolume) -> bool:
        """Returns whether there was a step. Raises OrionError."""
        tools, wanted = self._tools, self.wanted
        boot = tools.mounts.boot_id()
        known = self.known = csi_steps.after_boot(known, boot) if known.boot else known
        plugin = tools.plugins.node_part(known.plugin)
        features = (plugin.state.node if plugin else None) or frozenset()
        seen = self._seen = await tools.mounts.points_below(self.directory)
        if plugin is None and wanted is not None:
            raise _Waits(tools.plugins.why_not(known.plugin))
        step = csi_steps.next_step(wanted, known, seen, features)
        if step is None:
            await self._save(known)
            return False
        if step.kind in _AWAY and step.path and self._is_held(step.path):
            self.held = True
            raise _Waits(f"a container may use it at {step.path}")
        self.held = False
        if step.kind in CALLS:
            if plugin is None:
                raise _Waits(tools.plugins.why_not(known.plugin))
            if step.kind not in UNDOING and self._refused == (plugin.generation, wanted):
                raise _Waits(self.why)
        await self._take(step, csi_steps.begun(known, step, wanted, boot), wanted, plugin)
        self._on_change.set()
        return True

    async def _take(
        self, step: Step, known: KnownVolume, wanted: WantedVolume | None, plugin: OnePlugin | None
    ) -> None:
        tools = self._tools
        if step.kind in CALLS:
            await self._save(known)
            self.known = known
        try:
            if step.kind is StepKind.UNMOUNT:
                await tools.mounts.unmount(step.path)
            elif step.kind in CALLS:
                assert plugin is not None, "it was asked for before"
                assert plugin.plugin is not None, "it works"
                async with tools.calls:
                    await self._call(plugin.plugin, step, known, wanted, plugin.state.node or frozenset())
        except CsiFailed as error:
            self.known, fine = csi_steps.failed(known, step, error.kind)
            if not fine:
                assert plugin is not None, "somebody has failed"
                if error.kind in NEVER and error.kind is not FailureKind.CONFLICT:
                    self._refused = plugin.generation, wanted
                if error.kind in (FailureKind.RETRY, FailureKind.LIE):
                    plugin.doubt()
                raise
            return
        if step.kind is StepKind.FORGET:  # not before the disk has: else nobody would try again
            await tools.records.forget(self._folder)
            self._saved = self._fresh
        self.known = csi_steps.done(known, step, wanted.size_bytes if wanted else 0)
        if step.kind is StepKind.DROP:
            await tools.mounts.remove_directory(step.path)

    async def _save(self, known: KnownVolume) -> None:
        """Before each call, and in the end. That a call has succeeded needs no record of its own: without one it is
        made again.
        """
        if known != self._saved:
            await self._tools.records.save(self._folder, known)
            self._saved = known

    async def _call(
        self,
        plugin: CsiPlugin,
        step: Step,
        known: KnownVolume,
        wanted: WantedVolume | None,
        features: frozenset[NodeFeature],
    ) -> None:
        volume, staging = known.id, known.staging
        if step.kind is StepKind.UNPUBLISH:
            await plugin.unpublish(volume, step.path)
        elif step.kind is StepKind.UNSTAGE:
            await plugin.unstage(volume, staging)
        if wanted is None:
            return
        staged = staging if NodeFeature.STAGE_UNSTAGE_VOLUME in features else ""
        if step.kind is StepKind.STAGE:
            await self._tools.mounts.make_directory(staging)
            terms = {"published": wanted.published, "context": wanted.context}
            await plugin.stage(volume, staging, wanted.access, secrets=wanted.secrets, **terms)
        elif step.kind is StepKind.PUBLISH:
            await self._publish(plugin, step.path, staged, wanted)
        elif step.kind is StepKind.EXPAND:
            size = SizeRange(wanted.size_bytes)
            secrets, access = wanted.secrets, wanted.access
            await plugin.expand(volume, step.path, size, staging=staged, access=access, secrets=secrets)

    async def _publish(self, plugin: CsiPlugin, path: str, staging: str, wanted: WantedVolume) -> None:
        """Succeeds once the kernel shows it: a task must not write into a directory of this node's instead."""
        mounts = self._tools.mounts
        await mounts.make_directory(path.rpartition("/")[0])
        await plugin.publish(
            wanted.id,
            path,
            wanted.access,
            staging=staging,
            readonly=any(each.path == path and each.readonly for each in wanted.targets),
            published=wanted.published,
            context=wanted.context,
            secrets=wanted.secrets,
        )
        self._seen = await mounts.points_below(self.directory)
        if path not in self._seen:
            raise CsiFailed(
                f"plugin {wanted.plugin}: NodePublishVolume for volume {wanted.id} was answered OK, and nothing is"
                f" mounted at {path}. No task gets it so: look for a newer version of the plugin",
                FailureKind.LIE,
            )

    def _settle(self) -> None:
        """Only now waits begin anew: a call that succeeds between two that fail is no progress."""
        if not self.settled:
            self._on_change.set()
        self.settled, self._again_s = True, FIRST_AGAIN_S
        self._say("")

    async def _failed(self, words: str, error: OrionError | None) -> None:
        """Waits for as long as it was tried already, or until something changes."""
        waits = isinstance(error, _Waits)
        self._say(words, logging.INFO if waits else logging.WARNING)
        self.settled = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_AGAIN_S if waits else self._again_s):
                await self._look.wait()
        self._again_s = min(self._again_s * 2, LONGEST_AGAIN_S)

    def _say(self, why: str, level: int = logging.INFO) -> None:
        if why != self.why:
            self.why = why
            if why:
                log.log(level, "%s: %s", self._words, why)
            self._on_change.set()


class _Waits(OrionError):
    """Nothing can be done before something else changes."""
