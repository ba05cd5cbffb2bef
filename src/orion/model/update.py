"""How the tasks of a job are exchanged for those of another version of it."""

import enum

import msgspec


class UpdateOrder(enum.StrEnum):
    AUTO = "auto"  # start-first where there is room for one more task, else stop-first
    START_FIRST = "start-first"  # the new task is ready before the former one is told to end
    STOP_FIRST = "stop-first"  # the former one has ended before the new one starts


class FailureAction(enum.StrEnum):
    """The consequence of a new task that fails."""

    ROLLBACK = "rollback"  # to the last version all tasks of which were ready
    PAUSE = "pause"
    CONTINUE = "continue"


class UpdatePolicy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`parallelism`: slots under way at a time; 0 is all. `delay_ms`: from one slot's end to the next one's
    beginning. `monitor_ms`: a task that is ready must stay so for this long. `min_available`: ready tasks never
    fall below it by an update's doing; -1 is as many as the order allows. `canary`: slots that are updated first,
    until somebody promotes the rest; with `auto_promote` that happens when they are ready. An update that makes no
    step for `progress_deadline_ms` has failed.
    """

    order: UpdateOrder = UpdateOrder.AUTO
    parallelism: int = 1
    delay_ms: int = 0
    monitor_ms: int = 5_000
    failure_action: FailureAction = FailureAction.ROLLBACK
    min_available: int = -1
    canary: int = 0
    auto_promote: bool = False
    progress_deadline_ms: int = 600_000

    def at_a_time(self, count: int) -> int:
        return min(self.parallelism, count) if self.parallelism else count

    def floor(self, count: int, *, stop_first: bool) -> int:
        """Returns how many tasks stay ready."""
        if self.min_available >= 0:
            return min(self.min_available, count)
        return count - self.at_a_time(count) if stop_first else count
