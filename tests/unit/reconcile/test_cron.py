"""Times of schedules: local time with its odd hours, what was missed, clocks that jump."""

from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orion.model.cron_times import schedule_error, times
from orion.model.schedule import MAX_CATCH_UP, MAX_COUNTED, CatchUp, Schedule
from orion.reconcile.cron import NEVER_MS, ON_TIME_MS, REWIND_MS, Due, _last, due

HOUR = 3_600_000
DAY = 24 * HOUR
NIGHTLY = Schedule("30 2 * * *", "Europe/Berlin")
EACH_MINUTE = Schedule("* * * * *")
HOURLY = Schedule("0 * * * *")


def ms(text):
    """UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def texts(found):
    return [datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M") for at in found]


def of(expression, zone, after, before):
    found = []
    for at in times(Schedule(expression, zone), ZoneInfo(zone), ms(after)):
        if at >= ms(before):
            return texts(found)
        found.append(at)
    return texts(found)


# What the clocks of a zone do, told in UTC.
@pytest.mark.parametrize(
    ("expression", "zone", "after", "before", "found"),
    [
        # Berlin 2026-03-29: 02:00 becomes 03:00 (01:00 UTC); 02:30 does not exist and is 03:00.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28", "2026-03-31", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("0,20,40 2 * * *", "Europe/Berlin", "2026-03-28 22:00", "2026-03-29 22:00", ["03-29 01:00"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28 22:00", "2026-03-29 22:00", ["03-29 01:00"]),
        # By real time where it is each hour.
        ("30 * * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 03:00",
         ["03-29 00:30", "03-29 01:30", "03-29 02:30"]),
        # Berlin 2026-10-25: 03:00 becomes 02:00 (01:00 UTC); 02:30 is at 00:30 and 01:30 UTC.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24", "2026-10-27", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-25 00:00", "2026-10-25 02:00", ["10-25 00:30", "10-25 01:30"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25 00:00", "2026-10-25 22:00",
         ["10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        # New York 2026-03-08 07:00 UTC forward; 2026-11-01 06:00 UTC back.
        ("15 2 * * *", "America/New_York", "2026-03-08 00:00", "2026-03-09 00:00", ["03-08 07:00"]),
        ("15 1 * * *", "America/New_York", "2026-11-01 00:00", "2026-11-02 00:00", ["11-01 05:15"]),
        # Lord Howe: half an hour, 2026-04-04 15:00 UTC back, 2026-10-03 15:30 UTC forward.
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 10:00", "2026-04-05 10:00", ["04-04 14:45"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 10:00", "2026-10-04 10:00", ["10-03 15:30"]),
        # A zone at three quarters of an hour, and one without a change.
        ("0 9 * * *", "Asia/Kathmandu", "2026-05-01", "2026-05-02", ["05-01 03:15"]),
        ("0 0 29 2 *", "UTC", "2026-01-01", "2029-01-01", ["02-29 00:00"]),
        ("@daily", "Pacific/Kiritimati", "2026-05-01", "2026-05-02", ["05-01 10:00"]),
        ("0 12 * * 1-5", "UTC", "2026-05-01", "2026-05-05", ["05-01 12:00", "05-04 12:00"]),
    ],
)  # fmt: skip
def test_local_times(expression, zone, after, before, found):
    assert of(expression, zone, after, before) == found


def test_a_look_in_the_second_of_two_equal_hours_does_not_go_back_to_the_first():
    between = ms("2026-10-25 01:10")  # 02:10 for the second time
    assert texts([next(times(NIGHTLY, ZoneInfo("Europe/Berlin"), between))]) == ["10-26 01:30"]


def test_the_hour_that_happens_twice_runs_once_at_whatever_moments_one_looks():
    zone = ZoneInfo("Europe/Berlin")
    former, fired = ms("2026-10-24 12:00"), []
    for now in range(ms("2026-10-24 23:00"), ms("2026-10-25 04:00"), 7 * 60_000):
        found = due(NIGHTLY, zone, former, now)
        fired += found.fires
        former = found.until_ms or former
    assert texts(fired) == ["10-25 00:30"]


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0,30 1-3 * * *", "5 */2 * * *", "0 3 * * 0"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.lists(st.integers(1, 9 * HOUR), min_size=1, max_size=40),
    st.sampled_from(["2026-03-27", "2026-10-23", "2026-04-03", "2026-10-31"]),
)
@settings(max_examples=60, deadline=None)
def test_every_time_is_dealt_with_once_however_often_one_looks(expression, zone, steps, start):
    schedule = Schedule(expression, zone, catch_up=CatchUp.ALL)
    former = now = ms(start)
    fired = []
    for step in steps:
        now += step
        found = due(schedule, ZoneInfo(zone), former, now)
        assert not found.missed
        fired += found.fires
        former = found.until_ms or former
        assert found.next_ms > now
    wanted = []
    for at in times(schedule, ZoneInfo(zone), ms(start)):
        if at > now:
            break
        wanted.append(at)
    assert fired == wanted


# --- what was missed ---------------------------------------------------------------------------------------


def test_without_catching_up_a_deadline_makes_up_for_nothing():
    schedule = Schedule("* * * * *", catch_up=CatchUp.NONE, start_deadline_ms=HOUR)
    found = due(schedule, ZoneInfo("UTC"), ms("2025-01-01T00:00"), ms("2025-01-01T00:50:10"))
    assert texts(found.fires) == ["01-01 00:50"]
    assert found.missed == 49


def late(catch_up, hours, deadline_ms=0):
    start = ms("2026-05-01 00:10")
    schedule = Schedule("0 * * * *", catch_up=catch_up, start_deadline_ms=deadline_ms)
    return due(schedule, UTC, start, start + hours * HOUR)


def test_a_time_that_is_due_is_fired_and_the_next_is_known():
    start = ms("2026-05-01 00:10")
    assert due(HOURLY, UTC, start, ms("2026-05-01 00:59")) == Due(next_ms=ms("2026-05-01 01:00"))
    at = ms("2026-05-01 01:00")
    assert due(HOURLY, UTC, start, at) == Due((at,), until_ms=at, next_ms=at + HOUR)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_an_election_makes_nothing_late(catch_up):
    at = ms("2026-05-01 01:00")
    found = due(Schedule("0 * * * *", catch_up=catch_up), UTC, at - HOUR, at + ON_TIME_MS)
    assert (found.fires, found.missed) == ((at,), 0)


def test_nothing_is_made_up_for_and_all_of_it_is_said():
    found = late(CatchUp.NONE, 5)
    assert found.fires == ()
    assert found.missed == 5
    assert texts([found.missed_from_ms, found.missed_to_ms]) == ["05-01 01:00", "05-01 05:00"]


def test_the_last_one_is_made_up_for():
    found = late(CatchUp.LAST, 5)
    assert texts(found.fires) == ["05-01 05:00"]
    assert found.missed == 4


def test_all_are_made_up_for_up_to_a_bound():
    assert len(late(CatchUp.ALL, 5).fires) == 5
    found = late(CatchUp.ALL, MAX_CATCH_UP + 7)
    assert len(found.fires) == MAX_CATCH_UP
    assert found.missed == 7


@pytest.mark.parametrize("catch_up", [CatchUp.LAST, CatchUp.ALL])
def test_what_is_later_than_its_deadline_is_not_made_up_for(catch_up):
    found = late(catch_up, 5, deadline_ms=5 * 60_000)
    assert (found.fires, found.missed) == ((), 5)
    found = late(catch_up, 5, deadline_ms=15 * 60_000)
    assert texts(found.fires) == ["05-01 05:00"]


@pytest.mark.parametrize("years", [1, 10, 2_000])
def test_years_without_a_leader_are_one_decision_and_not_counted_one_by_one(years):
    former, now = ms("2026-01-01 00:00"), ms("2026-01-01 00:00") + years * 365 * DAY
    schedule = replace(EACH_MINUTE, catch_up=CatchUp.ALL)
    found = due(schedule, UTC, former, now)
    assert found.fires == tuple(now - 60_000 * back for back in reversed(range(MAX_CATCH_UP)))
    assert (found.missed, found.missed_from_ms) == (MAX_COUNTED, former + 60_000)
    assert (found.missed_to_ms, found.until_ms) == (found.fires[0] - 60_000, now)
    assert due(schedule, UTC, found.until_ms, now).empty


@pytest.mark.parametrize(
    ("expression", "days"),
    [("* * * * *", 2), ("*/7 * * * *", 3), ("30 2 * * *", 300), ("0 0 * * 0", 900), ("0 12 1 * *", 4_000)],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("now", ["2026-03-29 03:10", "2026-10-25 02:30", "2026-11-01 06:30", "2126-02-03 04:05"])
def test_the_last_times_are_those_that_one_comes_to_one_by_one(expression, days, zone, now):
    schedule, zone, now_ms = Schedule(expression, zone, catch_up=CatchUp.ALL), ZoneInfo(zone), ms(now)
    former_ms = now_ms - days * DAY
    found = _last(schedule, zone, former_ms, now_ms)
    all_of_them = takewhile(lambda at_ms: at_ms <= now_ms, times(schedule, zone, former_ms))
    assert found == list(all_of_them)[-MAX_CATCH_UP - 1 :]


# --- clocks ------------------------------------------------------------------------------------------------


def test_a_clock_that_is_put_back_fires_nothing_twice():
    at = ms("2026-05-01 12:00")
    for back in (1, HOUR, 23 * HOUR):
        found = due(HOURLY, UTC, at, at - back)
        assert found.empty
        assert found.next_ms == at + HOUR


def test_a_clock_that_was_years_ahead_does_not_silence_a_job_for_years():
    now = ms("2026-05-01 12:10")
    found = due(HOURLY, UTC, now + REWIND_MS + 1, now)
    assert (found.fires, found.missed, found.until_ms) == ((), 0, now)


def test_a_clock_that_jumps_a_day_ahead_makes_up_for_one():
    at = ms("2026-05-01 12:00")
    found = due(HOURLY, UTC, at, at + DAY + 60_001)
    assert (len(found.fires), found.missed) == (1, 23)


# --- what is no schedule -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "zone", "where", "words"),
    [
        ("* * *", "UTC", "expression", "write minute, hour"),
        ("* * * * * *", "UTC", "expression", "write minute, hour"),
        ("", "UTC", "expression", "is no schedule"),
        ("61 * * * *", "UTC", "expression", "bad minute"),
        ("* 25 * * *", "UTC", "expression", "bad hour"),
        ("0 0 30 2 *", "UTC", "expression", "bad day"),
        ("* * */20 * 1L", "UTC", "expression", "is never"),
        ("*/0 * * * *", "UTC", "expression", "bad minute"),
        ("* " * 101, "UTC", "expression", "at most 200"),
        ("@reboot", "UTC", "expression", "is no schedule"),
        ("0 3 * * *", "Europe/Berlinn", "timeZone", "is no time zone"),
        ("0 3 * * *", "../../etc/passwd", "timeZone", "is no time zone"),
        ("0 3 * * *", "Europe", "timeZone", "is no time zone"),
        ("0 3 * * *", "x" * 65, "timeZone", "is no time zone"),
        ("0 3 * * *", "", "timeZone", "is no time zone"),
        ("0 3 * * *", "a\0b", "timeZone", "is no time zone"),
    ],
)
def test_what_is_no_schedule_is_refused_in_words(expression, zone, where, words):
    found = schedule_error(expression, zone, ms("2026-05-01"))
    assert found is not None
    assert found[0] == where
    assert words in found[1]


@given(st.text(alphabet="0123456789*/,-LW# @MON", max_size=30), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_schedule_or_refused(expression, zone):
    if schedule_error(expression, zone, 0) is None:
        assert due(Schedule(expression, zone), UTC, 0, DAY).next_ms <= NEVER_MS


@pytest.mark.parametrize("expression", ["* * * * *", "@hourly", "0 0 * * MON#2", "0 0 L * *", "0 3 * jan-mar sun"])
def test_schedules_as_in_crontab(expression):
    assert schedule_error(expression, "Europe/Berlin", 0) is None
