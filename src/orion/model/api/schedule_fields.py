"""The times of a cron job in JSON, and what became of them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import Reading, schema
from orion.model.errors import shown
from orion.model.schedule import CatchUp, Overlap, Schedule

MAX_DEADLINE_S = 365 * 86_400


class ScheduleRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """When a cron job runs."""

    expression: Annotated[
        str,
        schema(
            "Minute, hour, day, month and weekday as in crontab, or @hourly, @daily, @weekly, @monthly, @yearly."
        ),
    ]
    time_zone: Annotated[str, schema("As in Europe/Berlin.")] = "UTC"
    overlap: Annotated[
        str,
        schema(
            "At a time at which the run before has not ended: skip it, queue it behind that run, or replace that "
            "run.",
            enum=[*Overlap],
        ),
    ] = Overlap.SKIP.value
    catch_up: Annotated[
        str,
        schema(
            "Of times at which the cluster had no leader: make up for none, for the last, or for all, one after "
            "the other.",
            enum=[*CatchUp],
        ),
    ] = CatchUp.LAST.value
    start_deadline_seconds: Annotated[
        float,
        schema("What is later than this is not made up for; 0: no limit.", minimum=0, maximum=MAX_DEADLINE_S),
    ] = 0.0


class RunView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A time of a cron job, and what became of it."""

    at: Annotated[str | None, Meta(description="What the schedule says, or when it was asked for. RFC 3339, UTC.")]
    outcome: Annotated[
        str,
        Meta(
            description="`running`, `completed`, `failed`, `stopped`; `skipped`: the run before had not ended; "
            "`missed`: the cluster had no leader."
        ),
    ]
    job: Annotated[
        str, Meta(description="The job that ran, whose logs and tasks are kept for a while; empty: none.")
    ]
    exit_code: Annotated[int | None, Meta(description="Of the first task that failed, else of the first.")]
    started_at: str | None
    ended_at: str | None
    reason: Annotated[str, Meta(description="Why it did not run or has failed, for people.")]
    by_hand: Annotated[bool, Meta(description="Somebody asked for it.")]
    count: Annotated[int, Meta(description="How many times this stands for; more than one only of those missed.")]
    to: Annotated[str | None, Meta(description="Of several the last.")]


def read_schedule(asked: ScheduleRequest | None, now_ms: int, reading: Reading) -> Schedule | None:
    """Returns the schedule; None where there is none, or what was asked for is wrong."""
    # Loaded with the first cron job.
    from orion.model.cron_times import schedule_error

    if asked is None:
        return None
    before = len(reading.errors)
    for name, word, words in (("overlap", asked.overlap, [*Overlap]), ("catchUp", asked.catch_up, [*CatchUp])):
        if word not in words:
            reading.wrong(f"{name} {shown(word)} is unknown: write {', '.join(words[:-1])} or {words[-1]}", name)
    if not 0 <= asked.start_deadline_seconds <= MAX_DEADLINE_S:
        seconds = f"{asked.start_deadline_seconds:g}"
        reading.wrong(f"startDeadlineSeconds is {seconds}: give 0 to {MAX_DEADLINE_S:,}", "startDeadlineSeconds")
    if (wrong := schedule_error(asked.expression, asked.time_zone, now_ms)) is not None:
        reading.wrong(f"{wrong[0]} {wrong[1]}", wrong[0])
    if len(reading.errors) > before:
        return None
    return Schedule(
        asked.expression,
        asked.time_zone,
        Overlap(asked.overlap),
        CatchUp(asked.catch_up),
        round(asked.start_deadline_seconds * 1000),
    )


def show_schedule(schedule: Schedule | None) -> ScheduleRequest | None:
    if schedule is None:
        return None
    return ScheduleRequest(
        expression=schedule.expression,
        time_zone=schedule.time_zone,
        overlap=schedule.overlap.value,
        catch_up=schedule.catch_up.value,
        start_deadline_seconds=schedule.start_deadline_ms / 1000,
    )
