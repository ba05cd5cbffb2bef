"""The order between jobs in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.after import MAX_AFTER, After, Condition
from orion.model.api.fields import Reading, schema
from orion.model.errors import shown
from orion.model.ids import JOB_NAME, JobName


class AfterRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Another job, and what must hold of it before a task starts."""

    job: Annotated[str, schema(pattern=f"^{JOB_NAME.pattern}$")]
    condition: Annotated[
        str,
        schema(
            "started: a task of it runs; healthy: a task of it is ready; completed: all of its tasks have ended "
            "with exit code 0.",
            enum=[*Condition],
        ),
    ] = Condition.HEALTHY.value
    required: Annotated[
        bool, Meta(description="False: while it is not there, is stopped or has failed, nobody waits for it.")
    ] = True


def read_after(asked: list[AfterRequest], reading: Reading) -> tuple[After, ...]:
    if len(asked) > MAX_AFTER:
        reading.wrong(f"{reading.name} has {len(asked):,} jobs; a task can wait for {MAX_AFTER}")
        return ()
    found: dict[str, After] = {}
    for at, each in enumerate(asked):
        if not JOB_NAME.fullmatch(each.job):
            reading.wrong(f"{shown(each.job)} is no job's name", at, "job")
        elif each.job == getattr(reading.request, "name", ""):
            reading.wrong(f"{each.job} is the job itself; name another one", at, "job")
        elif each.job in found:
            reading.wrong(f"{each.job} is named twice; give it one condition", at, "job")
        elif each.condition not in tuple(Condition):
            known = f"{', '.join([*Condition][:-1])} or {[*Condition][-1]}"
            reading.wrong(f"condition {shown(each.condition)} is unknown: write {known}", at, "condition")
        else:
            found[each.job] = After(JobName(each.job), Condition(each.condition), each.required)
    return tuple(found.values())


def show_after(after: tuple[After, ...]) -> list[AfterRequest]:
    return [AfterRequest(each.job, each.condition.value, each.required) for each in after]
