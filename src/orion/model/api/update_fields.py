"""How a job's tasks are exchanged for those of another version, in JSON."""

from typing import Annotated, Any

import msgspec

from orion.model.api.fields import Reading, schema
from orion.model.errors import shown
from orion.model.update import FailureAction, UpdateOrder, UpdatePolicy

MAX_UPDATE_S = 30 * 86_400
MAX_AT_A_TIME = 1_000_000


class UpdateRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """How tasks are exchanged for those of another version."""

    order: Annotated[
        str,
        schema(
            "start-first: a new task is ready before the former one ends; stop-first: the former one has ended "
            "before the new one starts; auto: start-first where there is room for one more, else stop-first.",
            enum=[*UpdateOrder],
        ),
    ] = UpdateOrder.AUTO.value
    parallelism: Annotated[int, schema("Tasks under way at a time; 0: all.", minimum=0, maximum=MAX_AT_A_TIME)] = 1
    delay_seconds: Annotated[
        float, schema("From the end of one to the beginning of the next.", minimum=0, maximum=MAX_UPDATE_S)
    ] = 0.0
    monitor_seconds: Annotated[
        float,
        schema("A new task must stay ready so long before it counts.", minimum=0, maximum=MAX_UPDATE_S),
    ] = 5.0
    failure_action: Annotated[
        str,
        schema(
            "When a new task fails: rollback to the last version all tasks of which were ready, pause, or "
            "continue.",
            enum=[*FailureAction],
        ),
    ] = FailureAction.ROLLBACK.value
    min_available: Annotated[
        int | None,
        schema(
            "Ready tasks never fall below it by an update's doing. Null: none is missed start-first, and "
            "parallelism of them stop-first.",
            minimum=0,
            maximum=MAX_AT_A_TIME,
        ),
    ] = None
    progress_deadline_seconds: Annotated[
        float,
        schema("An update that makes no step for so long has failed.", minimum=1, maximum=MAX_UPDATE_S),
    ] = 600.0
    canary: Annotated[
        int,
        schema("Tasks that are updated first, until the rest is promoted.", minimum=0, maximum=MAX_AT_A_TIME),
    ] = 0
    auto_promote: Annotated[bool, schema("The rest follows by itself once the canaries are ready.")] = False


def read_update(asked: UpdateRequest, reading: Reading) -> UpdatePolicy:
    """Returns the policy, whether it is right or not."""
    _refuse_word(asked.order, UpdateOrder, reading, "order")
    _refuse_word(asked.failure_action, FailureAction, reading, "failureAction")
    counts = (("parallelism", asked.parallelism), ("canary", asked.canary), ("minAvailable", asked.min_available))
    for name, count in counts:
        if count is not None and not 0 <= count <= MAX_AT_A_TIME:
            reading.wrong(f"{name} is {count:,}: give 0 to {MAX_AT_A_TIME:,}", name)
    seconds = (
        ("delaySeconds", asked.delay_seconds, 0),
        ("monitorSeconds", asked.monitor_seconds, 0),
        ("progressDeadlineSeconds", asked.progress_deadline_seconds, 1),
    )
    for name, value, least in seconds:
        if not least <= value <= MAX_UPDATE_S:
            reading.wrong(f"{name} is {value:g}: give {least} to {MAX_UPDATE_S:,}", name)
    if reading.errors:
        return UpdatePolicy()
    return UpdatePolicy(
        UpdateOrder(asked.order),
        asked.parallelism,
        round(asked.delay_seconds * 1000),
        round(asked.monitor_seconds * 1000),
        FailureAction(asked.failure_action),
        -1 if asked.min_available is None else asked.min_available,
        asked.canary,
        asked.auto_promote,
        round(asked.progress_deadline_seconds * 1000),
    )


def show_update(policy: UpdatePolicy) -> UpdateRequest:
    return UpdateRequest(
        order=policy.order.value,
        parallelism=policy.parallelism,
        delay_seconds=policy.delay_ms / 1000,
        monitor_seconds=policy.monitor_ms / 1000,
        failure_action=policy.failure_action.value,
        min_available=None if policy.min_available < 0 else policy.min_available,
        progress_deadline_seconds=policy.progress_deadline_ms / 1000,
        canary=policy.canary,
        auto_promote=policy.auto_promote,
    )


def _refuse_word(word: str, kind: Any, reading: Reading, name: str) -> None:
    words = [each.value for each in kind]
    if word not in words:
        reading.wrong(f"{name} {shown(word)} is unknown: write {', '.join(words[:-1])} or {words[-1]}", name)
